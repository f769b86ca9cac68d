package uringwake

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// goroutineDriver is the driver of all goroutines. They do what need not wait by
// ordinary system calls; the ring is for what has to wait.
//
// The kernel completes an operation that waited by work for the thread that
// submitted it. A thread that runs goroutines may sleep in the kernel for long, or
// exit. So goroutines put their operations into the backlog, and the keeper, on a
// thread that does nothing else, submits them. Completions are taken by the reaper,
// and by each goroutine that has the lock. Keeper and reaper run only while
// something is in flight, and a little longer.
type goroutineDriver struct {
	mu sync.Mutex
	ringQueue
	work    chan struct{}   // wakes the keeper; nil if there is neither keeper nor reaper
	noticed bool            // the kernel writes to the eventfd
	file    *os.File        // the eventfd
	conn    syscall.RawConn // file's, for the netpoller
	pool    sync.Pool       // of idle operations

	restsLong bool // the reaper looks seldom, since nothing has completed for a long time
}

func newGoroutineDriver(entries, cq uint32) (*goroutineDriver, error) {
	d := new(goroutineDriver)
	if d.uncancelable = cancelable.ask(); inconclusive(d.uncancelable) != nil {
		return nil, d.uncancelable
	}
	r, err := setupShared(entries, cq)
	if err != nil {
		return nil, err
	}
	if err := d.listen(r); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	d.use(r)
	d.paused = true
	d.pool.New = func() any { return &op{driver: d} }
	return d, nil
}

// listen makes an eventfd that the netpoller watches, and on which the kernel counts
// completions while notices are on.
func (d *goroutineDriver) listen(r *ring.Ring) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) // without NONBLOCK package os would not poll it
	if err != nil {
		return &ring.Error{Call: "eventfd", Errno: errnoOf(err)}
	}
	d.file = os.NewFile(uintptr(fd), "eventfd")
	if d.conn, err = d.file.SyscallConn(); err == nil {
		err = r.Registrar().RegisterEventFD(fd)
	}
	if err != nil {
		return errors.Join(err, d.file.Close())
	}
	return r.CQ().ToggleEventFD(false)
}

func (d *goroutineDriver) newOp() *op { return d.pool.Get().(*op) }

func (d *goroutineDriver) release(o *op) {
	o.recycle()
	d.pool.Put(o)
}

// submitAndWait launches o and sleeps until it has completed. If Park fails, it has
// the kernel cancel o and returns Park's error.
//
// ctx is asked for its parker before the kernel has o: its methods may panic, or end
// the goroutine. What completes at once needs none.
func (d *goroutineDriver) submitAndWait(ctx context.Context, o *op) (failed error) {
	var p wake.Parker
	if !o.atOnce() {
		p = wake.ParkerFrom(ctx)
		o.waker = p
	}
	done := false
	defer func() {
		if !done { // canceled; or a parker or a waker panicked, or ended the goroutine
			d.abandon(o)
		}
	}()
	if done = d.launch(o); !done && p == nil {
		p = wake.ParkerFrom(ctx)
		done = !d.attach(o, p)
	}
	if !done && !o.attach() {
		d.cancel(o)
		done = d.isComplete(o) // it was in the backlog: its waker was not called
	}
	for ; !done; done = d.isComplete(o) {
		if err := p.Park(ctx); err != nil {
			return err
		}
	}
	return nil
}

// abandon has the kernel cancel o and sleeps until o has completed, even if a waker
// panics or ends the goroutine meanwhile.
func (d *goroutineDriver) abandon(o *op) {
	defer func() {
		for p := wake.NewParker(); d.attach(o, p); {
			p.Park(context.Background())
		}
	}()
	d.cancel(o)
}

// attach has w woken when o completes. It reports false if o has completed.
func (d *goroutineDriver) attach(o *op, w wake.Waker) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.waker = w
	return o.state != completed
}

func (d *goroutineDriver) isComplete(o *op) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return o.state == completed
}

// launch puts o into the backlog for the keeper, or submits o if it completes at
// once. It reports whether o has completed.
func (d *goroutineDriver) launch(o *op) bool {
	d.mu.Lock()
	if o.atOnce() && d.sq.Ready() == 0 { // else the keeper's entries would go along
		d.paused = false
		d.ringQueue.launch(o)
		d.enter(0) // the keeper submits what the kernel refuses
		d.paused = true
	} else {
		d.ringQueue.launch(o)
	}
	return d.stepAndUnlock(o)
}

func (d *goroutineDriver) cancel(o *op) {
	d.mu.Lock()
	d.abort(o) // it may return a waker, which is the caller's own
	d.stepAndUnlock(o)
}

func (d *goroutineDriver) retryCancel(o *op, id userData) {
	d.mu.Lock()
	d.cancelAgain(o, id)
	d.stepAndUnlock(nil)
}

// stepAndUnlock takes completions and wakes the keeper; then it unlocks and wakes the
// waiters of what has completed. It reports whether o has.
func (d *goroutineDriver) stepAndUnlock(o *op) bool {
	var few [8]wake.Waker
	wakers := d.collect(few[:0])
	d.alert()
	done := o != nil && o.state == completed
	d.mu.Unlock()
	wakeAll(wakers)
	return done
}

// alert starts the keeper if something is in flight, and wakes it if there is something
// to submit. It is apart from collect so that the compiler, which sees that keeper and
// reaper come back to alert, can leave the array of stepAndUnlock on its stack.
func (d *goroutineDriver) alert() {
	if d.ops.inFlight() > 0 {
		d.startKeeper()
	}
	if d.unsubmitted() || d.sq.Overflown() {
		d.wakeKeeper()
	}
}

// collect takes completions until notices are on, so that the kernel will tell of the
// next completion, or until nothing is in flight.
func (d *goroutineDriver) collect(wakers []wake.Waker) []wake.Waker {
	for {
		wakers = d.takeTold(d.reap(wakers))
		if d.updateNotices() {
			return wakers
		}
	}
}

// updateNotices turns notices on if something is in flight, and off if nothing is. It
// reports false if a completion has come before they were on.
func (d *goroutineDriver) updateNotices() bool {
	on := d.ops.inFlight() > 0
	if on == d.noticed {
		return true
	}
	d.noticed = on
	d.cq.ToggleEventFD(on) // its store comes before the look that follows
	if !on {
		d.hurryReaper()
	}
	return !on || d.cq.Peek() == nil
}

// unsubmitted reports whether there is something that the kernel has not taken.
func (d *goroutineDriver) unsubmitted() bool {
	return d.sq.Ready() > 0 || d.hasBacklog()
}

// defaultDriver is the process's own driver, made when it is first needed. An error
// that may not occur the next time is not remembered.
var defaultDriver struct {
	sync.Mutex
	made atomic.Pointer[goroutineDriver]
}

func defaultGoroutineDriver() (*goroutineDriver, error) {
	if d := defaultDriver.made.Load(); d != nil {
		return d, nil
	}
	return makeDefaultDriver()
}

func makeDefaultDriver() (*goroutineDriver, error) {
	defaultDriver.Lock()
	defer defaultDriver.Unlock()
	if d := defaultDriver.made.Load(); d != nil {
		return d, nil
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	d, err := newGoroutineDriver(256, 4096)
	if err == nil {
		defaultDriver.made.Store(d)
	}
	return d, err
}

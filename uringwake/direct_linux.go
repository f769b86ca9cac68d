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

// direct is the driver for goroutines. What need not wait they do by ordinary
// system calls (now_linux.go); the ring is for what has to.
//
// The kernel ends an operation that waits by work that it gives to the thread
// that submitted it. A thread that runs goroutines may sleep in the kernel for
// long, or exit. So goroutines leave their operations in line, and the keeper,
// on a thread that does nothing else, submits them. Completions are taken by
// the reaper and by whoever comes by. Both are there only while something is in
// flight, and a little longer.
type direct struct {
	mu sync.Mutex
	flights
	work    chan struct{}   // rings the keeper; nil: there is neither keeper nor reaper
	noticed bool            // the kernel writes to the eventfd
	file    *os.File        // the eventfd
	conn    syscall.RawConn // file's, for the netpoller
	pool    sync.Pool       // of idle operations

	restsLong bool // the reaper does, since what is in flight has been so for long
}

func newDirect(entries, cq uint32) (*direct, error) {
	d := new(direct)
	if d.endless = cancelable.ask(); inconclusive(d.endless) != nil {
		return nil, d.endless
	}
	r, err := setupShared(entries, cq)
	if err != nil {
		return nil, err
	}
	if err := d.listen(r); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	d.use(r)
	d.held = true
	d.pool.New = func() any { return &op{direct: d} }
	return d, nil
}

// listen has the kernel count completions on an eventfd that the netpoller
// watches, as long as the reaper asks for that.
func (d *direct) listen(r *ring.Ring) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) // or os would not poll it
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

func (d *direct) newOp() *op { return d.pool.Get().(*op) }

func (d *direct) release(o *op) {
	o.recycle()
	d.pool.Put(o)
}

// fly launches o and sleeps until it has landed. It returns why it asked the
// kernel to cancel, if it did.
//
// ctx is asked for its parker before the kernel has o: its methods may panic,
// or end the goroutine. What lands at once needs none.
func (d *direct) fly(ctx context.Context, o *op) (failed error) {
	var p wake.Parker
	if !o.atOnce() {
		p = wake.ParkerFrom(ctx)
		o.waker = p
	}
	landed := false
	defer func() {
		if !landed { // canceled; or a parker or a waker panicked, or ended the goroutine
			d.abandon(o)
		}
	}()
	if landed = d.launch(o); !landed && p == nil {
		p = wake.ParkerFrom(ctx)
		landed = !d.attach(o, p)
	}
	for ; !landed; landed = d.hasLanded(o) {
		if err := p.Park(ctx); err != nil {
			return err
		}
	}
	return nil
}

// abandon asks the kernel to let go of o, and sleeps until it has, even if a
// waker panics or ends the goroutine meanwhile.
func (d *direct) abandon(o *op) {
	defer func() {
		for p := wake.NewParker(); d.attach(o, p); {
			p.Park(context.Background())
		}
	}()
	d.cancel(o)
}

// attach names the one to be woken when o has landed. It reports false if it
// has.
func (d *direct) attach(o *op, w wake.Waker) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.waker = w
	return o.state != landed
}

func (d *direct) hasLanded(o *op) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return o.state == landed
}

// launch leaves o in line for the keeper, or submits it if it does not wait. It
// reports whether o has landed.
func (d *direct) launch(o *op) bool {
	d.mu.Lock()
	if o.atOnce() && d.sq.Ready() == 0 { // or the keeper's would go along
		d.held = false
		d.flights.launch(o)
		d.enter(0) // what it refuses the keeper submits
		d.held = true
	} else {
		d.flights.launch(o)
	}
	return d.stepAndUnlock(o)
}

func (d *direct) cancel(o *op) {
	d.mu.Lock()
	d.abort(o) // its waker is the caller
	d.stepAndUnlock(o)
}

// stepAndUnlock is step, and wakes whose operations have landed. It reports
// whether o is among them.
func (d *direct) stepAndUnlock(o *op) bool {
	var few [8]wake.Waker
	wakers := d.step(few[:0])
	done := o != nil && o.state == landed
	d.mu.Unlock()
	wakeAll(wakers)
	return done
}

// step takes what has completed, and rings the keeper if there is something to
// submit.
func (d *direct) step(wakers []wake.Waker) []wake.Waker {
	wakers = d.collect(wakers)
	if d.ops.inFlight() > 0 {
		d.hire()
	}
	if d.stuck() || d.sq.Overflown() {
		d.ringKeeper()
	}
	return wakers
}

// collect takes completions until the kernel tells of the next one, or nothing
// is in flight.
func (d *direct) collect(wakers []wake.Waker) []wake.Waker {
	for {
		wakers = d.reap(wakers)
		if d.settle() {
			return wakers
		}
	}
}

// settle turns notices on if something is in flight, and off if nothing is. It
// reports false if a completion has come before they were on.
func (d *direct) settle() bool {
	on := d.ops.inFlight() > 0
	if on == d.noticed {
		return true
	}
	d.noticed = on
	d.cq.ToggleEventFD(on) // its store comes before the look that follows
	if !on {
		d.stir()
	}
	return !on || d.cq.Peek() == nil
}

// stuck reports that there is something that the kernel has not taken.
func (d *direct) stuck() bool {
	return d.sq.Ready() > 0 || d.waiting()
}

// defaultDriver is the process's own, made when it is first needed. What may
// pass, as a lack of descriptors, is not remembered.
var defaultDriver struct {
	sync.Mutex
	made atomic.Pointer[direct]
}

func goroutineDriver() (*direct, error) {
	if d := defaultDriver.made.Load(); d != nil {
		return d, nil
	}
	return makeDriver()
}

func makeDriver() (*direct, error) {
	defaultDriver.Lock()
	defer defaultDriver.Unlock()
	if d := defaultDriver.made.Load(); d != nil {
		return d, nil
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	d, err := newDirect(256, 4096)
	if err == nil {
		defaultDriver.made.Store(d)
	}
	return d, err
}

package uringwake

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// direct is the driver for goroutines: one ring that whoever asks submits to,
// and reaps right after. What has not completed by then is for the reaper, a
// goroutine that sleeps in Go's netpoller until an eventfd tells of more. No thread is locked, and nobody spins.
type direct struct {
	mu sync.Mutex
	flights
	reaping bool            // there is a reaper
	noticed bool            // the kernel writes to the eventfd
	file    *os.File        // the eventfd
	conn    syscall.RawConn // file's, for the netpoller
	pool    sync.Pool       // of idle operations
}

func newDirect(entries, cq uint32) (*direct, error) {
	r, err := setupShared(entries, cq)
	if err != nil {
		return nil, err
	}
	d := new(direct)
	if err := d.listen(r); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	d.use(r)
	d.pool.New = func() any { return &op{direct: d} }
	return d, nil
}

// listen has the kernel count completions on an eventfd that the netpoller
// watches, as long as the reaper asks for that: what lands at once, as most
// operations do, then wakes no thread of the netpoller's.
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

// fly launches o and, unless it lands at once, sleeps until it has. It returns
// why it asked the kernel to cancel, if it did.
func (d *direct) fly(ctx context.Context, o *op) (failed error) {
	landed := false
	defer func() {
		if !landed { // canceled; or a parker or ctx panicked, or ended the goroutine
			d.abandon(o)
		}
	}()
	d.mu.Lock()
	d.launch(o)
	if landed = d.stepAndUnlock(o); landed {
		return nil
	}
	p := wake.ParkerFrom(ctx)
	for d.attach(o, p) {
		if err := p.Park(ctx); err != nil {
			return err
		}
	}
	landed = true
	return nil
}

// abandon asks the kernel to let go of o, and sleeps until it has.
func (d *direct) abandon(o *op) {
	d.cancel(o)
	for p := wake.NewParker(); d.attach(o, p); {
		p.Park(context.Background())
	}
}

// attach names the one to be woken when o has landed. It reports false if it
// has.
func (d *direct) attach(o *op, w wake.Waker) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.waker = w
	return o.state != landed
}

func (d *direct) cancel(o *op) {
	d.mu.Lock()
	d.abort(o) // its waker is the caller
	d.stepAndUnlock(o)
}

// stepAndUnlock brings to the kernel what there is to bring, takes what has
// completed, and wakes whose operations these were. It reports whether o is
// among them.
func (d *direct) stepAndUnlock(o *op) bool {
	var few [8]wake.Waker
	wakers := d.step(few[:0])
	if !d.reaping && d.ops.inFlight() > 0 {
		d.reaping = true
		go d.reaper()
	}
	done := o != nil && o.state == landed
	d.mu.Unlock()
	wakeAll(wakers)
	return done
}

// step goes on until nothing is left to bring and to take, or the kernel has no
// memory; then the reaper tries again.
func (d *direct) step(wakers []wake.Waker) []wake.Waker {
	for {
		d.admit()
		var refused unix.Errno
		if d.sq.Ready() > 0 || d.sq.Overflown() {
			refused = d.enter(0)
		}
		wakers = d.reap(wakers)
		if d.settle() && (refused != 0 || !d.sq.Overflown() && !d.stuck()) {
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
	d.cq.ToggleEventFD(on) // with a full fence: see below
	return !on || d.cq.Peek() == nil
}

// stuck reports that there is something that the kernel has not taken.
func (d *direct) stuck() bool {
	return d.sq.Ready() > 0 || d.waiting()
}

// How long the reaper stays when there is nothing to reap, and how often it
// looks whether there is.
const (
	reaperShort = 20 * time.Millisecond
	reaperLong  = 640 * time.Millisecond
)

// reaper takes completions while operations are in flight. It stays a little
// longer, for the next one, and then leaves no goroutine behind.
func (d *direct) reaper() {
	left := false
	defer func() {
		if !left { // a Wake has ended this goroutine
			go d.reaper()
		}
	}()
	for wait := reaperShort; ; {
		d.file.SetReadDeadline(time.Now().Add(wait))
		before := d.reaped()
		// The netpoller reports an edge: each new completion. Whatever
		// comes after the look below ends the wait that follows it.
		err := d.conn.Read(func(uintptr) bool {
			d.mu.Lock()
			d.stepAndUnlock(nil)
			return d.isStuck()
		})
		if err == nil {
			time.Sleep(time.Millisecond) // stuck: for the kernel to find memory
		}
		if left = d.leave(); left {
			return
		}
		if wait = min(2*wait, reaperLong); d.reaped() != before {
			wait = reaperShort
		}
	}
}

func (d *direct) isStuck() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stuck()
}

func (d *direct) reaped() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.completed
}

// leave reports that nothing is in flight, and that there is no reaper now.
func (d *direct) leave() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reaping = d.ops.inFlight() > 0
	return !d.reaping
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

package uringwake

import (
	"runtime"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// hire starts the keeper and the reaper, if they are not there. The caller has
// the lock, as of all of these that do not take it.
func (d *direct) hire() {
	if d.work == nil {
		d.work = make(chan struct{}, 1)
		go d.keeper(d.work)
		go d.reaper()
	}
}

func (d *direct) ringKeeper() {
	select {
	case d.work <- struct{}{}:
	default: // it has been rung
	}
}

// keeper submits what waits, on a thread that does nothing else: between two
// rings it sleeps where the kernel can have it finish operations. It stays until
// the reaper leaves, and calls nobody's code.
func (d *direct) keeper(work <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range work {
		wakers, refused := d.keep(work)
		if len(wakers) > 0 {
			go wakeAll(wakers)
		}
		if refused {
			time.Sleep(time.Millisecond) // for the kernel to find memory
		}
	}
}

// keep submits what is in line. It takes completions too: its thread has just
// finished operations, and a busy processor is slow to look at the netpoller.
func (d *direct) keep(work <-chan struct{}) (wakers []wake.Waker, refused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.work != work { // it was sent away: what is in line is the next one's
		return nil, false
	}
	refused = d.submit()
	return d.step(nil), refused
}

// submit brings to the kernel what is in line, until that refuses it, or wants
// completions to be taken first.
func (d *direct) submit() (refused bool) {
	d.held = false
	for !refused && (d.stuck() || d.sq.Overflown()) {
		d.admit()
		refused = d.enter(0) != 0
		if d.sq.Overflown() {
			break
		}
	}
	d.held = true
	return refused
}

// How long the reaper stays when there is nothing to reap, and how often it
// looks whether there is.
const (
	reaperShort = 20 * time.Millisecond
	reaperLong  = 640 * time.Millisecond
)

// reaper takes completions while operations are in flight. It stays a little
// longer, for the next one, and then leaves no goroutine behind. A waker that
// ends its goroutine gets it another.
func (d *direct) reaper() {
	left := false
	defer func() {
		if !left {
			go d.reaper()
		}
	}()
	for wait := reaperShort; !left; {
		before := d.rest(wait)
		// The netpoller reports an edge: each new completion. Whatever
		// comes after the look ends the wait that follows it.
		d.conn.Read(func(uintptr) bool {
			d.mu.Lock()
			d.stepAndUnlock(nil)
			return false
		})
		if d.reaped() != before {
			wait = reaperShort
		} else {
			wait, left = min(2*wait, reaperLong), d.leave()
		}
	}
}

// rest sets how long the reaper waits, and gives how much has completed.
func (d *direct) rest(wait time.Duration) (completed uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ops.inFlight() == 0 {
		wait = reaperShort
	}
	d.restsLong = wait > reaperShort
	d.file.SetReadDeadline(time.Now().Add(wait))
	return d.completed
}

// stir has a reaper that rests long look soon: nothing is in flight any more.
func (d *direct) stir() {
	if d.restsLong {
		d.restsLong = false
		d.file.SetReadDeadline(time.Now().Add(reaperShort))
	}
}

func (d *direct) reaped() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.completed
}

// leave sends the keeper away if nothing is in flight, and reports that.
func (d *direct) leave() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ops.inFlight() > 0 {
		return false
	}
	d.line.urgent = nil // about operations that have landed
	close(d.work)
	d.work = nil
	return true
}

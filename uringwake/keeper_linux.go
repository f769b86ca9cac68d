package uringwake

import (
	"runtime"
	"time"
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
// rings it sleeps where the kernel can have it finish operations. It calls
// nobody's code, and stays until the reaper leaves.
func (d *direct) keeper(work <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range work {
		for d.lockAndSubmit(work) {
			time.Sleep(time.Millisecond) // for the kernel to find memory
		}
	}
}

// lockAndSubmit leaves it to another keeper if that has been hired by now: what
// this one submitted would depend on a thread that it gives back.
func (d *direct) lockAndSubmit(work <-chan struct{}) (refused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.work == work && d.submit()
}

// submit brings to the kernel what is in line. It reports whether something is
// left that the kernel did not take.
func (d *direct) submit() (refused bool) {
	d.held = false
	for !refused && (d.stuck() || d.sq.Overflown()) {
		d.admit()
		refused = d.enter(0) != 0
		if d.sq.Overflown() {
			break // until some are taken
		}
	}
	d.held = true
	if d.cq.Peek() != nil {
		d.file.SetReadDeadline(time.Now()) // the reaper need not wait for the netpoller
	}
	return refused && d.stuck()
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
		before := d.reaped()
		// Whoever sets another deadline has seen a completion: so does the
		// look below.
		d.file.SetReadDeadline(time.Now().Add(wait))
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

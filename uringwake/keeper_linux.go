package uringwake

import (
	"runtime"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// startKeeper starts the keeper and the reaper if they do not run. d.mu is locked, as in
// each function of this file that does not lock it.
func (d *goroutineDriver) startKeeper() {
	if d.work == nil {
		d.work = make(chan struct{}, 1)
		go d.keeper(d.work)
		go d.reaper()
	}
}

func (d *goroutineDriver) wakeKeeper() {
	select {
	case d.work <- struct{}{}:
	default: // a wake is pending
	}
}

// keeper submits the backlog, on a thread that does nothing else: between two wakes
// the thread sleeps where the kernel can run task work on it. keeper runs until the
// reaper leaves. It does not call wakers itself, since they may block.
func (d *goroutineDriver) keeper(work <-chan struct{}) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range work {
		wakers, refused := d.keeperTurn(work)
		if len(wakers) > 0 {
			go wakeAll(wakers)
		}
		if refused {
			time.Sleep(time.Millisecond) // for the kernel to find memory
		}
	}
}

// keeperTurn submits the backlog. It takes completions too: task work has just run on
// its thread, and a busy processor is slow to look at the netpoller.
func (d *goroutineDriver) keeperTurn(work <-chan struct{}) (wakers []wake.Waker, refused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.work != work { // it was told to leave: the backlog is the next keeper's
		return nil, false
	}
	refused = d.submit()
	wakers = d.collect(nil)
	d.alert()
	return wakers, refused
}

// submit brings the backlog to the kernel, until the kernel refuses it or wants
// completions to be taken first.
func (d *goroutineDriver) submit() (refused bool) {
	d.paused = false
	for !refused && (d.unsubmitted() || d.sq.Overflown()) {
		d.drainBacklog()
		refused = d.enter(0) != 0
		if d.sq.Overflown() {
			break
		}
	}
	d.paused = true
	return refused
}

// How long the reaper waits for a completion before it leaves or, while something is
// in flight, looks by itself.
const (
	reaperShort = 20 * time.Millisecond
	reaperLong  = 640 * time.Millisecond
)

// reaper takes completions while operations are in flight, and leaves a little later.
// If a waker ends its goroutine, the reaper continues in another one.
func (d *goroutineDriver) reaper() {
	left := false
	defer func() {
		if !left {
			go d.reaper()
		}
	}()
	for wait := reaperShort; !left; {
		before := d.setRest(wait)
		// The netpoller reports an edge: each new completion. One that
		// comes after the look ends the wait that follows.
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

// setRest sets how long the reaper waits, and returns how many operations have
// completed.
func (d *goroutineDriver) setRest(wait time.Duration) (completed uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ops.inFlight() == 0 {
		wait = reaperShort
	}
	d.restsLong = wait > reaperShort
	d.file.SetReadDeadline(time.Now().Add(wait))
	return d.completed
}

// hurryReaper has a reaper that rests long look soon: nothing is in flight any more.
func (d *goroutineDriver) hurryReaper() {
	if d.restsLong {
		d.restsLong = false
		d.file.SetReadDeadline(time.Now().Add(reaperShort))
	}
}

func (d *goroutineDriver) reaped() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.completed
}

// leave ends the keeper if nothing is in flight, and reports whether it did.
func (d *goroutineDriver) leave() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ops.inFlight() > 0 {
		return false
	}
	d.backlog.cancels = nil // about operations that have completed
	close(d.work)
	d.work = nil
	return true
}

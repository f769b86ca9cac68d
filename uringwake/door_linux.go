package uringwake

import (
	"runtime"
	"sync/atomic"
)

// door is how a loop goes to sleep without missing its mail, and how a waker learns
// whether it must signal. docs/models/doorbell.pml is its model.
//
//	bits 0..1   phase       awake     the loop will look at its mailbox
//	                        asleep    it is about to block, or blocks: signal
//	                        signaled  a waker has claimed that signal
//	                        closed    the loop is gone
//	bits 2..63  signalers   wakers between their claim and the end of their
//	                        system call: while there are any, the doorbell's
//	                        file descriptor stays open
//
// The loop announces (awake -> asleep), looks at the mailbox again, then blocks, or
// retracts if there was mail. A waker pushes, then looks at the door. If it is
// asleep, the waker claims the signal (asleep -> signaled), so that a sleep costs one
// system call however many wakers there are. Either the loop's second look sees the
// mail, or the waker sees the loop asleep: announce and push are both
// read-modify-writes, and each side looks at the other's word after its own.
type door struct{ word atomic.Uint64 }

const (
	awake, asleep, signaled, closed = 0, 1, 2, 3

	phaseMask   = 3
	oneSignaler = 4
)

// announce says that the loop will block unless it finds mail.
func (d *door) announce() { d.word.Add(asleep - awake) }

// retract says that the loop is awake again. A signal that is under way will be a
// completion without a meaning.
func (d *door) retract() { d.word.And(^uint64(phaseMask)) }

// claim makes the caller the one that signals, if the loop sleeps and no other waker
// does. The caller must call endSignal after.
func (d *door) claim() bool {
	for {
		w := d.word.Load()
		if w&phaseMask != asleep {
			return false
		}
		if d.word.CompareAndSwap(w, w-asleep+signaled+oneSignaler) {
			return true
		}
	}
}

// beginSignal makes the caller a signaler in any phase but closed.
func (d *door) beginSignal() bool {
	for {
		w := d.word.Load()
		if w&phaseMask == closed {
			return false
		}
		if d.word.CompareAndSwap(w, w+oneSignaler) {
			return true
		}
	}
}

// endSignal says that the signal was made, or was refused.
func (d *door) endSignal() { d.word.Add(^uint64(oneSignaler - 1)) }

// close waits until the last signaler has returned from its system call. The loop has
// sealed its mailbox before.
func (d *door) close() {
	d.word.Or(closed)
	for d.word.Load()>>2 != 0 {
		runtime.Gosched()
	}
}

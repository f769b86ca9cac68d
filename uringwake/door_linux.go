package uringwake

import (
	"runtime"
	"sync/atomic"
)

// door is how a loop goes to sleep without missing its mail, and how a waker
// learns whether it must ring. docs/models/doorbell.pml is its model.
//
//	bits 0..1   phase     awake    the loop will look at its mailbox
//	                      asleep   it is about to block, or blocks: ring
//	                      rung     somebody has claimed that ring
//	                      closed   it is gone
//	bits 2..63  ringers   wakers between their claim and the end of their
//	                      system call: while there are any, the doorbell's
//	                      file descriptor stays open
//
// The loop: announce (awake -> asleep), look at the mailbox again, then block;
// or retract, if there was mail. A waker: push, then look at the door; asleep:
// claim the ring (asleep -> rung), so that a sleep costs one system call
// however many wake it. Either the loop's second look sees the mail, or the
// waker sees the loop asleep: announce and push are both read-modify-writes,
// and each side looks at the other's word after its own.
type door struct{ word atomic.Uint64 }

const (
	awake, asleep, rung, closed = 0, 1, 2, 3

	phaseMask = 3
	oneRinger = 4
)

// announce says that the loop will block unless it finds mail.
func (d *door) announce() { d.word.Add(asleep - awake) }

// retract says that it is awake again; and a ring that is under way will be a
// completion without a meaning.
func (d *door) retract() { d.word.And(^uint64(phaseMask)) }

// claim makes the caller the one who rings, if the loop sleeps and nobody else
// does. It must call hangUp after.
func (d *door) claim() bool {
	for {
		w := d.word.Load()
		if w&phaseMask != asleep {
			return false
		}
		if d.word.CompareAndSwap(w, w-asleep+rung+oneRinger) {
			return true
		}
	}
}

// visit makes the caller a ringer whatever the phase, unless the loop is gone.
func (d *door) visit() bool {
	for {
		w := d.word.Load()
		if w&phaseMask == closed {
			return false
		}
		if d.word.CompareAndSwap(w, w+oneRinger) {
			return true
		}
	}
}

// hangUp says that the ring is done, or has come to nothing.
func (d *door) hangUp() { d.word.Add(^uint64(oneRinger - 1)) }

// close waits until the last ringer has come back from its system call. The
// loop has sealed its mailbox before.
func (d *door) close() {
	d.word.Or(closed)
	for d.word.Load()>>2 != 0 {
		runtime.Gosched()
	}
}

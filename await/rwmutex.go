package await

import (
	"context"

	"github.com/vigil-go/vigil/wake"
)

// An RWMutex is a reader/writer mutual exclusion lock that a goroutine waits for under a
// context, and a task without blocking its loop. The lock is held by any number of readers
// or by one writer. The zero value is an unlocked RWMutex. An RWMutex must not be copied
// after first use.
//
// The line is served strictly in order, neighboring readers together: a new reader waits
// behind a writer that is in line, and a writer waits only for the readers before it. So
// neither readers nor writers starve. A reader must not lock for reading again: a writer
// may have got in line in between, and then each waits for the other.
//
// In the terminology of the Go memory model, each Unlock happens before the return of the
// next Lock, TryLock, RLock or TryRLock that gets the lock, and each RUnlock before the
// return of the next Lock or TryLock.
type RWMutex struct{ s sema }

// allReaders is the number of permits: a reader takes one, a writer all.
const allReaders = 1 << 60

// Lock locks rw for writing. If it is locked for reading or writing, Lock waits until
// it is its turn. Its errors are those of [Mutex.Lock].
func (rw *RWMutex) Lock(ctx context.Context) error {
	if ctx != nil && ctx.Err() == nil && rw.s.word.CompareAndSwap(0, allReaders*one) {
		return nil
	}
	return rw.s.acquire(ctx, allReaders, allReaders)
}

// TryLock locks rw for writing and reports whether it did. It does not wait.
func (rw *RWMutex) TryLock() bool { return rw.s.try(allReaders, allReaders, false) }

// Unlock unlocks rw for writing, and hands it over to the waiter that has been in line
// longest and, if that is a reader, to the readers right behind it. Any goroutine or task
// may call it. If rw is not locked for writing, Unlock panics and changes nothing.
func (rw *RWMutex) Unlock() {
	if !rw.s.word.CompareAndSwap(allReaders*one, 0) && !rw.s.release(allReaders, allReaders, allReaders) {
		panic("await: Unlock of an RWMutex that is not locked for writing")
	}
}

// RLock locks rw for reading. If it is locked for writing, or waiters are in line, RLock
// waits until it is its turn. Its errors are those of [Mutex.Lock].
func (rw *RWMutex) RLock(ctx context.Context) error { return rw.s.acquire(ctx, 1, allReaders) }

// TryRLock locks rw for reading and reports whether it did. It does not wait, and does not
// overtake waiters in line.
func (rw *RWMutex) TryRLock() bool { return rw.s.try(1, allReaders, false) }

// RUnlock undoes one RLock. If it was the last reader's, the lock is handed over to the
// writer that is first in line. Any goroutine or task may call it. If rw is not locked for
// reading, RUnlock panics and changes nothing.
func (rw *RWMutex) RUnlock() {
	if !rw.s.releaseFast(1, allReaders-1) && !rw.s.release(1, allReaders-1, allReaders) {
		panic("await: RUnlock of an RWMutex that is not locked for reading")
	}
}

// OnLock returns a case of [Select] that locks rw for writing if it is chosen.
func (rw *RWMutex) OnLock() wake.Case { return rw.s.onAcquire(allReaders, allReaders) }

// OnRLock returns a case of [Select] that locks rw for reading if it is chosen.
func (rw *RWMutex) OnRLock() wake.Case { return rw.s.onAcquire(1, allReaders) }

// Locked reports whether rw is locked for writing.
func (rw *RWMutex) Locked() bool { return held(rw.s.word.Load()) == allReaders }

// Readers returns how often rw is locked for reading.
func (rw *RWMutex) Readers() int {
	if n := held(rw.s.word.Load()); n < allReaders {
		return int(n)
	}
	return 0
}

// Waiters returns the number of waiters in line.
func (rw *RWMutex) Waiters() int { return rw.s.waiters() }

package rows

import (
	"context"
	"sync"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/bench/measure"
)

func lockRow() Row {
	return Row{
		Name:  "lock",
		Title: "Locking",
		About: "So many goroutines share a lock: each locks, counts one up and unlocks, again and again, and yields after 256 " +
			"of that. The number that they count has cache lines of its own. The channel of 1 is locked by a send and unlocked by a " +
			"receive, with select in a select with ctx.Done(). What is cancelable, or selects, locks under a context that can be canceled.",
		Base: "sync.Mutex",
		jobs: func(set *Settings) []Job {
			return aiming(overGoroutines(set, "", locks), lockAims)
		},
	}
}

// Names of series.
const (
	chanOf1     = "channel of 1"
	chanOf1Ctx  = "channel of 1, select"
	vigilMutex  = "vigil Mutex"
	vigilRW     = "vigil RWMutex"
	xSemaphore  = "semaphore"
	vigilSema   = "vigil Semaphore"
	andCancel   = ", cancelable"
	syncMutex   = "sync.Mutex"
	syncRWMutex = "sync.RWMutex"
)

// lockAims: one goroutine never waits, and several do.
func lockAims(c Cell) []aim {
	if c.Name == "1" {
		return []aim{{vigilMutex, syncMutex, 1.3}, {vigilMutex + andCancel, syncMutex, 1.3}}
	}
	return []aim{{vigilMutex + andCancel, chanOf1Ctx, 1}}
}

// A locker is a way to lock a number. Open makes the lock and the number, which is
// written by each of the n operations of loop that writes.
type locker struct {
	name string
	open func() (loop func(n int), number *int)
}

func (l locker) shared(goroutines int) measure.Subject {
	return together(l.name, goroutines, func() func(int) {
		loop, _ := l.open()
		return loop
	})
}

// A guarded number and its lock do not share cache lines, so that the size of the lock
// makes no difference.
type guarded[L any] struct {
	_    [128]byte
	lock L
	_    [128]byte
	n    int
	_    [128]byte
}

func locks(ctx context.Context, goroutines int) (subjects []measure.Subject) {
	for _, l := range lockers(ctx) {
		subjects = append(subjects, l.shared(goroutines))
	}
	return subjects
}

func lockers(ctx context.Context) []locker {
	return []locker{
		{syncMutex, lockingSync},
		{chanOf1, lockingChannel},
		{chanOf1Ctx, func() (func(int), *int) { return lockingSelect(ctx) }},
		{vigilMutex, func() (func(int), *int) { return lockingMutex(context.Background()) }},
		{vigilMutex + andCancel, func() (func(int), *int) { return lockingMutex(ctx) }},
	}
}

func lockingSync() (func(int), *int) {
	g := new(guarded[sync.Mutex])
	return func(n int) {
		for range n {
			g.lock.Lock()
			g.n++
			g.lock.Unlock()
		}
	}, &g.n
}

func lockingChannel() (func(int), *int) {
	g := &guarded[chan struct{}]{lock: make(chan struct{}, 1)}
	return func(n int) {
		for range n {
			g.lock <- struct{}{}
			g.n++
			<-g.lock
		}
	}, &g.n
}

func lockingSelect(ctx context.Context) (func(int), *int) {
	g := &guarded[chan struct{}]{lock: make(chan struct{}, 1)}
	return func(n int) {
		for range n {
			select {
			case g.lock <- struct{}{}:
			case <-ctx.Done():
				panic(ctx.Err())
			}
			g.n++
			<-g.lock
		}
	}, &g.n
}

func lockingMutex(ctx context.Context) (func(int), *int) {
	g := new(guarded[await.Mutex])
	return func(n int) {
		for range n {
			mustNot(g.lock.Lock(ctx))
			g.n++
			g.lock.Unlock()
		}
	}, &g.n
}

func rwlockRow() Row {
	return Row{
		Name:  "rwlock",
		Title: "Locking for reading and writing",
		About: "As lock, but nine of ten operations lock for reading and read the number, and one locks for writing and counts it up.",
		Base:  syncRWMutex,
		jobs:  func(set *Settings) []Job { return overGoroutines(set, "", rwlocks) },
	}
}

func rwlocks(ctx context.Context, goroutines int) (subjects []measure.Subject) {
	for _, l := range rwlockers(ctx) {
		subjects = append(subjects, l.shared(goroutines))
	}
	return subjects
}

func rwlockers(ctx context.Context) []locker {
	return []locker{
		{syncRWMutex, rwlockingSync},
		{vigilRW, func() (func(int), *int) { return rwlockingVigil(context.Background()) }},
		{vigilRW + andCancel, func() (func(int), *int) { return rwlockingVigil(ctx) }},
	}
}

// oneWriteOf is how many operations there are for each that writes.
const oneWriteOf = 10

func rwlockingSync() (func(int), *int) {
	g := new(guarded[sync.RWMutex])
	return func(n int) {
		sum := 0
		for i := range n {
			if i%oneWriteOf == oneWriteOf-1 {
				g.lock.Lock()
				g.n++
				g.lock.Unlock()
			} else {
				g.lock.RLock()
				sum |= g.n
				g.lock.RUnlock()
			}
		}
		mustCount(sum)
	}, &g.n
}

func rwlockingVigil(ctx context.Context) (func(int), *int) {
	g := new(guarded[await.RWMutex])
	return func(n int) {
		sum := 0
		for i := range n {
			if i%oneWriteOf == oneWriteOf-1 {
				mustNot(g.lock.Lock(ctx))
				g.n++
				g.lock.Unlock()
			} else {
				mustNot(g.lock.RLock(ctx))
				sum |= g.n
				g.lock.RUnlock()
			}
		}
		mustCount(sum)
	}, &g.n
}

// mustCount uses what was read, so that the compiler keeps the reads.
func mustCount(sum int) {
	if sum < 0 {
		panic("rows: a number that only grows is negative")
	}
}

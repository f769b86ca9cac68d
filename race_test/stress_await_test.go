package race_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// locking lets workers hold locks. It checks that never more hold one than may, and that
// everything that is acquired is released, whatever the kind of wait and whichever waits
// give up.
func locking(s *round, b *book) (check func()) {
	l := &holding{round: s, b: b, sem: await.NewSemaphore(mostPermits)}
	l.mutexes[1].RecordHolder(s.r.IntN(2) == 0)
	s.team("locks").start(8, 150,
		operation{"Lock", l.lock}, operation{"TryLock", l.tryLock}, operation{"Select of two", l.selectTwo},
		operation{"RWMutex.Lock", l.write}, operation{"RLock", l.read}, operation{"TryRLock", l.tryRead}, operation{"OnRLock", l.selectReader},
		operation{"Acquire", l.acquire}, operation{"TryAcquire", l.tryAcquire}, operation{"SetLimit", l.setLimit},
		operation{"Select of all", l.selectAll}, operation{"Lock, wildly", l.wildly}, operation{"Lock, bad context", l.badly})
	return l.check
}

// mostPermits is the limit of the Semaphore at the beginning, and never exceeded.
const mostPermits = 5

type holding struct {
	*round
	b       *book
	mutexes [2]await.Mutex
	rw      await.RWMutex
	sem     *await.Semaphore

	alone   [2]atomic.Int32 // those that hold the mutexes
	readers atomic.Int32    // those that read; writers count as a thousand
	permits atomic.Int64    // those that are held
	plain   [3]int          // guarded by the mutexes and by rw; the race detector looks here
}

const aWriter = 1000

func (l *holding) pausing(w *worker) {
	l.b.sent.Add(1)
	if w.r.IntN(2) == 0 {
		w.pause()
	}
	l.b.received.Add(1)
}

// locked is called by the worker that holds mutex i, and unlocks it.
func (l *holding) locked(w *worker, i int) {
	if n := l.alone[i].Add(1); n != 1 {
		l.t.Errorf("%d hold a Mutex", n)
	}
	l.plain[i]++
	l.pausing(w)
	l.alone[i].Add(-1)
	l.mutexes[i].Unlock()
}

func (l *holding) written(w *worker) {
	if n := l.readers.Add(aWriter); n != aWriter {
		l.t.Errorf("a writer and %d others hold an RWMutex", n-aWriter)
	}
	l.plain[2]++
	l.pausing(w)
	l.readers.Add(-aWriter)
	l.rw.Unlock()
}

func (l *holding) reading(w *worker) {
	if n := l.readers.Add(1); n >= aWriter {
		l.t.Error("a reader and a writer hold an RWMutex")
	}
	_ = l.plain[2]
	l.pausing(w)
	l.readers.Add(-1)
	l.rw.RUnlock()
}

func (l *holding) acquired(w *worker, n int64) {
	if now := l.permits.Add(n); now > mostPermits {
		l.t.Errorf("%d permits are held", now)
	}
	l.pausing(w)
	l.permits.Add(-n)
	l.sem.Release(n)
}

func (l *holding) lock(w *worker) {
	ctx, done := w.until()
	defer done()
	if i := w.r.IntN(2); !w.canceled(l.mutexes[i].Lock(ctx)) {
		l.locked(w, i)
	}
}

func (l *holding) tryLock(w *worker) {
	if i := w.r.IntN(2); l.mutexes[i].TryLock() {
		l.locked(w, i)
	}
}

// selectTwo waits for both mutexes, in any order.
func (l *holding) selectTwo(w *worker) {
	ctx, done := w.until()
	defer done()
	first := w.r.IntN(2)
	chosen, err := await.Select(ctx, l.mutexes[first].OnLock(), l.mutexes[1-first].OnLock())
	if !w.canceled(err) {
		l.locked(w, (first+chosen)%2)
	}
}

func (l *holding) write(w *worker) {
	ctx, done := w.until()
	defer done()
	if !w.canceled(l.rw.Lock(ctx)) {
		l.written(w)
	}
}

func (l *holding) read(w *worker) {
	ctx, done := w.until()
	defer done()
	if !w.canceled(l.rw.RLock(ctx)) {
		l.reading(w)
	}
}

func (l *holding) tryRead(w *worker) {
	if l.rw.TryRLock() {
		l.reading(w)
	}
}

func (l *holding) selectReader(w *worker) {
	ctx, done := w.until()
	defer done()
	_, err := await.Select(ctx, l.rw.OnRLock())
	if !w.canceled(err) {
		l.reading(w)
	}
}

// granted reports whether the wait succeeded. More than the limit is another failure.
func (w *worker) granted(err error) bool {
	return !errors.Is(err, await.ErrLimit) && !w.canceled(err)
}

func (l *holding) acquire(w *worker) {
	ctx, done := w.until()
	defer done()
	if n := 1 + w.r.Int64N(mostPermits+1); w.granted(l.sem.Acquire(ctx, n)) {
		l.acquired(w, n)
	}
}

func (l *holding) tryAcquire(w *worker) {
	if n := 1 + w.r.Int64N(mostPermits); l.sem.TryAcquire(n) {
		l.acquired(w, n)
	}
}

func (l *holding) setLimit(w *worker) { l.sem.SetLimit(w.r.Int64N(mostPermits + 1)) }

// selectAll waits for one of everything.
func (l *holding) selectAll(w *worker) {
	ctx, done := w.until()
	defer done()
	n := 1 + w.r.Int64N(mostPermits)
	cases := []wake.Case{l.mutexes[0].OnLock(), l.rw.OnLock(), l.rw.OnRLock(), l.sem.OnAcquire(n), l.mutexes[1].OnLock()}
	order := w.r.Perm(len(cases))
	shuffled := make([]wake.Case, len(cases))
	for at, i := range order {
		shuffled[at] = cases[i]
	}
	chosen, err := await.Select(ctx, shuffled...)
	if !w.granted(err) {
		return
	}
	switch order[chosen] {
	case 0:
		l.locked(w, 0)
	case 1:
		l.written(w)
	case 2:
		l.reading(w)
	case 3:
		l.acquired(w, n)
	case 4:
		l.locked(w, 1)
	}
}

// waitFor waits for a mutex by Lock or Select.
func (l *holding) waitFor(ctx context.Context, i int, selects bool) (err error) {
	if !selects {
		return l.mutexes[i].Lock(ctx)
	}
	_, err = await.Select(ctx, l.mutexes[i].OnLock())
	return err
}

// wildly unwinds, or its Park fails. If it had the lock and unwinds, the lock goes to the
// next waiter.
func (l *holding) wildly(w *worker) {
	ctx, done := w.until()
	ctx = wake.WithParker(ctx, misbehave.DrawParker(w.r))
	i, selects, w := w.r.IntN(2), w.r.IntN(2) == 0, w.apart()
	l.aside(func() {
		defer done()
		if err := l.waitFor(ctx, i, selects); !errors.Is(err, misbehave.ErrOwn) && !w.canceled(err) {
			l.locked(w, i)
		}
	})
}

// badly waits under a context that misbehaves.
func (l *holding) badly(w *worker) {
	ctx, pauses := misbehave.DrawContext(w.r), w.r.IntN(30)
	i, selects, w := w.r.IntN(2), w.r.IntN(2) == 0, w.apart()
	l.aside(func() {
		for range pauses {
			runtime.Gosched()
		}
		ctx.End()
	})
	l.aside(func() {
		if err := l.waitFor(ctx, i, selects); err == nil {
			l.locked(w, i)
		} else {
			w.must(ctx.Check(err))
		}
	})
}

func (l *holding) check() {
	l.sem.SetLimit(mostPermits)
	free := l.mutexes[0].TryLock() && l.mutexes[1].TryLock() && l.rw.TryLock() && l.sem.TryAcquire(mostPermits)
	if !free {
		l.t.Error("in the end the locks are held")
	}
	if n := l.mutexes[0].Waiters() + l.mutexes[1].Waiters() + l.rw.Waiters() + l.sem.Waiters(); n != 0 {
		l.t.Errorf("%d still wait", n)
	}
}

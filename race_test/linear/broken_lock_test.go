package linear_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

func onMutex(name, mix string, breakIt func(mutexGate) gate) fault {
	return fault{name, mutexes.spec, recorder(func() plan {
		gates := newMutexes()
		for i, g := range gates {
			gates[i] = breakIt(g.(mutexGate))
		}
		return mutexes.plan(mutexes.mixes[mix], gates...)
	})}
}

func onRWMutex(name, mix string, breakIt func(rwGate) gate) fault {
	return fault{name, rwMutexes.spec, recorder(func() plan {
		return rwMutexes.plan(rwMutexes.mixes[mix], breakIt(rwGate{new(await.RWMutex)}))
	})}
}

func onSemaphore(name, mix string, make func() gate) fault {
	return fault{name, semaphores.spec, recorder(func() plan { return semaphores.plan(semaphores.mixes[mix], make()) })}
}

func init() {
	faults = append(faults, lockFaults...)
}

var lockFaults = []fault{
	onMutex("Lock: the context wins over the lock", "locks", func(g mutexGate) gate { return politeLock{g} }),
	onMutex("TryLock in two steps", "locks", func(g mutexGate) gate { return &twoTries{mutexGate: g} }),
	onMutex("Lock that dies keeps the lock", "deaths", func(g mutexGate) gate { return greedyDeath{g} }),
	onMutex("Lock goes behind those that wait", "locks", func(g mutexGate) gate { return modestLock{g} }),
	onRWMutex("RLock overtakes a writer in line", "locks", func(g rwGate) gate { return &readersFirst{rwGate: g} }),
	onRWMutex("TryRLock overtakes a writer in line", "locks", func(g rwGate) gate { return &looseReaders{rwGate: g} }),
	onRWMutex("readers are alone", "locks", func(g rwGate) gate { return lonelyReaders{g} }),
	onSemaphore("a canceled head blocks the rest", "permits", func() gate { return newNaive(stuckHead) }),
	onSemaphore("permits are gone with a canceled waiter", "permits", func() gate { return newNaive(lostGrant) }),
	onSemaphore("a small request overtakes a large one", "permits", func() gate { return newNaive(smallFirst) }),
	onSemaphore("Release wakes one waiter", "permits", func() gate { return newNaive(oneWake) }),
	onSemaphore("SetLimit refuses nobody in line", "limits", func() gate { return newNaive(noRefusal) }),
	onSemaphore("SetLimit lets nobody in", "limits", func() gate { return newNaive(lazyLimit) }),
}

type politeLock struct{ mutexGate }

func (g politeLock) Acquire(ctx context.Context, n int) error {
	err := g.mutexGate.Acquire(ctx, n)
	if err == nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// twoTries looks whether the Mutex is free, and says so later.
type twoTries struct {
	mutexGate
	others atomic.Int32
}

func (g *twoTries) Try(int) bool {
	if g.Locked() {
		return false
	}
	runtime.Gosched()
	if !g.TryLock() {
		g.others.Add(1)
	}
	return true
}

func (g *twoTries) Release(int) {
	if n := g.others.Load(); n > 0 && g.others.CompareAndSwap(n, n-1) {
		return
	}
	g.Unlock()
}

type greedyDeath struct{ mutexGate }

func (g greedyDeath) Acquire(ctx context.Context, n int) error {
	p, ok := wake.FromContext(ctx)
	if _, doomed := p.(doomedParker); !ok || !doomed {
		return g.mutexGate.Acquire(ctx, n)
	}
	if err := g.Lock(wake.WithParker(ctx, nil)); err != nil {
		return err
	}
	panic("doomed")
}

type modestLock struct{ mutexGate }

func (g modestLock) Acquire(ctx context.Context, _ int) error {
	err := g.Lock(ctx)
	if err == nil && g.Waiters() > 0 {
		g.Unlock()
		return g.Lock(ctx)
	}
	return err
}

// readersFirst lets readers in while there are readers.
type readersFirst struct {
	rwGate
	mu    sync.Mutex
	extra int // readers that share the lock of another one
	own   int // readers that have the lock
}

func (g *readersFirst) Acquire(ctx context.Context, n int) error {
	if n != allOf && g.join() {
		return nil
	}
	err := g.rwGate.Acquire(ctx, n)
	if err == nil && n != allOf {
		g.mu.Lock()
		g.own++
		g.mu.Unlock()
	}
	return err
}

func (g *readersFirst) join() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.own == 0 {
		return false
	}
	g.extra++
	return true
}

func (g *readersFirst) Try(n int) bool { return n == allOf && g.TryLock() || n != allOf && g.tryRead() }

func (g *readersFirst) tryRead() bool {
	ok := g.TryRLock()
	if ok {
		g.mu.Lock()
		g.own++
		g.mu.Unlock()
	}
	return ok
}

func (g *readersFirst) Release(n int) {
	if n == allOf {
		g.Unlock()
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.extra > 0 {
		g.extra--
		return
	}
	g.own--
	g.RUnlock()
}

func (g *readersFirst) On(int) wake.Case { return nil }

// looseReaders is readersFirst for TryRLock only.
type looseReaders struct{ rwGate }

func (g *looseReaders) Try(n int) bool {
	if n == allOf || g.Readers() == 0 || g.Waiters() == 0 {
		return g.rwGate.Try(n)
	}
	return true // and the reader's RUnlock is some other reader's
}

func (g *looseReaders) Release(n int) {
	defer func() { _ = recover() }()
	g.rwGate.Release(n)
}

type lonelyReaders struct{ rwGate }

func (g lonelyReaders) Try(n int) bool { return g.Readers() == 0 && g.rwGate.Try(n) }

// A bug is what a naive semaphore does wrong.
type bug int

const (
	stuckHead bug = iota
	lostGrant
	smallFirst
	oneWake
	noRefusal
	lazyLimit
)

// A naive is a semaphore with a bug.
type naive struct {
	bug  bug
	mu   sync.Mutex
	free int
	most int
	line []*naiveWaiter
}

type naiveWaiter struct {
	n   int
	got chan struct{}
	err error
}

func newNaive(b bug) gate { return &naive{bug: b, free: semaphoreLimit, most: semaphoreLimit} }

func (s *naive) On(int) wake.Case { return nil }

func (s *naive) Try(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free < n {
		return false
	}
	s.free -= n
	return true
}

func (s *naive) Acquire(ctx context.Context, n int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.mu.Lock()
	if n > s.most {
		s.mu.Unlock()
		return await.ErrLimit
	}
	if s.free >= n && (len(s.line) == 0 || s.bug == smallFirst) {
		s.free -= n
		s.mu.Unlock()
		return nil
	}
	w := &naiveWaiter{n: n, got: make(chan struct{})}
	s.line = append(s.line, w)
	s.mu.Unlock()
	return s.wait(ctx, w)
}

func (s *naive) wait(ctx context.Context, w *naiveWaiter) error {
	select {
	case <-w.got:
		return w.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.line, w); i >= 0 {
		s.line = slices.Delete(s.line, i, i+1)
		if s.bug != stuckHead {
			s.serve()
		}
		return ctx.Err()
	}
	if s.bug == lostGrant {
		return ctx.Err()
	}
	return w.err
}

func (s *naive) Release(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	s.serve()
}

// serve serves the line. mu is locked.
func (s *naive) serve() {
	for len(s.line) > 0 && s.line[0].n <= s.free {
		w := s.line[0]
		s.line = s.line[1:]
		s.free -= w.n
		close(w.got)
		if s.bug == oneWake {
			return
		}
	}
}

func (s *naive) SetLimit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n - s.most
	s.most = n
	s.line = slices.DeleteFunc(s.line, func(w *naiveWaiter) bool {
		if w.n <= n || s.bug == noRefusal {
			return false
		}
		w.err = await.ErrLimit
		close(w.got)
		return true
	})
	if s.bug != lazyLimit {
		s.serve()
	}
}

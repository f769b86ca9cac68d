package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-go/vigil/examples/internal/histogram"
	"github.com/vigil-go/vigil/uringwake"
)

// A starter starts f where a worker runs, under a context that f sleeps by.
type starter func(ctx context.Context, f func(ctx context.Context)) error

// onGoroutine is the starter that needs no loop: Loop.Go is the other kind.
func onGoroutine(ctx context.Context, f func(ctx context.Context)) error {
	go f(ctx)
	return nil
}

// A measurement is a workload between two sides: in ping-pong, worker i of the near
// side and worker i of the far side are a pair; in a fan-out, the near side's only
// worker wakes all workers of the far side.
type measurement struct {
	workload  workload
	near, far []starter
	out, back *result // of wakes of the far side, and of the near side
	loops     []*uringwake.Loop
}

// errLate ends a measurement in which no worker is woken any more.
var errLate = errors.New("a measurement does not end: a wake was lost, or the machine is very busy")

// run measures for about a slice of time and adds to the results.
func (m *measurement) run(ctx context.Context, s *shared, slice time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, slice+s.grace, errLate)
	defer cancel()
	far, near := make([]histogram.Histogram, len(m.far)), make([]histogram.Histogram, len(m.near))
	calls, start := m.calls(), s.now()
	if err := m.work(ctx, cancel, s, start+slice, far, near); err != nil {
		return err
	}
	took := s.now() - start
	m.count(far, near, took, float64(m.calls()-calls))
	if context.Cause(ctx) == errLate {
		return errLate
	}
	return nil
}

// A startFunc starts a worker. It is for work, which waits until f has returned.
type startFunc func(on starter, f func(ctx context.Context)) error

// work starts all workers and waits until they have returned.
func (m *measurement) work(ctx context.Context, cancel func(), s *shared, until time.Duration, far, near []histogram.Histogram) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	start := func(on starter, f func(ctx context.Context)) (err error) {
		workers.Add(1)
		if err = on(ctx, func(ctx context.Context) { defer workers.Done(); f(ctx) }); err != nil {
			workers.Done()
			cancel()
		}
		return err
	}
	if m.workload == fanOut {
		return m.startFanOut(start, s, until, far)
	}
	return m.startPairs(start, s, until, far, near)
}

func (m *measurement) startPairs(start startFunc, s *shared, until time.Duration, far, near []histogram.Histogram) error {
	for i := range m.near {
		a, b := 2*i, 2*i+1 // the keys
		if err := errors.Join(
			start(m.far[i], func(ctx context.Context) { s.pong(ctx, a, b, &far[i]) }),
			start(m.near[i], func(ctx context.Context) { s.ping(ctx, b, a, until, &near[i]) }),
		); err != nil {
			return fmt.Errorf("cannot start a worker: %w", err)
		}
	}
	return nil
}

func (m *measurement) startFanOut(start startFunc, s *shared, until time.Duration, far []histogram.Histogram) error {
	s.g.Add(len(m.far))
	for i, on := range m.far {
		if err := start(on, func(ctx context.Context) { s.listen(ctx, &far[i]) }); err != nil {
			return fmt.Errorf("cannot start a listener: %w", err)
		}
	}
	return start(m.near[0], func(ctx context.Context) { s.notify(ctx, len(m.far), until) })
}

// count adds what was measured to the results. A system call that served both
// directions is shared out.
func (m *measurement) count(far, near []histogram.Histogram, took time.Duration, calls float64) {
	var out, back histogram.Histogram
	for i := range far {
		out.Add(&far[i])
	}
	for i := range near {
		back.Add(&near[i])
	}
	all := float64(max(1, out.Count()+back.Count()))
	m.out.wakes.Add(&out)
	m.back.wakes.Add(&back)
	m.out.calls += calls * float64(out.Count()) / all
	m.back.calls += calls * float64(back.Count()) / all
	m.out.took += took
	if m.back != m.out {
		m.back.took += took
	}
}

// calls is the number of system calls that the loops have made, and that were
// made to wake them.
func (m *measurement) calls() (n uint64) {
	for _, l := range m.loops {
		s := l.Stats()
		n += s.Enters + s.Doorbells
	}
	return n
}

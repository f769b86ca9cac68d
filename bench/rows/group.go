package rows

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
	"github.com/vigil-go/vigil/waitgroup"
)

func groupRow() Row {
	return Row{
		Name:  "group",
		Title: "Counting what is not done, and waiting for it",
		About: "Add+Done: so many goroutines count one up and down again on one group (the semaphore, which has room for all, " +
			"acquires and releases one); each yields after 256 of that, so that all take their turn. Go+Wait: a new group " +
			"runs an empty function in so many goroutines and waits for them; time is per goroutine. Wait at zero never " +
			"sleeps; the semaphore acquires and releases one. Ping-pong: Done wakes the other side's Wait, which counts one " +
			"up again before it answers; time is per hand-over. The semaphore releases and acquires one, under a context " +
			"that can be canceled; the channel is closed, and a new one is made for the next message.",
		Base: "sync.WaitGroup",
		jobs: func(set *Settings) []Job {
			one := Cell{Name: "Wait at zero", Procs: set.headline(), Unit: "ns/op"}
			jobs := overGoroutines(set, "Add+Done", addDones)
			jobs = append(jobs, goWaitJobs(set)...)
			jobs = append(jobs, sideBySide(set, one, waitsAtZero))
			return append(jobs, overProcs(set, Cell{Name: "ping-pong", Unit: "ns/hand-over"}, groupPingPongs)...)
		},
	}
}

// overGoroutines returns the jobs of something that 1, 2, 8 and 1000 goroutines
// share. A single goroutine is measured under one GOMAXPROCS only.
func overGoroutines(set *Settings, name string, subjects func(ctx context.Context, goroutines int) []measure.Subject) []Job {
	var jobs []Job
	for _, n := range []int{1, 2, 8, set.scaled(1000, 100)} {
		under := set
		if n == 1 {
			under = set.alone()
		}
		cell := Cell{Name: path.Join(name, strconv.Itoa(n)), Unit: "ns/op"}
		jobs = append(jobs, overProcs(under, cell, func(ctx context.Context) []measure.Subject { return subjects(ctx, n) })...)
	}
	return jobs
}

// plenty is more than a weighted semaphore is ever asked for.
const plenty = 1 << 40

func addDones(_ context.Context, goroutines int) []measure.Subject {
	return []measure.Subject{
		together("sync.WaitGroup", goroutines, func() func(int) {
			var g sync.WaitGroup
			return func(n int) {
				for range n {
					g.Add(1)
					g.Done()
				}
			}
		}),
		together("semaphore", goroutines, func() func(int) {
			return acquiring(context.Background(), semaphore.NewWeighted(plenty))
		}),
		together("vigil Group", goroutines, func() func(int) {
			var g waitgroup.Group
			return func(n int) {
				for range n {
					g.Add(1)
					g.Done()
				}
			}
		}),
	}
}

func acquiring(ctx context.Context, s *semaphore.Weighted) func(int) {
	return func(n int) {
		for range n {
			mustNot(s.Acquire(ctx, 1))
			s.Release(1)
		}
	}
}

func goWaitJobs(set *Settings) []Job {
	var jobs []Job
	for _, n := range []int{1, 8, set.scaled(1000, 100)} {
		cell := Cell{Name: fmt.Sprintf("Go+Wait/%d", n), Unit: "ns/goroutine"}
		jobs = append(jobs, overProcs(set, cell, func(context.Context) []measure.Subject { return goWaits(n) })...)
	}
	return jobs
}

func goWaits(n int) []measure.Subject {
	return []measure.Subject{
		goWait("sync.WaitGroup", n, func() {
			var g sync.WaitGroup
			for range n {
				g.Go(func() {})
			}
			g.Wait()
		}),
		goWait("errgroup", n, func() {
			var g errgroup.Group
			for range n {
				g.Go(func() error { return nil })
			}
			mustNot(g.Wait())
		}),
		goWait("vigil Group", n, func() {
			var g waitgroup.Group
			for range n {
				g.Go(func() {})
			}
			mustNot(g.Wait(context.Background()))
		}),
	}
}

func goWait(name string, n int, scene func()) measure.Subject {
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		return measure.Slice(1, slice, func(int) int {
			for range max(rivals.Batch/n, 1) {
				scene()
			}
			return max(rivals.Batch/n, 1) * n
		})
	}}
}

func waitsAtZero(ctx context.Context) []measure.Subject {
	return []measure.Subject{
		together("sync.WaitGroup", 1, func() func(int) {
			var g sync.WaitGroup
			return func(n int) {
				for range n {
					g.Wait()
				}
			}
		}),
		together("semaphore", 1, func() func(int) { return acquiring(ctx, semaphore.NewWeighted(plenty)) }),
		together("vigil Group", 1, func() func(int) { return waitingAtZero(context.Background()) }),
		together("vigil Group, cancelable", 1, func() func(int) { return waitingAtZero(ctx) }),
	}
}

func waitingAtZero(ctx context.Context) func(int) {
	var g waitgroup.Group
	return func(n int) {
		for range n {
			mustNot(g.Wait(ctx))
		}
	}
}

func groupPingPongs(ctx context.Context) []measure.Subject {
	return []measure.Subject{
		pingPong("sync.WaitGroup", func() table { return newSyncGroups() }),
		pingPong("close a channel", func() table { return newClosings(nil) }),
		pingPong("close a channel, select", func() table { return newClosings(ctx.Done()) }),
		pingPong("semaphore", func() table { return newSemaphores(ctx) }),
		pingPong("vigil Group", func() table { return newGroups(context.Background()) }),
		pingPong("vigil Group, cancelable", func() table { return newGroups(ctx) }),
	}
}

// syncGroups has a group for each side. Its count is one while its receiver has no
// message.
type syncGroups [2]sync.WaitGroup

func newSyncGroups() *syncGroups {
	t := new(syncGroups)
	t[0].Add(1)
	t[1].Add(1)
	return t
}

func (t *syncGroups) send(_, side int) { t[side].Done() }

func (t *syncGroups) receive(_, side int) {
	t[side].Wait()
	t[side].Add(1)
}

func (t *syncGroups) close() {}

type groups struct {
	sides [2]waitgroup.Group
	ctx   context.Context
}

func newGroups(ctx context.Context) *groups {
	t := &groups{ctx: ctx}
	t.sides[0].Add(1)
	t.sides[1].Add(1)
	return t
}

func (t *groups) send(_, side int) { t.sides[side].Done() }

func (t *groups) receive(_, side int) {
	mustNot(t.sides[side].Wait(t.ctx))
	t.sides[side].Add(1)
}

func (t *groups) close() {}

// closings has a channel for each side, which is closed to send. If stop is not
// nil, receivers also select on it.
type closings struct {
	sides [2]chan struct{}
	stop  <-chan struct{}
}

func newClosings(stop <-chan struct{}) *closings {
	return &closings{[2]chan struct{}{make(chan struct{}), make(chan struct{})}, stop}
}

func (t *closings) send(_, side int) { close(t.sides[side]) }

func (t *closings) receive(_, side int) {
	if t.stop == nil {
		<-t.sides[side]
	} else {
		select {
		case <-t.sides[side]:
		case <-t.stop:
			panic("not expected: canceled")
		}
	}
	t.sides[side] = make(chan struct{})
}

func (t *closings) close() {}

// semaphores has one for each side, with a weight of one, which is acquired.
type semaphores struct {
	sides [2]*semaphore.Weighted
	ctx   context.Context
}

func newSemaphores(ctx context.Context) semaphores {
	return semaphores{[2]*semaphore.Weighted{taken(1), taken(1)}, ctx}
}

// taken returns a semaphore whose whole weight is acquired, so that only released
// weight is available.
func taken(n int64) *semaphore.Weighted {
	s := semaphore.NewWeighted(n)
	s.TryAcquire(n)
	return s
}

func (t semaphores) send(_, side int)    { t.sides[side].Release(1) }
func (t semaphores) receive(_, side int) { mustNot(t.sides[side].Acquire(t.ctx, 1)) }
func (t semaphores) close()              {}

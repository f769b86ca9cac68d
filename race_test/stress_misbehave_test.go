package race_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// A wait waits in one way for the event of a test. If it returns, it checks its
// result.
type wait func(ctx context.Context)

// A company waits for one event. Its well-behaved waiters must return, whatever the
// others in the same line do.
type company struct {
	w    *worker
	ways []wait
	rude []*misbehave.Parker // call back and misbehave in Wake
	late []*misbehave.Parker // misbehave after they were woken
	left []*misbehave.Parker // have misbehaved and left the line
	good []*misbehave.Parker
}

// company returns one with one to three waiters of each kind. A Wake calls back and
// may then panic or exit.
func (w *worker) company(back func(), ways ...wait) *company {
	c := &company{w: w, ways: ways}
	c.rude, c.late, c.left, c.good = c.parkers(), c.parkers(), c.parkers(), c.parkers()
	for _, p := range c.rude {
		p.Back, p.OnWake = back, misbehave.Strike(w.r.IntN(3))
	}
	for _, p := range c.late {
		p.After = misbehave.Any(w.r)
	}
	for _, p := range c.left {
		p.Before = misbehave.Any(w.r)
	}
	return c
}

func (c *company) parkers() (list []*misbehave.Parker) {
	for range 1 + c.w.r.IntN(3) {
		list = append(list, misbehave.NewParker())
	}
	return list
}

// meet starts all waits and calls end when they sleep, in line except those that
// have left. Nothing else wakes them. If there was not enough for all, the late
// waiters that unwind are told to leave.
func (c *company) meet(end func()) {
	var stay, unwind, quit waitgroup.Group
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	all := slices.Concat(c.rude, c.late, c.left, c.good)
	c.w.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all {
		g, way := &stay, c.ways[c.w.r.IntN(len(c.ways))]
		switch {
		case p.Before != misbehave.None:
			g = &quit
		case !keeps(p):
			g = &unwind
		}
		g.Add(1)
		c.w.aside(func() {
			defer g.Done()
			way(wake.WithParker(ctx, p))
		})
		c.w.await(func() bool { return p.Parks.Load() > 0 })
	}
	c.w.must(quit.Wait(c.w.ctx))
	c.w.rashly(end)
	c.w.must(stay.Wait(c.w.ctx))
	leave()
	c.w.must(unwind.Wait(c.w.ctx))
	for _, p := range c.left {
		if p.Wakes.Load() > 0 {
			c.w.t.Errorf("%s: a waker was called whose wait had ended before", *c.w.doing.Load())
		}
	}
}

// keeps reports whether the wait returns with the event that it was woken for. A
// failing Park does not change that.
func keeps(p *misbehave.Parker) bool {
	return p.Before == misbehave.None && (p.After == misbehave.None || p.After == misbehave.Fail)
}

// keepers returns how many waiters keep the event that they are woken for.
func (c *company) keepers() (n int) {
	for _, p := range slices.Concat(c.rude, c.late, c.good) {
		if keeps(p) {
			n++
		}
	}
	return n
}

// rashlyAll calls f with 0 to n-1 concurrently, each call by rashly.
func (w *worker) rashlyAll(n int, f func(i int)) {
	var g waitgroup.Group
	g.Add(n)
	for i := range n {
		w.aside(func() {
			defer g.Done()
			f(i)
		})
	}
	w.must(g.Wait(context.Background()))
}

// apart returns a worker for another goroutine, for which the test does not wait.
func (w *worker) apart() *worker {
	a := &worker{team: w.team, ctx: context.Background(), r: rand.New(rand.NewPCG(w.r.Uint64(), 0))}
	a.doing.Store(w.doing.Load())
	return a
}

// soon returns a context that ends by itself after a while.
func (w *worker) soon() context.Context {
	ctx, cancel := context.WithCancelCause(w.ctx)
	pauses := w.r.IntN(30)
	w.aside(func() {
		for range pauses {
			runtime.Gosched()
		}
		cancel(errEnd)
	})
	return ctx
}

// await yields until f returns true.
func (w *worker) await(f func() bool) {
	for !f() {
		w.pause()
		runtime.Gosched() // for other goroutines, if the caller is a task
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (w *worker) must(err error) {
	if err != nil {
		w.t.Errorf("%s: %v", *w.doing.Load(), err)
	}
}

// badly waits in one of the ways under a misbehaving context that ends. Nothing
// else ends the wait.
func (w *worker) badly(ways ...func(ctx context.Context) error) {
	ctx := misbehave.DrawContext(w.r)
	way := ways[w.r.IntN(len(ways))]
	call, bad := w.rashly, context.Context(ctx)
	if t := uringwake.TaskFrom(w.ctx); t != nil && w.r.IntN(2) == 0 {
		ctx = misbehave.DrawLiar(w.r) // a context that panics or exits would end the loop with its task
		call, bad = func(f func()) { f() }, wake.WithParker(ctx, t)
	}
	pauses := w.r.IntN(30)
	if pauses == 0 {
		ctx.End()
	}
	w.aside(func() {
		for range pauses {
			runtime.Gosched()
		}
		ctx.End()
	})
	call(func() { w.must(ctx.Check(way(bad))) })
}

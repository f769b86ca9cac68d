package race_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"

	"github.com/vigil-go/vigil/internal/hostile"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// A wait is one way to wait for what a test brings about. It checks what it
// got, unless it does not return.
type wait func(ctx context.Context)

// A company waits for one thing: the innocent ones return, whatever the others
// do in the same line.
type company struct {
	w    *worker
	ways []wait
	rude []*hostile.Parker // call back and strike in Wake
	late []*hostile.Parker // strike when they were woken
	left []*hostile.Parker // have struck, and left
	good []*hostile.Parker
}

// company is one to three of each kind. A Wake calls back and then, perhaps,
// panics or exits.
func (w *worker) company(back func(), ways ...wait) *company {
	c := &company{w: w, ways: ways}
	c.rude, c.late, c.left, c.good = c.parkers(), c.parkers(), c.parkers(), c.parkers()
	for _, p := range c.rude {
		p.Back, p.OnWake = back, hostile.Strike(w.r.IntN(3))
	}
	for _, p := range c.late {
		p.After = hostile.Any(w.r)
	}
	for _, p := range c.left {
		p.Before = hostile.Any(w.r)
	}
	return c
}

func (c *company) parkers() (list []*hostile.Parker) {
	for range 1 + c.w.r.IntN(3) {
		list = append(list, hostile.NewParker())
	}
	return list
}

// meet has all wait, and calls end when they sleep: in line, that is, but for
// those who have left. Nobody else rescues them. If there was too little for
// all, those of the late who unwind are told to leave.
func (c *company) meet(end func()) {
	var stay, unwind, quit waitgroup.Group
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	all := slices.Concat(c.rude, c.late, c.left, c.good)
	c.w.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all {
		g, way := &stay, c.ways[c.w.r.IntN(len(c.ways))]
		switch {
		case p.Before != hostile.None:
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

// keeps reports whether the wait returns with what it was woken with. A Park
// that fails does not undo that.
func keeps(p *hostile.Parker) bool {
	return p.Before == hostile.None && (p.After == hostile.None || p.After == hostile.Fail)
}

// keepers is how many keep what they are woken with.
func (c *company) keepers() (n int) {
	for _, p := range slices.Concat(c.rude, c.late, c.good) {
		if keeps(p) {
			n++
		}
	}
	return n
}

// rashlyAll calls f with 0 to n-1 at the same time, each rashly.
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

// apart is the worker for a goroutine of its own, which it does not wait for.
func (w *worker) apart() *worker {
	a := &worker{crew: w.crew, ctx: context.Background(), r: rand.New(rand.NewPCG(w.r.Uint64(), 0))}
	a.doing.Store(w.doing.Load())
	return a
}

// soon is a context that ends by itself after a while.
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

// await lets others run until f is true.
func (w *worker) await(f func() bool) {
	for !f() {
		w.pause()
		runtime.Gosched() // for goroutines, if it is a task
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

// badly waits in one of the ways, under a context that is not as it should be
// and that ends. Nothing else ends the wait.
func (w *worker) badly(ways ...func(ctx context.Context) error) {
	ctx := hostile.DrawContext(w.r)
	way := ways[w.r.IntN(len(ways))]
	call, bad := w.rashly, context.Context(ctx)
	if t := uringwake.TaskFrom(w.ctx); t != nil && w.r.IntN(2) == 0 {
		ctx = hostile.DrawLiar(w.r) // one that strikes would end the loop with its task
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

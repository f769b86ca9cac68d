package waitgroup_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// A model is a Group as the package documentation describes it: a count, and the waiters
// in line until the next zero.
type model struct {
	count int
	line  map[*place]bool
	idle  <-chan struct{} // of the line; nil if Idle was not called
}

// A place is a waiter: a Wait in a goroutine of its own, or a registration.
type place struct {
	adds     int  // its waker's, to the count
	panics   bool // its waker does
	released bool
	left     bool // stopped, or its context ended
	// not of the model:
	woken  int
	reg    wake.Registration
	result <-chan error
	end    context.CancelCauseFunc
	err    error
	ended  bool
}

// add returns the text of the panic of a call of Add, or "" if it does not panic.
func (m *model) add(n int) (panics string) {
	if n < 0 && m.count+n < 0 {
		return negative
	}
	if m.count += n; m.count == 0 {
		return m.zero()
	}
	return ""
}

// zero releases the line, in any order, and then lets the wakers count.
func (m *model) zero() (panics string) {
	line := m.line
	m.line, m.idle = make(map[*place]bool), nil
	for p := range line {
		p.released = true
		m.count += p.adds
		if p.panics {
			panics = "the waker"
		}
	}
	return panics
}

func (m *model) enter(p *place) (panics string) {
	if m.line[p] = true; m.count == 0 {
		panics = m.zero()
	}
	return panics
}

func (m *model) leave(p *place) bool {
	ok := m.line[p]
	delete(m.line, p)
	p.left = p.left || ok
	return ok
}

// A run drives a Group and its model by the same script.
type run struct {
	t      *testing.T
	g      waitgroup.Group
	m      model
	places []*place
	idles  map[<-chan struct{}]bool // seen; is it to be closed?
}

// runScript takes two bytes a step: what to do, and how much or which one. It runs in a
// bubble.
func runScript(t *testing.T, script []byte) {
	r := &run{t: t, m: model{line: make(map[*place]bool)}, idles: make(map[<-chan struct{}]bool)}
	for ; len(script) >= 2; script = script[2:] {
		r.step(script[0], int(script[1]))
		r.check()
	}
	r.finish()
}

const (
	opAdd = iota
	opDone
	opSubtract
	opWait
	opRegister
	opRegisterNil
	opRegisterAdder
	opRegisterPanics
	opStop
	opEnd
	opIdle
	opDeadWait
	opMinInt
	opMaxInt
	ops
)

func (r *run) step(what byte, arg int) {
	switch what % ops {
	case opAdd:
		r.add(arg % 4)
	case opDone:
		want := r.m.add(-1)
		require.Equal(r.t, want, recovered(r.g.Done))
	case opSubtract:
		r.add(-(arg % 5))
	case opMinInt:
		r.add(math.MinInt + arg%5)
	case opMaxInt:
		r.tooLarge(arg % 5)
	case opIdle:
		r.idle()
	case opDeadWait:
		err := r.g.Wait(doneCtx())
		require.Equal(r.t, r.m.count == 0, err == nil)
	default:
		r.stepOfOne(what%ops, arg)
	}
}

// stepOfOne is a step of a waiter.
func (r *run) stepOfOne(what byte, arg int) {
	switch what {
	case opWait:
		r.wait()
	case opRegister:
		r.register(&place{})
	case opRegisterNil:
		p := &place{reg: r.g.Register(nil)}
		r.m.enter(p)
		p.woken = -1 // not counted
		r.places = append(r.places, p)
	case opRegisterAdder:
		r.register(&place{adds: arg % 3})
	case opRegisterPanics:
		r.register(&place{panics: true})
	case opStop, opEnd:
		if len(r.places) > 0 {
			r.leave(r.places[arg%len(r.places)])
		}
	}
}

func (r *run) add(n int) {
	want := r.m.add(n)
	require.Equal(r.t, want, recovered(func() { r.g.Add(n) }), "Add(%d)", n)
}

// tooLarge adds a number that overflows at any count but zero, and subtracts it at zero.
func (r *run) tooLarge(n int) {
	if math.MaxInt > math.MaxInt32 {
		require.Equal(r.t, tooLarge, recovered(func() { r.g.Add(math.MaxInt - n) }))
	}
}

func (r *run) wait() {
	p := &place{woken: -1}
	ctx, cancel := context.WithCancelCause(bg)
	p.end, p.result = cancel, startWait(&r.g, ctx)
	r.m.enter(p)
	r.places = append(r.places, p)
}

func (r *run) register(p *place) {
	w := wake.Func(func() {
		p.woken++
		r.g.Add(p.adds)
		if p.panics {
			panic("the waker")
		}
	})
	want := r.m.enter(p)
	got := recovered(func() { p.reg = r.g.Register(w) })
	require.Equal(r.t, want, got)
	r.places = append(r.places, p)
}

// leave stops a registration or ends a wait's context.
func (r *run) leave(p *place) {
	want := r.m.leave(p)
	switch {
	case p.end != nil:
		p.end(errCause)
	case p.reg != nil: // Register may have panicked
		require.Equal(r.t, want, p.reg.Stop())
	}
}

// idle calls Idle, which must return the channel of the line, or a new one.
func (r *run) idle() {
	c := r.g.Idle()
	if r.m.count == 0 {
		require.True(r.t, isClosed(c))
		return
	}
	if r.m.idle == nil {
		require.False(r.t, r.idles[c], "a new one")
		r.m.idle = c
	}
	require.Equal(r.t, r.m.idle, c)
	r.idles[c] = true
}

// check compares all that can be seen.
func (r *run) check() {
	synctest.Wait()
	require.Equal(r.t, r.m.count, r.g.Count())
	require.Equal(r.t, r.m.count == 0, r.g.TryWait())
	for c := range r.idles {
		require.Equal(r.t, c != r.m.idle, isClosed(c))
	}
	for _, p := range r.places {
		r.checkPlace(p)
	}
}

func (r *run) checkPlace(p *place) {
	if p.result == nil {
		want := 0
		if p.released {
			want = 1
		}
		require.True(r.t, p.woken < 0 || p.woken == want, "woken %d times, not %d", p.woken, want)
		return
	}
	select {
	case p.err = <-p.result:
		require.False(r.t, p.ended, "twice")
		p.ended = true
	default:
	}
	require.Equal(r.t, p.released || p.left, p.ended, "returned")
	if p.left {
		require.ErrorIs(r.t, p.err, errCause)
		require.ErrorIs(r.t, p.err, context.Canceled)
	} else {
		require.NoError(r.t, p.err)
	}
}

// finish counts down as often as wakers count up.
func (r *run) finish() {
	for r.m.count > 0 {
		r.add(-r.m.count)
		r.check()
	}
	require.Empty(r.t, r.m.line)
	for _, p := range r.places {
		if p.end != nil {
			p.end(nil)
		}
		if p.reg != nil {
			require.False(r.t, p.reg.Stop())
		}
	}
	requireZero(r.t, &r.g)
}

// TestModel runs random scripts.
func TestModel(t *testing.T) {
	for range testkit.Scale(3000, 300) {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 0))
		script := make([]byte, 2*rng.IntN(60))
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		synctest.Test(t, func(t *testing.T) { runScript(t, script) })
		if t.Failed() {
			t.Fatalf("seed %d, script %q", seed, script)
		}
	}
}

// FuzzGroup drives a Group and its model by the same script.
func FuzzGroup(f *testing.F) {
	for _, script := range [][]byte{
		{},
		{opAdd, 1, opWait, 0, opDone, 0},
		{opAdd, 2, opWait, 0, opRegister, 0, opIdle, 0, opSubtract, 2, opIdle, 0},
		{opAdd, 1, opWait, 0, opEnd, 0, opDone, 0, opEnd, 0},                        // left, then zero
		{opAdd, 1, opRegister, 0, opStop, 0, opStop, 0, opDone, 0, opStop, 0},       // stopped twice
		{opAdd, 1, opRegister, 0, opWait, 0, opSubtract, 2, opMinInt, 0, opDone, 0}, // negative with a line
		{opAdd, 1, opRegisterAdder, 1, opRegister, 0, opDone, 0, opRegister, 0, opDone, 0},
		{opAdd, 1, opIdle, 0, opDone, 0, opAdd, 1, opIdle, 0, opStop, 0}, // one channel per zero
		{opAdd, 1, opRegister, 0, opRegisterPanics, 0, opWait, 0, opDone, 0, opAdd, 1, opRegisterNil, 0},
		{opRegister, 0, opRegisterAdder, 2, opWait, 0, opDeadWait, 0, opMaxInt, 0}, // at zero
	} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 600)]
		synctest.Test(t, func(t *testing.T) { runScript(t, script) })
	})
}

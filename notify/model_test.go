package notify_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// A model is a Notify as the package documentation describes it: a line of numbers and a
// permit. Number i is places[i].
type model struct {
	line   []int
	permit bool
	places []place
}

// A place is the state of a Listener or a Wait.
type place struct {
	picked, handOn, used, stopped bool
	waits                         bool // it is a Wait: it consumes at once
	dies                          bool // its parker ends it when it is woken
}

func (m *model) enter(p place) int {
	i := len(m.places)
	m.places = append(m.places, p)
	if m.permit {
		m.permit = false
		m.picked(i, true)
	} else {
		m.line = append(m.line, i)
	}
	return i
}

func (m *model) picked(i int, handOn bool) {
	p := &m.places[i]
	p.picked, p.handOn, p.used = true, handOn, p.waits
	if p.dies {
		m.abandon(p)
	}
}

// abandon: a waiter that was picked leaves. A wake of NotifyOne or NotifyLast, and the
// permit, are handed on; a wake of NotifyN or NotifyWaiters is dropped.
func (m *model) abandon(p *place) {
	p.used, p.stopped = true, true
	if p.handOn {
		m.notify(first)
	}
}

// notify picks the number at that index, or keeps a permit.
func (m *model) notify(at func(n int) int) {
	if len(m.line) == 0 {
		m.permit = true
		return
	}
	k := at(len(m.line))
	i := m.line[k]
	m.line = slices.Delete(m.line, k, k+1)
	m.picked(i, true)
}

func (m *model) notifyN(k int) int {
	k = min(k, len(m.line))
	taken := m.line[:k]
	m.line = slices.Clone(m.line[k:])
	for _, i := range taken {
		m.picked(i, false)
	}
	return k
}

func (m *model) stop(i int) bool {
	p := &m.places[i]
	if at := slices.Index(m.line, i); at >= 0 {
		m.line = slices.Delete(m.line, at, at+1)
		p.stopped = true
		return true
	}
	if p.picked && !p.used {
		m.abandon(p)
	}
	return false
}

func first(int) int  { return 0 }
func last(n int) int { return n - 1 }

// A bell is a Notify, or one that is broken on purpose.
type bell interface {
	NotifyOne()
	NotifyLast()
	NotifyN(k int) int
	NotifyWaiters() int
	TryWait() bool
	Waiters() int
	Wait(ctx context.Context) error
	Register(w wake.Waker) *notify.Listener
}

// A run drives a Notify and its model by the same script.
type run struct {
	t       require.TestingT
	n       bell
	m       model
	entries []entry // as many as m.places
}

// An entry is a Listener, or a Wait in a goroutine of its own.
type entry struct {
	l      *notify.Listener
	woken  *int
	wait   <-chan error
	cancel context.CancelFunc
	err    error
	ended  bool
}

// runScript takes two bytes a step: what to do, and with which entry.
func runScript(t require.TestingT, n bell, script []byte) {
	r := &run{t: t, n: n}
	defer r.release()
	for ; len(script) >= 2; script = script[2:] {
		r.step(int(script[0]), int(script[1]))
		r.check()
	}
	r.end()
}

func (r *run) step(what, arg int) {
	switch what % 13 {
	case 0:
		r.n.NotifyOne()
		r.m.notify(first)
	case 1:
		r.n.NotifyLast()
		r.m.notify(last)
	case 2:
		require.Equal(r.t, r.m.notifyN(arg%4), r.n.NotifyN(arg%4))
	case 3:
		require.Equal(r.t, r.m.notifyN(len(r.m.line)), r.n.NotifyWaiters())
	case 4:
		require.Equal(r.t, r.m.permit, r.n.TryWait())
		r.m.permit = false
	case 5:
		r.register()
	case 6:
		r.startWait()
	case 7:
		require.Error(r.t, r.n.Wait(doneCtx()))
	case 12:
		r.startDyingWait(arg)
	default:
		if len(r.entries) > 0 {
			r.use(what%13, arg%len(r.entries))
		}
	}
}

func (r *run) register() {
	woken := new(int)
	l := r.n.Register(wake.Func(func() { *woken++ }))
	r.entries = append(r.entries, entry{l: l, woken: woken})
	r.m.enter(place{})
}

func (r *run) startWait() {
	ctx, cancel := context.WithCancel(bg)
	wait := async(func() error { return r.n.Wait(ctx) })
	synctest.Wait() // it is in line, or took the permit
	r.entries = append(r.entries, entry{wait: wait, cancel: cancel})
	r.m.enter(place{waits: true})
}

// A dyingParker does not return from Park when it is woken.
type dyingParker struct {
	wake.Parker
	end func()
}

func (p dyingParker) Park(ctx context.Context) error {
	if err := p.Parker.Park(ctx); err != nil {
		return err
	}
	p.end()
	return nil
}

var errDied = errors.New("the goroutine of Wait has ended")

// startDyingWait begins a Wait that leaves the line when it is picked. One that
// finds the permit does not park.
func (r *run) startDyingWait(how int) {
	end := runtime.Goexit
	if how%2 == 0 {
		end = func() { panic("park") }
	}
	ctx, cancel := context.WithCancel(bg)
	wait := make(chan error, 1)
	go func() {
		err := errDied
		defer func() { recover(); wait <- err }()
		err = r.n.Wait(wake.WithParker(ctx, dyingParker{wake.NewParker(), end}))
	}()
	synctest.Wait()
	r.entries = append(r.entries, entry{wait: wait, cancel: cancel})
	r.m.enter(place{waits: true, dies: !r.m.permit})
}

// release ends the waits of a script that failed, so that its bubble can end.
func (r *run) release() {
	for _, e := range r.entries {
		if e.l == nil {
			e.cancel()
		}
	}
}

// use does something with the i-th entry.
func (r *run) use(what, i int) {
	e, p := &r.entries[i], &r.m.places[i]
	switch {
	case e.l == nil:
		e.cancel()
		r.m.stop(i)
	case what == 8:
		require.Equal(r.t, r.m.stop(i), e.l.Stop())
	case what == 9:
		require.Equal(r.t, p.picked && !p.stopped, e.l.Ready())
		p.used = p.used || p.picked
	case what == 10:
		require.Equal(r.t, p.picked && !p.used, received(e.l.C()))
		p.used = p.used || p.picked
	default:
		r.waitOn(e.l, p)
	}
}

// waitOn waits if the wait can return at once, and otherwise not at all.
func (r *run) waitOn(l *notify.Listener, p *place) {
	require.ErrorIs(r.t, l.Wait(doneCtx()), context.Canceled)
	switch {
	case p.stopped:
		require.ErrorIs(r.t, l.Wait(bg), notify.ErrStopped)
	case p.picked:
		require.NoError(r.t, l.Wait(bg))
		p.used = true
	}
}

func received(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// check compares what can be seen from outside without changing it.
func (r *run) check() {
	synctest.Wait()
	require.Equal(r.t, len(r.m.line), r.n.Waiters())
	for i := range r.entries {
		e, p := &r.entries[i], r.m.places[i]
		if e.l != nil {
			require.Equal(r.t, p.picked, *e.woken == 1, "the waker of %d", i)
			continue
		}
		if !e.ended {
			e.ended, e.err = ended(e.wait)
		}
		require.Equal(r.t, p.picked || p.stopped, e.ended, "the Wait %d", i)
		require.Equal(r.t, p.stopped, e.err != nil, "the Wait %d", i)
	}
}

func ended(wait <-chan error) (bool, error) {
	select {
	case err := <-wait:
		return true, err
	default:
		return false, nil
	}
}

func (r *run) end() {
	for i := range r.entries {
		r.use(8, i)
		r.check()
	}
	require.Equal(r.t, r.m.permit, r.n.TryWait())
	requireIdle(r.t, r.n)
}

// randomScript has up to 60 steps.
func randomScript(seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	script := make([]byte, 2*(1+random.IntN(60)))
	for i := range script {
		script[i] = byte(random.Uint32())
	}
	return script
}

// TestModel runs random scripts against the model.
func TestModel(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for seed := range uint64(rounds) {
		script := randomScript(seed)
		synctest.Test(t, func(t *testing.T) { runScript(t, new(notify.Notify), script) })
		if t.Failed() {
			t.Fatalf("seed %d: script %q", seed, script)
		}
	}
}

// FuzzNotify looks for scripts on which a Notify and its model differ.
func FuzzNotify(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x06\x00"))                 // two permits are one
	f.Add([]byte("\x06\x00\x06\x00\x08\x00\x00\x00"))         // a wait whose context ended is not picked
	f.Add([]byte("\x05\x00\x05\x00\x00\x00\x08\x00\x09\x01")) // Stop hands on
	f.Add([]byte("\x05\x00\x03\x00\x05\x00\x00\x00\x09\x01")) // NotifyWaiters, then NotifyOne
	f.Add([]byte("\x05\x00\x0a\x00\x00\x00\x0a\x00\x08\x00")) // C before and after
	f.Add([]byte("\x05\x00\x06\x00\x05\x00\x02\x02\x01\x00")) // NotifyN, then the last
	f.Add([]byte("\x00\x00\x05\x00\x0b\x00\x08\x00\x04\x00")) // a Listener that took the permit
	f.Add([]byte("\x05\x00\x05\x00\x02\x01\x08\x00\x09\x01")) // Stop drops a wake of NotifyN
	f.Add([]byte("\x0c\x00\x0c\x01\x06\x00\x00\x00\x02\x03")) // two die and hand on; then NotifyN
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) { runScript(t, new(notify.Notify), script[:min(len(script), 400)]) })
	})
}

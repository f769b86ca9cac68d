package soak_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitmap"
)

// ringRounds returns rounds of tasks and operations on one loop that stays, and of
// loops that are created and closed. It returns none without io_uring.
func ringRounds(t testing.TB) []round {
	if err := uringwake.Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Log("without rings: ", err)
		return nil
	}
	u := &ringUse{t: t}
	var err error
	u.loop, err = uringwake.NewLoop(&uringwake.LoopOptions{Entries: 64, OnMessage: func(uint64, int32) {}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, u.loop.Close(context.Background())) })
	u.fill()
	return []round{u.waits, u.waits, u.operations, u.wakes, u.fromGoroutines, u.eventFDs, u.messages, u.loops}
}

type ringUse struct {
	t    testing.TB
	loop *uringwake.Loop
	m    waitmap.Map[int, int]
	n    notify.Notify
}

// fill makes the loop create as many coroutines as there will be tasks at a time,
// because the loop keeps them.
func (u *ringUse) fill() {
	var w worker
	w.during(func(ctx context.Context) {
		for range 6 * workers {
			u.task(&w, ctx, u.loop, func(ctx context.Context) { u.m.Wait(ctx, -1) })
		}
		require.NoError(u.t, u.loop.Post(func() {}))
	})
}

// task runs f as a task that ends with the round.
func (u *ringUse) task(w *worker, ctx context.Context, l *uringwake.Loop, f func(ctx context.Context)) {
	w.bodies.Add(1)
	if err := l.Go(ctx, func(ctx context.Context) { defer w.bodies.Done(); f(ctx) }); err != nil {
		w.bodies.Done()
		u.t.Error(err)
	}
}

// waits has tasks and goroutines that wait for the same things.
func (u *ringUse) waits(w *worker) int {
	k := w.IntN(8)
	w.during(func(ctx context.Context) {
		u.task(w, ctx, u.loop, func(ctx context.Context) { u.m.Wait(ctx, k) })
		u.task(w, ctx, u.loop, func(ctx context.Context) { u.m.Take(ctx, k) })
		u.task(w, ctx, u.loop, func(ctx context.Context) { u.n.Wait(ctx) })
		w.alongside(func() { u.m.Take(ctx, k) })
		w.alongside(func() { u.n.Wait(ctx) })
		runtime.Gosched()
		u.m.Store(k, 1)
		u.n.NotifyOne()
	})
	u.m.Delete(k)
	return 8
}

// operations has operations of tasks: some complete, others are canceled in the
// kernel.
func (u *ringUse) operations(w *worker) int {
	w.during(func(ctx context.Context) {
		u.task(w, lasting, u.loop, func(ctx context.Context) { uringwake.Nop(ctx) })
		u.task(w, ctx, u.loop, func(ctx context.Context) { uringwake.Sleep(ctx, time.Microsecond) })
		u.task(w, ctx, u.loop, func(ctx context.Context) { uringwake.Sleep(ctx, time.Hour) })
		u.task(w, context.Background(), u.loop, func(context.Context) { uringwake.Sleep(ctx, time.Hour) })
		u.task(w, ctx, u.loop, func(ctx context.Context) { uringwake.Read(ctx, -1, nil, 0) })
		u.task(w, ctx, u.loop, func(ctx context.Context) { uringwake.Blocking(ctx, func() {}) })
	})
	return 6
}

// wakes has wakes of a task that parks, of one that runs, and of one that has
// ended.
func (u *ringUse) wakes(w *worker) int {
	started := make(chan *uringwake.Task)
	w.during(func(ctx context.Context) {
		u.task(w, ctx, u.loop, func(ctx context.Context) {
			me := uringwake.TaskFrom(ctx)
			w.alongside(func() { started <- me })
			me.Park(ctx)
			me.Yield()
			me.Park(ctx)
		})
		t := <-started
		w.alongside(t.Wake)
		t.Wake()
		require.NoError(u.t, u.loop.Post(t.Wake))
	})
	return 5
}

func (u *ringUse) fromGoroutines(w *worker) int {
	w.during(func(ctx context.Context) {
		w.alongside(func() { uringwake.Nop(lasting) })
		w.alongside(func() { uringwake.Sleep(ctx, time.Microsecond) })
		w.alongside(func() { uringwake.Sleep(ctx, time.Hour) })
		uringwake.Nop(dead)
	})
	return 4
}

func (u *ringUse) eventFDs(w *worker) int {
	e, err := uringwake.NewEventFD()
	require.NoError(u.t, err)
	w.during(func(ctx context.Context) {
		u.task(w, ctx, u.loop, func(ctx context.Context) { e.Wait(ctx) })
		w.alongside(func() { e.Wait(ctx) })
		e.Wake()
	})
	require.NoError(u.t, e.Close())
	e.Wake()
	return 6
}

func (u *ringUse) messages(w *worker) int {
	m, err := uringwake.NewMsgRing(u.loop.FD(), 7, 1)
	if errors.Is(err, errors.ErrUnsupported) {
		return 1
	}
	require.NoError(u.t, err)
	m.Wake()
	m.Wake()
	require.NoError(u.t, m.Close())
	return 4
}

// loops creates and closes loops, in few rounds, because the kernel needs time for
// that.
func (u *ringUse) loops(w *worker) int {
	if w.IntN(20) > 0 {
		return 0
	}
	r, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: 2})
	require.NoError(u.t, err)
	for _, l := range r.Loops() {
		u.task(w, context.Background(), l, func(ctx context.Context) { uringwake.Sleep(ctx, time.Hour) })
		u.task(w, context.Background(), l, func(ctx context.Context) { u.m.Wait(ctx, -1) })
	}
	require.NoError(u.t, r.Close(context.Background()))
	w.bodies.Wait()
	return 6
}

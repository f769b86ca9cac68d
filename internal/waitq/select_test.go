package waitq_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// selectResult is what a Select returned.
type selectResult struct {
	chosen int
	err    error
}

// goSelect starts a Select in a goroutine. A result is not sent if it panics or exits.
func goSelect(ctx context.Context, cases ...wake.Case) <-chan selectResult {
	c := make(chan selectResult, 1)
	go func() {
		defer close(c)
		defer func() { _ = recover() }()
		i, err := waitq.Select(ctx, cases)
		c <- selectResult{i, err}
	}()
	return c
}

// laggard is a parker whose Park returns late: when the test says so.
type laggard struct {
	wake.Parker
	goOn chan struct{}
}

func newLaggard() *laggard { return &laggard{wake.NewParker(), make(chan struct{})} }

func (l *laggard) Park(ctx context.Context) error {
	err := l.Parker.Park(ctx)
	<-l.goOn
	return err
}

func (l *laggard) under(ctx context.Context) context.Context { return wake.WithParker(ctx, l) }

func TestSelectTriesInOrder(t *testing.T) {
	var a, b stock
	var x, y int
	a.put(2)
	b.put(3)
	i, err := waitq.Select(bg, []wake.Case{nil, a.on(5, &x), b.on(3, &y), a.on(1, &x)})
	require.NoError(t, err)
	require.Equal(t, 2, i, "the first that is possible")
	require.Equal(t, []int{0, 3}, []int{x, y})
	i, err = waitq.Select(bg, []*taking{a.on(9, &x), a.on(1, &x), b.on(1, &y)})
	require.NoError(t, err)
	require.Equal(t, 1, i)
	requireStock(t, 1, &a)
	requireStock(t, 0, &b)
}

func TestSelectOneCaseHappens(t *testing.T) {
	for n := range 7 { // with room, and without
		synctest.Test(t, func(t *testing.T) {
			stocks, got := make([]stock, n+1), make([]int, n+1)
			cases := make([]wake.Case, n+1)
			for i := range stocks {
				cases[i] = stocks[i].on(1, &got[i])
			}
			for range 3 { // the cases are used again
				c := goSelect(bg, cases...)
				synctest.Wait()
				require.Empty(t, c)
				stocks[n].put(1)
				require.Equal(t, selectResult{chosen: n}, <-c)
				for i := range stocks {
					requireStock(t, 0, &stocks[i])
				}
				require.Equal(t, 1, got[n])
				got[n] = 0
			}
			require.Equal(t, make([]int, n+1), got)
		})
	}
}

// TestSelectThatHasItsCaseIsPassedOver: it is still in another line, and what it would
// get there goes to the next.
func TestSelectThatHasItsCaseIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b stock
		var x, y, z int
		l := newLaggard()
		first := goSelect(l.under(bg), a.on(1, &x), b.on(1, &x))
		synctest.Wait()
		second := goSelect(bg, b.on(1, &y), a.on(1, &y))
		synctest.Wait()
		third := goSelect(bg, a.on(1, &z))
		synctest.Wait()

		a.put(1) // the first one's
		synctest.Wait()
		b.put(1)
		require.Equal(t, selectResult{chosen: 0}, <-second)
		require.Empty(t, first)
		require.Empty(t, third)
		a.put(1)
		require.Equal(t, selectResult{chosen: 0}, <-third)
		b.put(1)
		close(l.goOn)
		require.Equal(t, selectResult{chosen: 0}, <-first)
		require.Equal(t, []int{1, 1, 1}, []int{x, y, z})
		requireStock(t, 0, &a)
		requireStock(t, 1, &b)
	})
}

// TestSelectLooksAgainInLine: what came after the first look is taken, and the lines in
// which the Select is are left.
func TestSelectLooksAgainInLine(t *testing.T) {
	var a, b, c stock
	var got int
	cases := []wake.Case{a.on(1, &got), b.on(1, &got), c.on(1, &got)}
	c.enters = func() { b.put(1); c.put(1) } // b first: c's claim fails
	i, err := waitq.Select(bg, cases)
	require.Equal(t, selectResult{chosen: 1}, selectResult{i, err})
	requireStock(t, 0, &b)
	requireStock(t, 1, &c)
	c.n = 0
	c.enters = func() { c.put(1) }
	i, err = waitq.Select(bg, cases)
	require.Equal(t, selectResult{chosen: 2}, selectResult{i, err})
	for _, s := range []*stock{&a, &b, &c} {
		requireStock(t, 0, s)
	}
}

func TestSelectEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b stock
		for _, cases := range [][]wake.Case{{a.on(1, nil), b.on(1, nil)}, {nil, nil}, {}} {
			ctx, cancel := context.WithTimeoutCause(bg, time.Hour, errCause)
			begin := time.Now()
			i, err := waitq.Select(ctx, cases)
			require.Equal(t, time.Hour, time.Since(begin))
			require.Equal(t, -1, i)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, errCause)
			requireStock(t, 0, &a)
			requireStock(t, 0, &b)
			cancel()
		}
	})
}

// TestSelectOnAnEndedContext takes nothing, but sees what it need not take.
func TestSelectOnAnEndedContext(t *testing.T) {
	var a stock
	var got int
	a.put(1)
	i, err := waitq.Select(ended(), []wake.Case{a.on(1, &got)})
	require.Equal(t, -1, i)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, errCause)
	requireStock(t, 1, &a)
	i, err = waitq.Select(ended(), []wake.Case{a.on(1, &got), a.on(0, &got)})
	require.Equal(t, selectResult{chosen: 1}, selectResult{i, err})
	requireStock(t, 1, &a)
}

// TestSelectCaseWinsOverTheContext, which ends between the claim and the Select's look.
func TestSelectCaseWinsOverTheContext(t *testing.T) {
	var a, b stock
	var got int
	ctx := wake.WithParker(bg, parkFunc(func(context.Context) error {
		b.put(2)
		return errCause
	}))
	i, err := waitq.Select(ctx, []wake.Case{a.on(1, &got), b.on(2, &got)})
	require.Equal(t, selectResult{chosen: 1}, selectResult{i, err})
	require.Equal(t, 2, got)
	requireStock(t, 0, &a)
	requireStock(t, 0, &b)
}

// TestSelectParkerFails: its error is returned if the context has not ended.
func TestSelectParkerFails(t *testing.T) {
	var a stock
	ctx := wake.WithParker(bg, parkFunc(func(context.Context) error { return errCause }))
	i, err := waitq.Select(ctx, []wake.Case{a.on(1, nil)})
	require.Equal(t, selectResult{-1, errCause}, selectResult{i, err})
	requireStock(t, 0, &a)
}

// TestSelectThatLeavesServesWhoStoodBehind, whether it has withdrawn or another case has
// happened.
func TestSelectThatLeavesServesWhoStoodBehind(t *testing.T) {
	for how, end := range map[string]func(cancel func(), b *stock){
		"withdrawn": func(cancel func(), _ *stock) { cancel() },
		"chosen":    func(_ func(), b *stock) { b.put(1) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var a, b stock
			var got int
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			first := goSelect(ctx, a.on(2, nil), b.on(1, nil))
			synctest.Wait()
			second := goSelect(bg, b.on(9, nil), a.on(1, &got))
			synctest.Wait()
			a.put(1) // too little for the first
			synctest.Wait()
			require.Empty(t, second, how)
			end(cancel, &b)
			<-first
			require.Equal(t, selectResult{chosen: 1}, <-second, how)
			require.Equal(t, 1, got)
			requireStock(t, 0, &a)
			requireStock(t, 0, &b)
		})
	}
}

var strikes = map[string]func(){"panic": func() { panic(errCause) }, "Goexit": runtime.Goexit}

// TestSelectParkerMisbehaves: no waiter stays in line, and what the Select got is given
// back, to the next in line.
func TestSelectParkerMisbehaves(t *testing.T) {
	for how, strike := range strikes {
		for _, chosen := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var a, b, c stock
				var got, next int
				var behind <-chan selectResult
				ctx := wake.WithParker(bg, parkFunc(func(context.Context) error {
					behind = goSelect(bg, b.on(1, &next))
					synctest.Wait()
					if chosen {
						b.put(1)
					}
					strike()
					return nil
				}))
				_, returned := <-goSelect(ctx, a.on(1, &got), b.on(1, &got), c.on(1, &got))
				require.False(t, returned, how)
				requireStock(t, 0, &a)
				requireStock(t, 0, &c)
				if !chosen {
					require.Equal(t, 0, b.undone)
					synctest.Wait()
					require.Empty(t, behind)
					b.put(1)
				} else {
					require.Equal(t, 1, b.undone)
				}
				require.Equal(t, selectResult{}, <-behind)
				require.Equal(t, []int{0, 1}, []int{got, next})
				requireStock(t, 0, &b)
			})
		}
	}
}

// TestSelectWakerMisbehaves: leaving the first line lets another waiter in, whose waker
// panics. The other lines are left, too, and what the Select got is given back.
func TestSelectWakerMisbehaves(t *testing.T) {
	for how, strike := range strikes {
		synctest.Test(t, func(t *testing.T) {
			var a, b, c stock
			var got int
			ctx := wake.WithParker(bg, parkFunc(func(context.Context) error {
				a.push(1, wake.Func(strike))
				a.put(1)
				b.put(1)
				return nil
			}))
			_, returned := <-goSelect(ctx, a.on(2, &got), b.on(1, &got), c.on(1, &got))
			require.False(t, returned, how)
			require.Equal(t, 1, b.undone, how)
			require.Zero(t, got)
			requireStock(t, 0, &a)
			requireStock(t, 1, &b)
			requireStock(t, 0, &c)
		})
	}
}

// TestSelectUnwindsPastWakers: Park panics, and so do the wakers of those that are let in
// when the Select leaves. It leaves all lines nevertheless.
func TestSelectUnwindsPastWakers(t *testing.T) {
	for how, strike := range strikes {
		var a, b, c stock
		ctx := wake.WithParker(bg, parkFunc(func(context.Context) error {
			for _, s := range []*stock{&a, &b} {
				s.push(1, wake.Func(strike))
				s.put(1)
			}
			strike()
			return nil
		}))
		_, returned := <-goSelect(ctx, a.on(2, nil), b.on(2, nil), c.on(1, nil))
		require.False(t, returned, how)
		for _, s := range []*stock{&a, &b, &c} {
			requireStock(t, 0, s)
		}
	}
}

// TestSelectWithdrawsBeforeItLeaves: what comes to one of its lines while it leaves
// another one is not its own any more, whether Park has failed or has panicked.
func TestSelectWithdrawsBeforeItLeaves(t *testing.T) {
	strikes := map[string]func(){"fails": func() {}, "panics": strikes["panic"], "exits": strikes["Goexit"]}
	for how, strike := range strikes {
		var a, b stock
		var got int
		ctx := wake.WithParker(bg, parkFunc(func(context.Context) error {
			a.push(1, wake.Func(func() { b.put(1) }))
			a.put(1)
			strike()
			return errCause
		}))
		r, returned := <-goSelect(ctx, a.on(2, &got), b.on(1, &got))
		require.Equal(t, how == "fails", returned, how)
		if returned {
			require.Equal(t, selectResult{-1, errCause}, r)
		}
		require.Zero(t, got)
		requireStock(t, 0, &a)
		requireStock(t, 1, &b)
		require.Zero(t, b.undone)
	}
}

// TestSelectEnterMisbehaves: the lines before are left, and what came there meanwhile is
// given back.
func TestSelectEnterMisbehaves(t *testing.T) {
	for how, strike := range strikes {
		for _, chosen := range []bool{false, true} {
			var a, b, c stock
			b.enters = func() {
				if chosen {
					a.put(1)
				}
				strike()
			}
			_, returned := <-goSelect(bg, a.on(1, nil), b.on(1, nil), c.on(1, nil))
			require.False(t, returned, how)
			requireStock(t, map[bool]int{true: 1}[chosen], &a)
			requireStock(t, 0, &b)
			requireStock(t, 0, &c)
		}
	}
}

// TestSelectContextMisbehaves: no waiter stays in line.
func TestSelectContextMisbehaves(t *testing.T) {
	callsBack := 0
	var a, b stock
	callBack := func() {
		callsBack++
		_ = a.waiters() + b.waiters() // would hang if one were locked
	}
	for name, ctx := range misbehave.Armables(callBack) {
		p := &misbehave.First{Parker: wake.NewParker(), First: func() { ctx.Armed = true }}
		returned, err := misbehave.Outcome(func() error {
			_, err := waitq.Select(wake.WithParker(ctx, p), []wake.Case{a.on(1, nil), b.on(1, nil)})
			return err
		})
		require.Equal(t, ctx.Orderly, returned, name)
		require.Equal(t, returned, err != nil, name)
		requireStock(t, 0, &a)
		requireStock(t, 0, &b)
	}
	require.NotZero(t, callsBack)
}

// askedContext says that it has ended, and calls f first.
type askedContext struct {
	context.Context
	over bool
	f    func()
}

func (c *askedContext) Err() error {
	if !c.over {
		return nil
	}
	c.f()
	return context.Canceled
}

// TestSelectAsksItsContextOutOfLine: while a method of the context runs, the Select
// holds up no waiter behind it.
func TestSelectAsksItsContextOutOfLine(t *testing.T) {
	var a, b stock
	asked := 0
	ctx := &askedContext{Context: bg}
	ctx.f = func() {
		asked++
		require.Zero(t, a.waiters()+b.waiters())
	}
	p := parkFunc(func(context.Context) error { ctx.over = true; return errCause })
	i, err := waitq.Select(wake.WithParker(ctx, p), []wake.Case{a.on(2, nil), b.on(1, nil)})
	require.Equal(t, -1, i)
	require.ErrorIs(t, err, context.Canceled)
	require.NotZero(t, asked)
}

// TestSelectNilContext panics, and is in no line.
func TestSelectNilContext(t *testing.T) {
	var a stock
	require.Panics(t, func() { _, _ = waitq.Select(nilCtx, []wake.Case{a.on(1, nil)}) })
	requireStock(t, 0, &a)
}

// TestSelectCaseEndsWithItsOwnError: the case is chosen.
func TestSelectCaseEndsWithItsOwnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b stock
		c := goSelect(bg, a.on(1, nil), b.on(1, nil))
		synctest.Wait()
		list := b.detach(errCause)
		list.Release()
		require.Equal(t, selectResult{1, errCause}, <-c)
		requireStock(t, 0, &a)
	})
}

// TestSelectIsDurablyBlocked in a bubble, also if Select was used outside before, and
// the other way around.
func TestSelectIsDurablyBlocked(t *testing.T) {
	var outer stock
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			var a stock
			for range 3 {
				begin := time.Now()
				time.AfterFunc(time.Hour, func() { a.put(1) })
				i, err := waitq.Select(bg, []wake.Case{nil, a.on(1, nil)})
				require.Equal(t, selectResult{chosen: 1}, selectResult{i, err})
				require.Equal(t, time.Hour, time.Since(begin))
			}
		})
		for range 3 {
			outer.enters = func() { go outer.put(1) }
			i, err := waitq.Select(bg, []wake.Case{outer.on(1, nil)})
			require.Equal(t, selectResult{}, selectResult{i, err})
		}
	}
}

// TestSelectStaleClaim: a line was detached with a waiter whose Select ended before the
// waiter was released. That claims no later Select.
func TestSelectStaleClaim(t *testing.T) {
	for range 100 {
		var a, b stock
		var list waitq.List[units]
		ctx := wake.WithParker(bg, parkFunc(func(context.Context) error {
			list = a.detach(errors.New("stale"))
			return errCause
		}))
		_, err := waitq.Select(ctx, []wake.Case{a.on(1, nil), b.on(1, nil)})
		require.Equal(t, errCause, err)
		ctx = wake.WithParker(bg, parkFunc(func(context.Context) error {
			list.Release()
			b.put(1)
			return nil
		}))
		i, err := waitq.Select(ctx, []wake.Case{a.on(1, nil), b.on(1, nil)})
		require.Equal(t, selectResult{chosen: 1}, selectResult{i, err})
	}
}

// TestSelectLateWake: a Select returns before its notifier has called the waker. That
// call wakes no later Select.
func TestSelectLateWake(t *testing.T) {
	for range 100 {
		var a, b stock
		var won waitq.List[units]
		ctx := wake.WithParker(bg, parkFunc(func(context.Context) error {
			won = a.serve(1)
			return nil
		}))
		cases := []wake.Case{a.on(1, nil), b.on(1, nil)}
		before := wake.WithParker(bg, parkFunc(func(context.Context) error { a.put(1); return nil }))
		_, err := waitq.Select(before, cases) // leaves arms that were called
		require.NoError(t, err)
		i, err := waitq.Select(ctx, cases)
		require.Equal(t, selectResult{}, selectResult{i, err})
		p := &misbehave.First{Parker: wake.NewParker()}
		p.First = func() {
			wakeAll(won)
			require.Zero(t, p.Wakes)
			b.put(1)
		}
		i, err = waitq.Select(wake.WithParker(bg, p), cases)
		require.Equal(t, selectResult{chosen: 1}, selectResult{i, err})
		require.Equal(t, 1, p.Wakes)
		requireStock(t, 0, &a)
		requireStock(t, 0, &b)
	}
}

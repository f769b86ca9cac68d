package await_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// TestSelectWithoutCasesWaitsForItsContext, and so does one whose cases are nil.
func TestSelectWithoutCasesWaitsForItsContext(t *testing.T) {
	for _, cases := range [][]wake.Case{nil, {nil}, {nil, nil, nil, nil, nil}} {
		synctest.Test(t, func(t *testing.T) {
			why := errors.New("why")
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, why)
			defer cancel()
			start := time.Now()
			i, err := await.Select(ctx, cases...)
			require.Equal(t, -1, i)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, why)
			require.Equal(t, time.Hour, time.Since(start))
		})
	}
}

// TestSelectOfManyKinds over an object of each package: each of them ends it.
func TestSelectOfManyKinds(t *testing.T) {
	for _, want := range []int{1, 2, 3, 5} {
		synctest.Test(t, func(t *testing.T) {
			var (
				n notify.Notify
				g waitgroup.Group
				v await.Value[int]
			)
			g.Add(1)
			chosen := make(chan int)
			go func() {
				i, err := await.Select(t.Context(), nil, n.OnNotify(), g.OnZero(), v.OnNewer(0, nil, nil), nil, await.After(time.Hour))
				if err != nil {
					i = -1
				}
				chosen <- i
			}()
			synctest.Wait()
			require.Equal(t, 1, n.Waiters())
			require.Equal(t, 1, v.Waiters())
			switch want {
			case 1:
				n.NotifyOne()
			case 2:
				g.Done()
			case 3:
				v.Store(1)
			case 5:
				time.Sleep(time.Hour)
			}
			require.Equal(t, want, <-chosen)
			require.Zero(t, n.Waiters())
			require.Zero(t, v.Waiters())
		})
	}
}

// TestSelectOfANilContext panics and says so.
func TestSelectOfANilContext(t *testing.T) {
	var none context.Context
	var v await.Value[int]
	for _, f := range []func(){
		func() { _, _ = await.Select(none) },
		func() { _ = await.Sleep(none, 0) },
		func() { _, _, _ = v.WaitNewer(none, 0) },
		func() { v.Watch(none) },
	} {
		require.PanicsWithValue(t, "await: nil context", f)
	}
}

// TestSelectThatUnwindsLeavesNothing: whatever a context and a parker do, before a case
// has happened or after, no waiter stays in line and a wake is consumed once or kept.
func TestSelectThatUnwindsLeavesNothing(t *testing.T) {
	for what := range misbehave.Armables(nil) {
		for park, strike := range misbehave.Parks {
			for _, notified := range []bool{false, true} {
				var (
					n notify.Notify
					v await.Value[int]
				)
				c := misbehave.Armables(func() { n.Waiters(); v.Load() })[what]
				p := &misbehave.First{Parker: wake.NewParker(), Strike: strike, First: func() {
					if notified {
						n.NotifyOne()
					}
					c.Armed = true
				}}
				returned, err := misbehave.Outcome(func() error {
					_, err := await.Select(wake.WithParker(c, p), v.OnNewer(0, nil, nil), await.After(time.Hour), n.OnNotify())
					return err
				})
				require.Zero(t, n.Waiters())
				require.Zero(t, v.Waiters())
				consumed := returned && err == nil
				require.False(t, consumed && !notified)
				require.Equal(t, notified && !consumed, n.TryWait(), "%s, %s", what, park)
			}
		}
	}
}

// TestSelectOfACaseInUse by another Select panics, and changes nothing for that one.
func TestSelectOfACaseInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		c := n.OnNotify()
		ended := make(chan int, 1)
		go func() {
			chosen, _ := await.Select(context.Background(), c)
			ended <- chosen
		}()
		synctest.Wait()
		require.PanicsWithValue(t, "await: a Case is used by two Selects at the same time", func() {
			_, _ = await.Select(context.Background(), nil, c)
		})
		n.NotifyOne()
		require.Equal(t, 0, <-ended)
		require.Zero(t, n.Waiters())
	})
}

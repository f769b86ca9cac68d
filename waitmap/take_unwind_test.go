package waitmap_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// A servedParker does not return from Park, although its taker is handed a value meanwhile.
type servedParker struct {
	wake.Waker
	served func()
	leave  func()
}

func (p servedParker) Park(context.Context) error {
	p.served()
	p.leave()
	return nil
}

// leaveServed runs a Take that is handed what served stores, and does not
// return.
func leaveServed(t *testing.T, m *intMap, served, leave func()) {
	t.Helper()
	ctx := wake.WithParker(bg, servedParker{wake.Func(func() {}), served, leave})
	require.False(t, outlive(func() { m.Take(ctx, "a") }))
}

// overLeaves runs f in a bubble for every construction and way not to return.
func overLeaves(t *testing.T, f func(t *testing.T, m *intMap, leave func())) {
	for how, leave := range leaves {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) { f(t, m, leave) })
		})
	}
}

// TestTakenValueIsNotLost: the value of a taker whose Park panics or ends the goroutine is
// stored under the key.
func TestTakenValueIsNotLost(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		leaveServed(t, m, func() {
			m.Store("a", 1)
			require.Zero(t, m.Len(), "it was handed over")
		}, leave)
		requireContents(t, map[string]int{"a": 1}, m)
		requireIdle(t, m)
	})
}

// TestTakenValueGoesToTheNext taker in line, and waiters in Wait see it.
func TestTakenValueGoesToTheNext(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		var next, last, witness <-chan result[int]
		leaveServed(t, m, func() {
			next, last = startTake(m, bg, "a"), startTake(m, bg, "a")
			m.Store("a", 1)
			witness = waitFun(waits["Wait"]).start(m, bg, "a")
		}, leave)
		requireValue(t, 1, next)
		requireValue(t, 1, witness)
		synctest.Wait()
		requirePending(t, last)
		m.Store("a", 2)
		requireValue(t, 2, last)
		requireContents(t, map[string]int{}, m)
		requireIdle(t, m)
	})
}

// TestTakenValueIsOverwritten by a newer one that is there.
func TestTakenValueIsOverwritten(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		leaveServed(t, m, func() {
			m.Store("a", 1)
			m.Store("a", 2)
		}, leave)
		requireContents(t, map[string]int{"a": 2}, m)
		requireIdle(t, m)
	})
}

// TestTakenValueMeetsAComputation, which is not disturbed: the value comes
// when it is over, whatever it does.
func TestTakenValueMeetsAComputation(t *testing.T) {
	for _, op := range []waitmap.Op{waitmap.KeepOp, waitmap.StoreOp, waitmap.DeleteOp} {
		overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
			begun, finish := make(chan struct{}), make(chan struct{})
			computed, gone := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(gone)
				leaveServed(t, m, func() {
					m.Store("a", 1)
					go func() {
						defer close(computed)
						m.Compute("a", func(_ int, loaded bool) (int, waitmap.Op) {
							require.False(t, loaded)
							close(begun)
							<-finish
							return 2, op
						})
					}()
					<-begun
				}, leave)
			}()
			synctest.Wait()
			close(finish)
			<-computed
			<-gone
			want := 1
			if op == waitmap.StoreOp {
				want = 2
			}
			requireContents(t, map[string]int{"a": want}, m)
			requireIdle(t, m)
		})
	}
}

// TestNothingIsGivenBack by a taker that was canceled or had nothing.
func TestNothingIsGivenBack(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		leaveServed(t, m, func() { m.Cancel("a") }, leave)
		leaveServed(t, m, func() {}, leave)
		requireContents(t, map[string]int{}, m)
		requireIdle(t, m)
	})
}

// A moodyParker may take its permit and not return.
type moodyParker struct{ wake.Parker }

func (p moodyParker) Park(ctx context.Context) error {
	err := p.Parker.Park(ctx)
	switch rand.IntN(4) {
	case 0:
		panic("moody")
	case 1:
		runtime.Goexit()
	}
	return err
}

// TestStressTakersThatDoNotReturn: every value reaches just one taker that
// does, though others are picked for it and leave.
func TestStressTakersThatDoNotReturn(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		defer shaken(5)()
		m := newMap()
		n := testkit.Scale(100, 30)
		ctx, cancel := context.WithCancel(bg)
		got := make([]atomic.Int32, n)
		var taken atomic.Int64
		var takers sync.WaitGroup
		for range 4 {
			takers.Go(func() {
				for ctx.Err() == nil {
					outlive(func() {
						v, err := m.Take(wake.WithParker(ctx, moodyParker{wake.NewParker()}), 1)
						if err == nil {
							got[v].Add(1)
							taken.Add(1)
						}
					})
				}
			})
		}
		for v := range n {
			m.Store(1, v)
			testkit.SpinUntil(func() bool { return taken.Load() == int64(v+1) })
		}
		cancel()
		takers.Wait()
		for v := range got {
			require.EqualValues(t, 1, got[v].Load(), "value %d", v)
		}
		require.Zero(t, m.Len())
		requireIdle(t, m)
	})
}

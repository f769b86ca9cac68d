package waitmap_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// choose is what await.Select does.
func choose(ctx context.Context, cases ...wake.Case) (int, error) {
	waitq.MustContext(ctx, "waitmap_test")
	return waitq.Select(ctx, cases)
}

// A chosen is what a Select over two cases returned.
type chosen struct {
	i int
	v [2]int // the variable of each case
}

// A caseOf is OnStore or OnTake.
type caseOf func(m *intMap, key string, v *int) wake.Case

var casesOf = map[string]caseOf{
	"OnStore": (*intMap).OnStore,
	"OnTake":  (*intMap).OnTake,
}

func overCases(t *testing.T, f func(t *testing.T, m *intMap, on caseOf)) {
	for name, on := range casesOf {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) { f(t, m, on) })
		})
	}
}

// startChoice starts a Select over "a" and "b" and returns once it is in line.
func startChoice(m *intMap, ctx context.Context, on caseOf) <-chan result[chosen] {
	return startIn(func() (c chosen, err error) {
		c.i, err = choose(ctx, on(m, "a", &c.v[0]), on(m, "b", &c.v[1]))
		return c, err
	})
}

// TestOneCaseHappens: the other one is as if never begun.
func TestOneCaseHappens(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		for name, store := range stores {
			w := startChoice(m, bg, on)
			require.Equal(t, 1, m.Waiters("a"), name)
			require.Equal(t, 1, m.Waiters("b"), name)
			store(m, "b")
			m.Store("a", 7)
			requireValue(t, chosen{1, [2]int{0, 1}}, w)
			requireIdle(t, m)
			v, ok := m.Load("a")
			require.True(t, ok, "the other case took the value")
			require.Equal(t, 7, v)
			m.Clear()
		}
	})
}

// TestEarliestCaseHappens if several are ready.
func TestEarliestCaseHappens(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		m.Store("b", 2)
		m.Store("c", 3)
		var b, c int
		i, err := choose(bg, on(m, "a", nil), on(m, "c", &c), on(m, "b", &b))
		require.NoError(t, err)
		require.Equal(t, []int{1, 3, 0}, []int{i, c, b})
		requireIdle(t, m)
	})
}

// TestTakeCaseConsumes only if it is chosen, and OnStore consumes nothing.
func TestTakeCaseConsumes(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		m.Store("b", 2)
		i, err := choose(bg, nil, m.OnTake("b", nil), m.OnTake("a", nil))
		require.NoError(t, err)
		require.Equal(t, 1, i)
		requireContents(t, map[string]int{"a": 1}, m)
		i, err = choose(bg, m.OnStore("a", nil), m.OnTake("a", nil))
		require.NoError(t, err)
		require.Zero(t, i)
		requireContents(t, map[string]int{"a": 1}, m)
	})
}

// TestCaseOnDoneContext: what consumes nothing is chosen, what consumes is not tried.
func TestCaseOnDoneContext(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		var v int
		i, err := choose(doneCtx(), m.OnTake("a", &v))
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, -1, i)
		require.Zero(t, v)
		i, err = choose(doneCtx(), m.OnTake("a", nil), m.OnStore("a", &v))
		require.NoError(t, err)
		require.Equal(t, []int{1, 1}, []int{i, v})
		requireContents(t, map[string]int{"a": 1}, m)
		m.Close()
		m.Clear()
		i, err = choose(doneCtx(), m.OnTake("a", nil), m.OnStore("a", nil))
		require.Equal(t, waitmap.ErrClosed, err, "as Wait says")
		require.Equal(t, 1, i)
	})
}

// TestCancelChoosesItsCase, and the error leaves the variable alone.
func TestCancelChoosesItsCase(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		w := startChoice(m, bg, on)
		require.Equal(t, 1, m.CancelCause("b", errCause))
		require.Zero(t, m.Cancel("a"), "a wait that another case has ended")
		r := <-w
		require.ErrorIs(t, r.err, waitmap.ErrCanceled)
		require.ErrorIs(t, r.err, errCause)
		require.Equal(t, chosen{i: 1}, r.v)

		v := 5
		w2 := startIn(func() (int, error) { return choose(bg, on(m, "a", &v)) })
		require.Equal(t, 1, m.CancelAll())
		requireError(t, waitmap.ErrCanceled, w2)
		require.Equal(t, 5, v)
		requireIdle(t, m)
	})
}

// TestCloseChoosesACase, in line and before; a value that is there comes first.
func TestCloseChoosesACase(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		w := startChoice(m, bg, on)
		m.Close()
		requireError(t, waitmap.ErrClosed, w)
		requireIdle(t, m)
		i, err := choose(bg, on(m, "a", nil), on(m, "b", nil))
		require.Equal(t, waitmap.ErrClosed, err)
		require.Zero(t, i)
		m.Store("a", 3)
		var v int
		i, err = choose(bg, on(m, "a", &v), on(m, "b", nil))
		require.NoError(t, err)
		require.Equal(t, []int{0, 3}, []int{i, v})
		requireIdle(t, m)
	})
}

// TestCaseIsUsedAgain after all ways in which its Select ends, also if others are in
// the line that it opened.
func TestCaseIsUsedAgain(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		var v int
		c, other := on(m, "a", &v), on(m, "b", nil)
		start := func(ctx context.Context) <-chan result[int] {
			return startIn(func() (int, error) { return choose(ctx, other, c) })
		}
		behind := func() *waitmap.Future[int] { return m.Register("a", nil) }
		for round := range 3 {
			for _, crowd := range []bool{false, true} {
				w := start(bg)
				var f *waitmap.Future[int]
				if crowd {
					f = behind()
				}
				m.Store("a", round)
				requireValue(t, 1, w)
				require.Equal(t, round, v)
				m.Clear()

				w = start(bg)
				if crowd {
					requireResult(t, f, round, nil)
					f = behind()
				}
				m.Store("b", round)
				requireValue(t, 0, w)
				m.Clear()

				ctx, cancel := context.WithCancel(bg)
				w = start(ctx)
				cancel()
				requireError(t, context.Canceled, w)
				if crowd {
					requireUndone(t, f)
					require.Equal(t, 1, m.Waiters("a"))
					f.Stop()
				}

				w = start(bg)
				m.Cancel("a")
				requireError(t, waitmap.ErrCanceled, w)
				m.Store("a", round+10)
				requireValue(t, 1, start(bg))
				require.Equal(t, round+10, v)
				m.Clear()
				requireIdle(t, m)
			}
		}
	})
}

// TestCaseTwiceInOneSelect is in line once, at its first place.
func TestCaseTwiceInOneSelect(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		c := on(m, "a", nil)
		for range 2 {
			w := startIn(func() (int, error) { return choose(bg, c, c) })
			require.Equal(t, 1, m.Waiters("a"))
			m.Store("a", 1)
			requireValue(t, 0, w)
			m.Delete("a")
			requireIdle(t, m)
		}
	})
}

// A lateParker returns from Park when awake is closed, and not before.
type lateParker struct {
	wake.Parker
	awake chan struct{}
}

func (p lateParker) Park(ctx context.Context) error {
	<-p.awake
	return p.Parker.Park(ctx)
}

// chosenButInLine starts a Select over "a" and "b" that stays in the line of "b" although
// its first case has happened, until leave is called.
func chosenButInLine(m *intMap, on caseOf) (w <-chan result[chosen], leave func()) {
	p := lateParker{wake.NewParker(), make(chan struct{})}
	w = startChoice(m, wake.WithParker(bg, p), on)
	m.Store("a", 9)
	return w, func() { close(p.awake) }
}

// TestChosenSelectIsPassedOver by every store: only the next waiter gets the value.
func TestChosenSelectIsPassedOver(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		for name, store := range stores {
			for _, next := range []string{"nobody", "Take", "Wait", "Select"} {
				w, leave := chosenButInLine(m, on)
				require.Equal(t, 1, m.Waiters("b"))
				var got <-chan result[int]
				switch next {
				case "Take", "Wait":
					got = waitFun(waits[next]).start(m, bg, "b")
				case "Select":
					got = startIn(func() (v int, err error) { _, err = choose(bg, m.OnTake("b", &v)); return v, err })
				}
				store(m, "b")
				if got != nil {
					requireValue(t, 1, got)
				}
				v, ok := m.Load("b")
				require.Equal(t, next == "nobody" || next == "Wait", ok, "%s, then %s", name, next)
				if ok {
					require.Equal(t, 1, v)
				}
				requireIdle(t, m)
				m.Delete("b")
				later := waitFun(waits["Take"]).start(m, bg, "b")
				leave()
				requireValue(t, chosen{0, [2]int{9, 0}}, w)
				require.Equal(t, 1, m.Waiters("b"), "it left another one's place")
				m.Store("b", 2)
				requireValue(t, 2, later)
				m.Clear()
			}
		}
	})
}

// TestChosenSelectIsNotCanceled, and Cancel does not count it.
func TestChosenSelectIsNotCanceled(t *testing.T) {
	cancels := map[string]func(m *intMap) int{
		"Cancel":    func(m *intMap) int { return m.Cancel("b") },
		"CancelAll": func(m *intMap) int { return m.CancelAll() },
		"Close":     func(m *intMap) int { m.Close(); return 0 },
	}
	for name, cancel := range cancels {
		t.Run(name, func(t *testing.T) {
			overCases(t, func(t *testing.T, m *intMap, on caseOf) {
				w, leave := chosenButInLine(m, on)
				require.Zero(t, cancel(m))
				requireIdle(t, m)
				leave()
				requireValue(t, chosen{0, [2]int{9, 0}}, w)
				requireIdle(t, m)
			})
		})
	}
}

// TestSelectLeavesALine that others are in, in front of it and behind it.
func TestSelectLeavesALine(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		front := startTake(m, bg, "b")
		ctx, cancel := context.WithCancel(bg)
		w := startChoice(m, ctx, on)
		back := startTake(m, bg, "b")
		cancel()
		requireError(t, context.Canceled, w)
		require.Equal(t, 2, m.Waiters("b"))
		m.Store("b", 1)
		m.Store("b", 2)
		requireValue(t, 1, front)
		requireValue(t, 2, back)
		requireIdle(t, m)
		require.Zero(t, m.Len())
	})
}

// TestValueOfASelectThatDoesNotReturn is stored again if it was taken.
func TestValueOfASelectThatDoesNotReturn(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		for name, on := range casesOf {
			p := servedParker{wake.Func(func() {}), func() { m.Store("b", 1) }, leave}
			require.False(t, outlive(func() { choose(wake.WithParker(bg, p), on(m, "a", nil), on(m, "b", nil)) }))
			requireContents(t, map[string]int{"b": 1}, m)
			requireIdle(t, m)
			m.Clear()

			p.served = func() { m.Cancel("b") }
			require.False(t, outlive(func() { choose(wake.WithParker(bg, p), on(m, "a", nil), on(m, "b", nil)) }))
			require.Zero(t, m.Len(), name)
			requireIdle(t, m)
		}
	})
}

// TestCaseOfAnUnhashableKey panics as a map does, and leaves nothing locked.
func TestCaseOfAnUnhashableKey(t *testing.T) {
	var m waitmap.Map[any, int]
	require.Panics(t, func() { m.OnStore([]int{1}, nil) })
	require.Panics(t, func() { m.WaitAny(bg, 1, []int{1}) })
	require.Panics(t, func() { m.WaitAll(bg, 1, []int{1}) })
	m.Store(1, 1)
	requireIdle(t, &m)
}

// TestSelectOverTwoMaps: a case of one map is passed over by the other.
func TestSelectOverTwoMaps(t *testing.T) {
	overCases(t, func(t *testing.T, m *intMap, on caseOf) {
		n := new(intMap)
		w := startIn(func() (int, error) { return choose(bg, on(m, "a", nil), on(n, "a", nil)) })
		n.Store("a", 1)
		m.Store("a", 1)
		requireValue(t, 1, w)
		synctest.Wait()
		requireIdle(t, m)
		requireIdle(t, n)
		require.Equal(t, 1, m.Len())
	})
}

// TestAllocationsOfCases counts the allocations of cases and of what is built on Select.
func TestAllocationsOfCases(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	m := new(intMap)
	m.Store("there", 1)
	allocs := func(what string, most float64, f func()) {
		t.Helper()
		require.LessOrEqual(t, testing.AllocsPerRun(1000, f), most, what)
	}
	var c wake.Case
	allocs("OnTake", 1, func() { c = m.OnTake("a", nil) })
	cases := []wake.Case{c, m.OnStore("b", nil)}
	allocs("Select whose cases are used again", 0, func() { waitq.Select(parkFails, cases) })
	allocs("WaitAny of a present key", 0, func() { m.WaitAny(bg, "a", "there") })
	allocs("WaitAny of absent keys", 3, func() { m.WaitAny(parkFails, "a", "b") })
	watch := m.Watch(parkFails, "a")
	allocs("Watch of an absent key", 3, func() { watch(func(int, error) bool { return true }) })
	requireIdle(t, m)
}

package waitmap_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

// startIn runs a wait of any kind and returns once it is in line.
func startIn[V any](f func() (V, error)) <-chan result[V] {
	c := async(f)
	synctest.Wait()
	return c
}

// inBubble runs f in a bubble on every construction.
func inBubble(t *testing.T, f func(t *testing.T, m *intMap)) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		synctest.Test(t, func(t *testing.T) {
			m := newMap()
			defer releaseIfFailed(t, m)
			f(t, m)
		})
	})
}

// releaseIfFailed ends the waits that a failed test leaves behind, so that
// the bubble's own complaint does not end the whole run.
func releaseIfFailed(t *testing.T, m *intMap) {
	if t.Failed() {
		m.CancelAll()
	}
}

func atLeast(n int) func(int) bool { return func(v int) bool { return v >= n } }

func TestWaitForSeesEachSettledValue(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		var seen []int
		m.Store("a", 1)
		w := startIn(func() (int, error) {
			return m.WaitFor(bg, "a", func(v int) bool { seen = append(seen, v); return v == 4 })
		})
		for v := 2; v <= 4; v++ {
			requirePending(t, w)
			require.Equal(t, 1, m.Waiters("a"))
			m.Store("a", v)
			synctest.Wait()
		}
		requireValue(t, 4, w)
		require.Subset(t, []int{1, 2, 3, 4}, seen)
		require.IsNonDecreasing(t, seen)
		require.Equal(t, 4, seen[len(seen)-1])
		requireIdle(t, m)
	})
}

// TestWaitForNeverMissesTheLast: values between may be skipped.
func TestWaitForNeverMissesTheLast(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startIn(func() (int, error) { return m.WaitFor(bg, "a", atLeast(100)) })
		for v := range 101 {
			m.Store("a", v)
		}
		requireValue(t, 100, w)
	})
}

// TestWaitForOverwritten: a value that was overwritten before the waiter ran
// may be returned or skipped; if it is skipped, the wait goes on.
func TestWaitForOverwritten(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startIn(func() (int, error) { return m.WaitFor(bg, "a", atLeast(10)) })
		m.Store("a", 10)
		m.Store("a", 1)
		synctest.Wait()
		m.Store("a", 11)
		synctest.Wait()
		r := <-w
		require.NoError(t, r.err)
		require.Contains(t, []int{10, 11}, r.v)
		requireIdle(t, m)
	})
}

// TestWaitForDeleted: the last value that was stored counts, even if it is
// gone before the waiter ran, by Delete or by a taker.
func TestWaitForDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startIn(func() (int, error) { return m.WaitFor(bg, "a", atLeast(10)) })
		m.Store("a", 10)
		m.Delete("a")
		requireValue(t, 10, w)

		tk := startIn(func() (int, error) { return m.Take(bg, "a") })
		w = startIn(func() (int, error) { return m.WaitFor(bg, "a", atLeast(10)) })
		m.Store("a", 12)
		requireValue(t, 12, tk)
		requireValue(t, 12, w)
		requireIdle(t, m)
	})
}

// TestWaitForAbsentAgain: a value that did not satisfy is deleted; the wait
// stays in line and a deletion does not wake it.
func TestWaitForAbsentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startIn(func() (int, error) { return m.WaitFor(bg, "a", atLeast(10)) })
		for range 3 {
			m.Store("a", 1)
			synctest.Wait()
			m.Delete("a")
			synctest.Wait()
			requirePending(t, w)
			require.Equal(t, 1, m.Waiters("a"))
			require.Zero(t, m.Len())
		}
		m.Store("a", 20)
		requireValue(t, 20, w)
	})
}

func TestWaitForEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		ctx, cancel := context.WithCancel(bg)
		_, err := m.WaitFor(doneCtx(), "a", never)
		require.ErrorIs(t, err, context.Canceled)
		v, err := m.WaitFor(doneCtx(), "a", atLeast(1))
		require.NoError(t, err, "already satisfied")
		require.Equal(t, 1, v)

		w := startIn(func() (int, error) { return m.WaitFor(ctx, "a", never) })
		m.Store("a", 2)
		synctest.Wait()
		cancel()
		requireError(t, context.Canceled, w)
		requireIdle(t, m)

		w = startIn(func() (int, error) { return m.WaitFor(bg, "a", never) })
		require.Equal(t, 1, m.Cancel("a"))
		requireError(t, waitmap.ErrCanceled, w)

		w = startIn(func() (int, error) { return m.WaitFor(bg, "a", never) })
		m.Close()
		requireError(t, waitmap.ErrClosed, w)
		_, err = m.WaitFor(bg, "a", never)
		require.ErrorIs(t, err, waitmap.ErrClosed)
		requireIdle(t, m)
		requireContents(t, map[string]int{"a": 2}, m)
	})
}

// TestWaitForPredicateEndsBadly: a panic or Goexit leaves no waiter behind.
func TestWaitForPredicateEndsBadly(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		bad := func(v int) bool {
			if v == 2 {
				panic("bad value")
			}
			if v == 3 {
				runtime.Goexit()
			}
			return false
		}
		m.Store("a", 2)
		require.Equal(t, "bad value", panicText(t, func() { m.WaitFor(bg, "a", bad) }))
		requireIdle(t, m)

		m.Store("a", 1)
		died := make(chan string, 1)
		go func() { died <- panicText(t, func() { m.WaitFor(bg, "a", bad) }) }()
		synctest.Wait()
		m.Store("a", 2)
		require.Equal(t, "bad value", <-died)
		requireIdle(t, m)

		m.Store("a", 1)
		exited := make(chan struct{})
		go func() { defer close(exited); m.WaitFor(bg, "a", bad) }()
		synctest.Wait()
		m.Store("a", 3)
		<-exited
		requireIdle(t, m)
		m.Store("a", 4)
		requireContents(t, map[string]int{"a": 4}, m)
	})
}

// TestWaitForPredicateCallsBack: the predicate runs under no lock.
func TestWaitForPredicateCallsBack(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startIn(func() (int, error) {
			return m.WaitFor(bg, "a", func(v int) bool {
				m.Load("a")
				if v < 5 {
					m.Store("a", v+1) // the same key, which it is waiting on
				}
				m.Store("b", v)
				return v >= 5
			})
		})
		m.Store("a", 1)
		requireValue(t, 5, w)
		requireContents(t, map[string]int{"a": 5, "b": 5}, m)
		requireIdle(t, m)
	})
}

func TestWaitComputeOps(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		steps := []struct {
			op   waitmap.Op
			want int
			left map[string]int
		}{
			{waitmap.KeepOp, 1, map[string]int{"a": 1}},
			{waitmap.StoreOp, 2, map[string]int{"a": 2}},
			{waitmap.DeleteOp, 1, map[string]int{}},
		}
		for i, s := range steps {
			for _, present := range []bool{true, false} {
				if present {
					m.Store("a", 1)
				}
				w := startIn(func() (int, error) {
					return m.WaitCompute(bg, "a", func(old int) (int, waitmap.Op) { return old + 1, s.op })
				})
				if !present {
					requirePending(t, w)
					require.Equal(t, 1, m.Waiters("a"))
					m.Store("a", 1)
				}
				requireValue(t, s.want, w)
				requireContents(t, s.left, m)
				requireIdle(t, m)
				m.Delete("a")
				_ = i
			}
		}
	})
}

// TestWaitComputeDeletedBeforeItsTurn waits on.
func TestWaitComputeDeletedBeforeItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		runs := 0
		w := startIn(func() (int, error) {
			return m.WaitCompute(bg, "a", func(old int) (int, waitmap.Op) { runs++; return old * 2, waitmap.StoreOp })
		})
		m.Store("a", 1)
		m.Delete("a")
		synctest.Wait()
		if r := len(w); r == 0 {
			require.Zero(t, runs)
			require.Equal(t, 1, m.Waiters("a"))
			m.Store("a", 3)
			requireValue(t, 6, w)
		} else { // an implementation may run it within the store
			requireValue(t, 2, w)
		}
		require.Equal(t, 1, runs)
		requireIdle(t, m)
	})
}

// TestWaitComputeAfterTaker: the taker gets the value first, so WaitCompute never
// sees that value.
func TestWaitComputeAfterTaker(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		c := startIn(func() (int, error) {
			return m.WaitCompute(bg, "a", func(old int) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
		})
		tk := startIn(func() (int, error) { return m.Take(bg, "a") })
		m.Store("a", 1)
		requireValue(t, 1, tk)
		synctest.Wait()
		requirePending(t, c)
		require.Equal(t, 1, m.Waiters("a"))
		m.Store("a", 5)
		requireValue(t, 6, c)
		requireContents(t, map[string]int{"a": 6}, m)
	})
}

// TestManyWaitComputes: each changes the value once; none is lost. With
// DeleteOp, each needs a value of its own.
func TestManyWaitComputes(t *testing.T) {
	const n = 20
	inBubble(t, func(t *testing.T, m *intMap) {
		var ws []<-chan result[int]
		for range n {
			ws = append(ws, startIn(func() (int, error) {
				return m.WaitCompute(bg, "a", func(old int) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
			}))
		}
		m.Store("a", 100)
		synctest.Wait()
		got := make(map[int]bool)
		for _, w := range ws {
			r := <-w
			require.NoError(t, r.err)
			got[r.v] = true
		}
		require.Len(t, got, n)
		requireContents(t, map[string]int{"a": 100 + n}, m)

		m.Delete("a")
		removed := 0
		for range n {
			go func() {
				m.WaitCompute(bg, "a", func(int) (int, waitmap.Op) { removed++; return 0, waitmap.DeleteOp })
			}()
		}
		for i := range n {
			synctest.Wait()
			require.Equal(t, i, removed)
			require.Equal(t, n-i, m.Waiters("a"))
			m.Store("a", i)
		}
		synctest.Wait()
		require.Equal(t, n, removed)
		require.Zero(t, m.Len())
		requireIdle(t, m)
	})
}

// TestWaitComputeDoneContext: either it fails and nothing ran, or it ran.
func TestWaitComputeDoneContext(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		runs := 0
		v, err := m.WaitCompute(doneCtx(), "a", func(old int) (int, waitmap.Op) { runs++; return old + 1, waitmap.StoreOp })
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, runs)
			requireContents(t, map[string]int{"a": 1}, m)
		} else {
			require.Equal(t, 2, v)
			require.Equal(t, 1, runs)
			requireContents(t, map[string]int{"a": 2}, m)
		}
	})
}

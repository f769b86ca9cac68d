package waitmap_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// found is a key and its value.
type found struct {
	key string
	v   int
}

func startAny(m *intMap, ctx context.Context, keys ...string) <-chan result[found] {
	return startIn(func() (f found, err error) {
		f.key, f.v, err = m.WaitAny(ctx, keys...)
		return f, err
	})
}

func startAll(m *intMap, ctx context.Context, keys ...string) <-chan result[map[string]int] {
	return startIn(func() (map[string]int, error) { return m.WaitAll(ctx, keys...) })
}

// TestWaitAnyReturnsTheEarliest of the keys that are there, whatever the context.
func TestWaitAnyReturnsTheEarliest(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("b", 2)
		m.Store("c", 3)
		for _, ctx := range []context.Context{bg, doneCtx(), untouchable{t}} {
			key, v, err := m.WaitAny(ctx, "a", "c", "b")
			require.NoError(t, err)
			require.Equal(t, found{"c", 3}, found{key, v})
		}
		requireContents(t, map[string]int{"b": 2, "c": 3}, m)
		requireIdle(t, m)
	})
}

// TestWaitAnyIsServedOnce, by the first store, and leaves the other lines. A key may come
// twice, and there may be more than a Select has room for.
func TestWaitAnyIsServedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		many := []string{"a", "b", "a", "c"}
		for i := range 30 {
			many = append(many, fmt.Sprint(i))
		}
		for _, keys := range [][]string{{"a", "b"}, {"a", "b", "a", "b"}, many} {
			w := startAny(m, bg, keys...)
			m.Store("b", 2)
			m.Store("a", 1)
			m.Clear()
			requireValue(t, found{"b", 2}, w)
			requireIdle(t, m)

			w = startAny(m, bg, keys...)
			require.Equal(t, 1, m.Cancel("b"), "one of its places ends the wait")
			require.Zero(t, m.Cancel("a"), "and the others do not")
			r := <-w
			require.ErrorIs(t, r.err, waitmap.ErrCanceled)
			require.Zero(t, r.v)
			requireIdle(t, m)
		}
	})
}

// TestWaitAnyWithoutKeys waits for the context.
func TestWaitAnyWithoutKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		ctx, cancel := context.WithTimeoutCause(bg, time.Hour, errCause)
		defer cancel()
		w := startAny(m, ctx)
		m.Store("a", 1)
		m.CancelAll()
		m.Close()
		synctest.Wait()
		requirePending(t, w)
		r := <-w
		require.ErrorIs(t, r.err, context.DeadlineExceeded)
		require.ErrorIs(t, r.err, errCause)
		require.Zero(t, r.v)
	})
}

// TestWaitAnyAfterClose returns what is there, whichever key it asks first.
func TestWaitAnyAfterClose(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startAny(m, bg, "a", "b")
		m.Close()
		requireError(t, waitmap.ErrClosed, w)
		_, _, err := m.WaitAny(bg, "a", "b")
		require.Equal(t, waitmap.ErrClosed, err)
		m.Store("b", 2)
		key, v, err := m.WaitAny(bg, "a", "b")
		require.NoError(t, err)
		require.Equal(t, found{"b", 2}, found{key, v})
	})
}

// TestWaitAnyMeetsClose: a key that came before Close is returned, although WaitAny has
// looked for it before.
func TestWaitAnyMeetsClose(t *testing.T) {
	looks := 0
	var m *waitmap.Map[int, int]
	m = waitmap.New[int, int](&waitmap.Options[int]{Hash: func(k int, _ uint64) uint64 {
		if looks++; looks == 3 { // both were looked for, and nothing is locked
			m.Store(2, 5)
			m.Close()
		}
		return goodHash(k, 0)
	}})
	key, v, err := m.WaitAny(bg, 1, 2)
	require.NoError(t, err)
	require.Equal(t, []int{2, 5}, []int{key, v})
}

// TestWaitAllSeesEachKeyOnce: a value counts though it is deleted while another key is
// awaited, and it is the first one that came.
func TestWaitAllSeesEachKeyOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("there", 7)
		w := startAll(m, bg, "a", "there", "b", "a", "there")
		require.Equal(t, 1, m.Waiters("a"), "a key that comes twice is awaited once")
		m.Delete("there")
		m.Store("b", 2)
		m.Delete("b")
		synctest.Wait()
		requirePending(t, w)
		require.Zero(t, m.Waiters("b"))
		m.Store("b", 22)
		m.Clear()
		m.Store("a", 1)
		requireValue(t, map[string]int{"a": 1, "b": 2, "there": 7}, w)
		requireIdle(t, m)
	})
}

// TestWaitAllWakesOnce, when the last key has come.
func TestWaitAllWakesOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		p := &scriptedParker{Parker: wake.NewParker(), spurious: 3}
		w := startAll(m, wake.WithParker(bg, p), "a", "b", "c", "d")
		for _, key := range []string{"c", "a", "d"} {
			m.Store(key, 1)
			synctest.Wait()
			requirePending(t, w)
		}
		require.Equal(t, 4, p.parks, "woken before all were there")
		m.Store("b", 1)
		requireValue(t, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1}, w)
	})
}

// TestWaitAllPresent returns at once, whatever the context; so it does without keys.
func TestWaitAllPresent(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		m.Close()
		for _, ctx := range []context.Context{bg, doneCtx(), untouchable{t}} {
			all, err := m.WaitAll(ctx, "a", "a")
			require.NoError(t, err)
			require.Equal(t, map[string]int{"a": 1}, all)
			all, err = m.WaitAll(ctx)
			require.NoError(t, err)
			require.Equal(t, map[string]int{}, all)
		}
	})
}

// TestWaitAllFails as a whole, at once, whichever key fails and although others have come,
// and leaves nothing in line.
func TestWaitAllFails(t *testing.T) {
	ends := map[string]struct {
		end func(m *intMap, cancel context.CancelCauseFunc)
		err error
	}{
		"first canceled": {func(m *intMap, _ context.CancelCauseFunc) { m.CancelCause("a", errCause) }, errCause},
		"last canceled":  {func(m *intMap, _ context.CancelCauseFunc) { m.CancelCause("d", errCause) }, errCause},
		"all canceled":   {func(m *intMap, _ context.CancelCauseFunc) { m.CancelAll() }, waitmap.ErrCanceled},
		"closed":         {func(m *intMap, _ context.CancelCauseFunc) { m.Close() }, waitmap.ErrClosed},
		"context ended":  {func(_ *intMap, cancel context.CancelCauseFunc) { cancel(errCause) }, errCause},
	}
	for name, e := range ends {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) {
				ctx, cancel := context.WithCancelCause(bg)
				defer cancel(nil)
				m.Store("b", 2)
				w := startAll(m, ctx, "a", "b", "c", "d")
				m.Store("c", 3)
				e.end(m, cancel)
				synctest.Wait()
				r := <-w
				require.ErrorIs(t, r.err, e.err)
				require.Nil(t, r.v)
				requireIdle(t, m)
				requireContents(t, map[string]int{"b": 2, "c": 3}, m)
			})
		})
	}
}

// TestWaitAllKeepsWhatItWasGiven: the context ends after the last value came, before the
// waiter runs.
func TestWaitAllKeepsWhatItWasGiven(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		for range 20 {
			ctx, cancel := context.WithCancel(bg)
			w := startAll(m, ctx, "a", "b")
			m.Store("b", 2)
			m.Store("a", 1)
			cancel()
			m.Clear()
			requireValue(t, map[string]int{"a": 1, "b": 2}, w)
			requireIdle(t, m)
		}
	})
}

// TestWaitAllThatDoesNotReturn leaves nothing in line.
func TestWaitAllThatDoesNotReturn(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		p := servedParker{wake.Func(func() {}), func() { m.Store("b", 1) }, leave}
		require.False(t, outlive(func() { m.WaitAll(wake.WithParker(bg, p), "a", "b", "c") }))
		requireIdle(t, m)
		require.Equal(t, 1, m.Len())
	})
}

// TestStressWaitAnyAndAll: keys come and go, are canceled, and the contexts end. No wait
// is forgotten, and each returns what was stored.
func TestStressWaitAnyAndAll(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		defer shaken(11)()
		m := newMap()
		const keys = 4
		testkit.Together(4, func(g int) {
			for i := range testkit.Scale(300, 80) {
				ctx, cancel := context.WithCancel(bg)
				a, b, c := (i+g)%keys, (i+2*g+1)%keys, i%keys
				switch {
				case g == 0:
					m.Store(c, c)
					m.Delete(a)
					if i%8 == 0 {
						m.Cancel(b)
					}
				case i%2 == 0:
					go cancel()
					if k, v, err := m.WaitAny(ctx, a, b, c); err == nil && k != v || err != nil && k+v != 0 {
						t.Errorf("key %d: %d, %v", k, v, err)
					}
				default:
					go cancel()
					all, err := m.WaitAll(ctx, a, b, c)
					if (err != nil) != (all == nil) {
						t.Errorf("%v, %v", all, err)
					}
					for k, v := range all {
						if k != v {
							t.Errorf("key %d: %d", k, v)
						}
					}
				}
				cancel()
			}
		})
		requireIdle(t, m)
	})
}

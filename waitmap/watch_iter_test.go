package waitmap_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// A seen is a pair of a Watch.
type seen = result[int]

// startWatch watches "a" in a goroutine of its own until the iteration ends. It hands over
// each pair before the next one, and then closes the channel.
func startWatch(m *intMap, ctx context.Context) <-chan seen {
	c := make(chan seen)
	go func() {
		defer close(c)
		for v, err := range m.Watch(ctx, "a") {
			c <- seen{v, err}
		}
	}()
	synctest.Wait()
	return c
}

// requireEnd requires that the next pair is the last one and has that error.
func requireEnd(t *testing.T, m *intMap, err error, c <-chan seen) {
	t.Helper()
	r := <-c
	require.ErrorIs(t, r.err, err)
	require.Zero(t, r.v)
	_, more := <-c
	require.False(t, more, "a pair after the error")
	requireIdle(t, m)
}

// TestWatchShowsEachSettledValue, the one that is there first, and no delete.
func TestWatchShowsEachSettledValue(t *testing.T) {
	for name, overwrite := range overwrites {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) {
				ctx, cancel := context.WithCancelCause(bg)
				m.Store("a", 5)
				w := startWatch(m, ctx)
				requireValue(t, 5, w)
				m.Store("a", 0)
				requireValue(t, 0, w)
				overwrite(m, "a")
				requireValue(t, 1, w)
				m.Delete("a")
				synctest.Wait()
				requirePending(t, w)
				require.Equal(t, 1, m.Waiters("a"))
				m.Store("a", 1)
				requireValue(t, 1, w) // equal, but newer
				synctest.Wait()
				requirePending(t, w)
				cancel(errCause)
				requireEnd(t, m, errCause, w)
			})
		})
	}
}

// TestWatchSkipsAndNeverMissesTheLast: while the body runs, values are overwritten,
// deleted and taken.
func TestWatchSkipsAndNeverMissesTheLast(t *testing.T) {
	lasts := map[string]func(m *intMap){
		"stays":   func(*intMap) {},
		"deleted": func(m *intMap) { m.Delete("a") },
		"taken":   func(m *intMap) { m.Take(bg, "a") },
		"cleared": func(m *intMap) { m.Clear() },
	}
	for name, then := range lasts {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) {
				ctx, cancel := context.WithCancel(bg)
				w := startWatch(m, ctx)
				for round := range 3 {
					m.Store("a", 100*round+100)
					for i := range 10 {
						m.Store("a", 100*round+i)
					}
					then(m)
					synctest.Wait()
					r := <-w
					for r.v != 100*round+9 {
						r = <-w
					}
					synctest.Wait()
					requirePending(t, w)
				}
				cancel()
				requireEnd(t, m, context.Canceled, w)
			})
		})
	}
}

// TestWatchEnds with the reason, also if it comes while the body runs; a value that came
// before is shown.
func TestWatchEnds(t *testing.T) {
	ends := map[string]struct {
		end func(m *intMap, cancel context.CancelFunc)
		err error
	}{
		"Cancel":      {func(m *intMap, _ context.CancelFunc) { m.Cancel("a") }, waitmap.ErrCanceled},
		"CancelCause": {func(m *intMap, _ context.CancelFunc) { m.CancelCause("a", errCause) }, errCause},
		"Close":       {func(m *intMap, _ context.CancelFunc) { m.Close() }, waitmap.ErrClosed},
		"context":     {func(_ *intMap, cancel context.CancelFunc) { cancel() }, context.Canceled},
	}
	for name, e := range ends {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) {
				for _, busy := range []bool{false, true} {
					ctx, cancel := context.WithCancel(bg)
					defer cancel()
					if m.Store("a", 1); name == "Close" {
						m = new(intMap)
						m.Store("a", 1)
					}
					w := startWatch(m, ctx)
					requireValue(t, 1, w)
					synctest.Wait()
					if busy {
						m.Store("a", 2)
						synctest.Wait() // the body has 2
						m.Store("a", 3)
						e.end(m, cancel)
						requireValue(t, 2, w)
						requireValue(t, 3, w)
					} else {
						e.end(m, cancel)
					}
					requireEnd(t, m, e.err, w)
				}
			})
		})
	}
}

// TestWatchOfWhatHasEnded shows what is there, then the reason.
func TestWatchOfWhatHasEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		requireEnd(t, m, context.Canceled, startWatch(m, doneCtx()))
		m.Store("a", 1)
		w := startWatch(m, doneCtx())
		requireValue(t, 1, w)
		requireEnd(t, m, context.Canceled, w)
		m.Close()
		w = startWatch(m, bg)
		requireValue(t, 1, w)
		requireEnd(t, m, waitmap.ErrClosed, w)
	})
}

// TestWatchUnderOverwritingEnds with its context, although there is always a newer value;
// and so does WaitFor.
func TestWatchUnderOverwritingEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		n := 0
		m.Store("a", 0)
		for v, err := range m.Watch(ctx, "a") {
			if err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				break
			}
			require.Equal(t, n, v)
			require.LessOrEqual(t, n, 12, "it does not end")
			n++
			m.Store("a", n)
			time.Sleep(time.Second / 10)
		}
		require.GreaterOrEqual(t, n, 10)
		requireIdle(t, m)

		ctx, cancel = context.WithTimeout(bg, time.Second)
		defer cancel()
		n = 0
		_, err := m.WaitFor(ctx, "a", func(int) bool {
			m.Store("a", n)
			time.Sleep(time.Second / 10)
			n++
			require.LessOrEqual(t, n, 13, "it does not end")
			return false
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		requireIdle(t, m)
	})
}

// TestWatchIsLeft by break, return, a panic and Goexit of the body: it leaves nothing
// behind, and nothing is locked while the body runs.
func TestWatchIsLeft(t *testing.T) {
	leaveBy := map[string]func(){"break": func() {}}
	for how, leave := range leaves {
		leaveBy[how] = leave
	}
	for how, leave := range leaveBy {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) {
				m.Store("a", 1)
				watch := m.Watch(bg, "a")
				for range 3 { // each loop begins anew
					var got []int
					outlive(func() {
						for v := range watch {
							require.Equal(t, 1, m.Waiters("a"))
							if got = append(got, v); v == 2 {
								leave()
								break
							}
							m.Compute("a", set2)
							m.Store("b", v)
						}
					})
					require.Equal(t, []int{1, 2}, got)
					requireIdle(t, m)
					m.Store("a", 1)
				}
			})
		})
	}
}

// TestNilContextOfWatch panics where Watch is called, not in the loop.
func TestNilContextOfWatch(t *testing.T) {
	var m intMap
	require.Contains(t, panicText(t, func() { m.Watch(nilCtx, "a") }), "nil context")
}

// TestStressWatch: values only grow, none is repeated, and the last one is seen.
func TestStressWatch(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		defer shaken(12)()
		m := newMap()
		last := testkit.Scale(2000, 500)
		var ready atomic.Int32
		testkit.Together(4, func(g int) {
			if g == 0 {
				testkit.SpinUntil(func() bool { return ready.Load() == 2 })
				for v := range last {
					m.Store(1, v+1)
					if v%3 == 0 {
						m.Delete(1)
					}
				}
				return
			}
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			if g == 3 { // comes and goes
				for ready.Load() < 2 {
					runtime.Gosched()
				}
				for range 100 {
					for range m.Watch(doneCtx(), 1) {
						break
					}
				}
				return
			}
			ready.Add(1)
			newest := 0
			for v, err := range m.Watch(ctx, 1) {
				if err != nil || v <= newest {
					t.Errorf("%d after %d, %v", v, newest, err)
				}
				if newest = v; v == last {
					break
				}
			}
		})
		requireIdle(t, m)
	})
}

package waitmap_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// takes are the ways to take, which get in line while a computation holds the key.
var takes = map[string]waitFun{"Take": waits["Take"], "OnTake": waits["OnTake"]}

func overTakes(t *testing.T, f func(t *testing.T, m *intMap, take waitFun)) {
	for name, take := range takes {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) { f(t, m, take) })
		})
	}
}

// holdEnds are the ways in which a computation of a 1 may end, with what it leaves.
var holdEnds = map[string]struct {
	end  func() (int, waitmap.Op)
	left int // 0: nothing
}{
	"KeepOp":   {kept, 1},
	"StoreOp":  {func() (int, waitmap.Op) { return 2, waitmap.StoreOp }, 2},
	"DeleteOp": {func() (int, waitmap.Op) { return 2, waitmap.DeleteOp }, 0},
	"panic":    {func() (int, waitmap.Op) { panic("computation") }, 1},
	"Goexit":   {func() (int, waitmap.Op) { runtime.Goexit(); return kept() }, 1},
}

// TestTakersOfAHeldKey are served in the order of their calls, with what is left, before
// any change that waits for the computation, too. Loads see the value until then.
func TestTakersOfAHeldKey(t *testing.T) {
	for how, e := range holdEnds {
		t.Run(how, func(t *testing.T) {
			overTakes(t, func(t *testing.T, m *intMap, take waitFun) {
				finish, computed := held(m, e.end)
				first := take.start(m, bg, "a")
				second := startTake(m, bg, "a")
				third := take.start(m, bg, "a")
				require.Equal(t, 3, m.Waiters("a"))
				requireContents(t, map[string]int{"a": 1}, m)
				close(finish)
				<-computed
				served := []<-chan result[int]{first, second, third}
				if e.left != 0 {
					requireValue(t, e.left, first)
					served = served[1:]
				}
				synctest.Wait()
				requireContents(t, map[string]int{}, m)
				require.Equal(t, len(served), m.Waiters("a"))
				for i, w := range served {
					requirePending(t, w)
					m.Store("a", 10+i)
					requireValue(t, 10+i, w)
				}
				requireContents(t, map[string]int{}, m)
				requireIdle(t, m)
			})
		})
	}
}

// TestTakerAndOthersOfAHeldKey: what a computation stores reaches waiters too, and a
// change that waits for the end comes after the taker.
func TestTakerAndOthersOfAHeldKey(t *testing.T) {
	overTakes(t, func(t *testing.T, m *intMap, take waitFun) {
		finish, computed := held(m, holdEnds["StoreOp"].end)
		next := waitFun(waits["WaitNext"]).start(m, bg, "a")
		w := take.start(m, bg, "a")
		loaded := make(chan bool)
		go func() { _, ok := m.LoadOrStore("b", 5); loaded <- ok }()
		require.False(t, <-loaded)
		change := async(func() (int, error) { v, _ := m.Swap("a", 3); return v, nil })
		synctest.Wait()
		close(finish)
		<-computed
		requireValue(t, 2, next)
		requireValue(t, 2, w)
		requireValue(t, 0, change)
		requireContents(t, map[string]int{"a": 3, "b": 5}, m)
		requireIdle(t, m)
	})
}

// TestTakerThatLeftAHeldKey gets nothing: the next one does, or the value stays.
func TestTakerThatLeftAHeldKey(t *testing.T) {
	overTakes(t, func(t *testing.T, m *intMap, take waitFun) {
		for _, next := range []bool{false, true} {
			finish, computed := held(m, kept)
			ctx, cancel := context.WithCancel(bg)
			w := take.start(m, ctx, "a")
			require.Equal(t, 1, m.Waiters("a"))
			cancel()
			requireError(t, context.Canceled, w)
			requireIdle(t, m)
			if next {
				w = take.start(m, bg, "a")
			}
			close(finish)
			<-computed
			if next {
				requireValue(t, 1, w)
			} else {
				requireContents(t, map[string]int{"a": 1}, m)
			}
			requireIdle(t, m)
		}
		require.Zero(t, m.Len())
	})
}

// TestCancelWhileHeld ends other waits, and not those of takers, since the key has a value
// for them. If the computation leaves none, they wait, and a later Cancel ends that.
func TestCancelWhileHeld(t *testing.T) {
	for how, e := range holdEnds {
		t.Run(how, func(t *testing.T) {
			overTakes(t, func(t *testing.T, m *intMap, take waitFun) {
				finish, computed := held(m, e.end)
				w := take.start(m, bg, "a")
				next := waitFun(waits["WaitNext"]).start(m, bg, "a")
				require.Equal(t, 1, m.Cancel("a"))
				requireError(t, waitmap.ErrCanceled, next)
				require.Zero(t, m.CancelAll())
				close(finish)
				<-computed
				if e.left != 0 {
					requireValue(t, e.left, w)
				} else {
					synctest.Wait()
					requirePending(t, w)
					require.Equal(t, 1, m.Cancel("a"))
					requireError(t, waitmap.ErrCanceled, w)
				}
				requireIdle(t, m)
				require.Zero(t, m.Len())
			})
		})
	}
}

// TestChosenSelectAtTheEndOfAHold is passed over: its other case has happened.
func TestChosenSelectAtTheEndOfAHold(t *testing.T) {
	for how, e := range holdEnds {
		t.Run(how, func(t *testing.T) {
			overTakes(t, func(t *testing.T, m *intMap, take waitFun) {
				for _, next := range []bool{false, true} {
					finish, computed := held(m, e.end)
					p := lateParker{wake.NewParker(), make(chan struct{})}
					w := startIn(func() (int, error) {
						return choose(wake.WithParker(bg, p), m.OnTake("a", nil), m.OnTake("b", nil))
					})
					var taker <-chan result[int]
					if next {
						taker = take.start(m, bg, "a")
					}
					m.Store("b", 1)
					close(finish)
					<-computed
					synctest.Wait()
					switch {
					case next && e.left != 0:
						requireValue(t, e.left, taker)
					case next:
						requirePending(t, taker)
						m.Store("a", 5)
						requireValue(t, 5, taker)
					case e.left != 0:
						requireContents(t, map[string]int{"a": e.left}, m)
					}
					close(p.awake)
					requireValue(t, 1, w)
					requireIdle(t, m)
					m.Clear()
				}
			})
		})
	}
}

// TestClearOfAHeldKeyWithTakers: the taker has what was there before, and nothing stays.
func TestClearOfAHeldKeyWithTakers(t *testing.T) {
	for how, e := range holdEnds {
		t.Run(how, func(t *testing.T) {
			overTakes(t, func(t *testing.T, m *intMap, take waitFun) {
				finish, computed := held(m, e.end)
				before := take.start(m, bg, "a")
				cleared := make(chan struct{})
				go func() { defer close(cleared); m.Clear() }()
				synctest.Wait()
				after := take.start(m, bg, "a")
				close(finish)
				<-computed
				<-cleared
				if e.left != 0 {
					requireValue(t, e.left, before)
					before = after
				} else {
					require.Equal(t, 2, m.Waiters("a"))
					m.Store("a", 3)
					requireValue(t, 3, before)
					before = after
				}
				requireContents(t, map[string]int{}, m)
				requirePending(t, before)
				m.Store("a", 4)
				requireValue(t, 4, before)
				requireIdle(t, m)
			})
		})
	}
}

// TestCloseWhileHeld: a taker still gets what the computation leaves, in line before Close
// or after it, and ErrClosed if that is nothing. Other waits end at once.
func TestCloseWhileHeld(t *testing.T) {
	for how, e := range holdEnds {
		t.Run(how, func(t *testing.T) {
			overTakes(t, func(t *testing.T, m *intMap, take waitFun) {
				finish, computed := held(m, e.end)
				first := take.start(m, bg, "a")
				next := waitFun(waits["WaitNext"]).start(m, bg, "a")
				m.Close()
				requireError(t, waitmap.ErrClosed, next)
				_, err := m.WaitNext(bg, "a")
				require.Equal(t, waitmap.ErrClosed, err)
				second := take.start(m, bg, "a")
				requirePending(t, first)
				requirePending(t, second)
				close(finish)
				<-computed
				if e.left != 0 {
					requireValue(t, e.left, first)
				} else {
					requireError(t, waitmap.ErrClosed, first)
				}
				requireError(t, waitmap.ErrClosed, second)
				requireIdle(t, m)
				require.Zero(t, m.Len())
			})
		})
	}
}

// TestCloseWhileAnAbsentKeyIsHeld ends the waits of takers at once.
func TestCloseWhileAnAbsentKeyIsHeld(t *testing.T) {
	overTakes(t, func(t *testing.T, m *intMap, take waitFun) {
		finish, computed := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(computed)
			m.Compute("a", func(int, bool) (int, waitmap.Op) { <-finish; return 2, waitmap.StoreOp })
		}()
		synctest.Wait()
		w := take.start(m, bg, "a")
		m.Close()
		requireError(t, waitmap.ErrClosed, w)
		_, err := take(m, bg, "a")
		require.Equal(t, waitmap.ErrClosed, err)
		close(finish)
		<-computed
		requireContents(t, map[string]int{"a": 2}, m)
		v, err := take(m, bg, "a")
		require.NoError(t, err)
		require.Equal(t, 2, v)
	})
}

// TestTakersWakerAtTheEndOfAHold does not return: the waiters for the end are woken.
func TestTakersWakerAtTheEndOfAHold(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		for _, take := range takes {
			finish, computed := held(m, holdEnds["StoreOp"].end)
			next := waitFun(waits["WaitNext"]).start(m, bg, "a")
			w := take.start(m, wake.WithParker(bg, crossParker{wake.NewParker(), leave}), "a")
			change := async(func() (int, error) { v, _ := m.Swap("a", 3); return v, nil })
			synctest.Wait()
			close(finish)
			<-computed
			requireValue(t, 2, next)
			requireValue(t, 2, w)
			requireValue(t, 0, change)
			requireContents(t, map[string]int{"a": 3}, m)
			requireIdle(t, m)
		}
	})
}

// A busyParker returns from Park at once, as often as it is called.
type busyParker struct{ wake.Waker }

func (busyParker) Park(ctx context.Context) error {
	runtime.Gosched()
	return ctx.Err()
}

// TestTakenFromAHoldIsGone: when a take of a held key returns, no Load finds the value,
// even if the taker was not asleep when it was served.
func TestTakenFromAHoldIsGone(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		defer heldUp()()
		ctx := wake.WithParker(bg, busyParker{wake.Func(func() {})})
		for range testkit.Scale(100, 30) {
			for _, take := range takes {
				m := newMap()
				m.Store("a", 1)
				m.Compute("a", func(int, bool) (int, waitmap.Op) {
					go func() {
						take(m, ctx, "a")
						if v, ok := m.Load("a"); ok {
							t.Errorf("%d was taken and is there", v)
						}
						m.Store("b", 1)
					}()
					inLine(m, "a", 1)
					return 0, waitmap.KeepOp
				})
				_, err := m.Wait(bg, "b")
				require.NoError(t, err)
			}
		}
	})
}

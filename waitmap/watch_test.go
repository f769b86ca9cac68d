package waitmap_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

func is(n int) func(int) bool { return func(v int) bool { return v == n } }

// between is what may happen between the wake of a WaitFor that waits for 2
// and its next look, with what it returns.
var between = map[string]struct {
	f   func(m *intMap)
	err error
}{
	"stored and deleted":            {func(m *intMap) { m.Store("a", 2); m.Delete("a") }, nil},
	"swapped and deleted":           {func(m *intMap) { m.Swap("a", 2); m.LoadAndDelete("a") }, nil},
	"stored and cleared":            {func(m *intMap) { m.Store("a", 2); m.Clear() }, nil},
	"computed and deleted":          {func(m *intMap) { stores["Compute"](m, "a"); m.Compute("a", set2); m.Delete("a") }, nil},
	"stored, deleted, table grown":  {func(m *intMap) { m.Store("a", 2); m.Delete("a"); fill(m) }, nil},
	"stored, then canceled":         {func(m *intMap) { m.Store("a", 2); m.Delete("a"); m.Cancel("a") }, nil},
	"stored, then all canceled":     {func(m *intMap) { m.Store("a", 2); m.Delete("a"); m.CancelAll() }, nil},
	"stored, then closed":           {func(m *intMap) { m.Store("a", 2); m.Delete("a"); m.Close() }, nil},
	"canceled, then stored":         {func(m *intMap) { m.Cancel("a"); m.Store("a", 2); m.Delete("a") }, nil},
	"overwritten, then stored":      {func(m *intMap) { m.Store("a", 5); m.Store("a", 2); m.Delete("a") }, nil},
	"canceled":                      {func(m *intMap) { m.Cancel("a") }, waitmap.ErrCanceled},
	"canceled for a reason":         {func(m *intMap) { m.CancelCause("a", errRefCause) }, errRefCause},
	"all canceled":                  {func(m *intMap) { m.CancelAll() }, waitmap.ErrCanceled},
	"closed":                        {func(m *intMap) { m.Close() }, waitmap.ErrClosed},
	"stored another, then canceled": {func(m *intMap) { m.Store("a", 5); m.Cancel("a") }, waitmap.ErrCanceled},
}

func set2(int, bool) (int, waitmap.Op) { return 2, waitmap.StoreOp }

func fill(m *intMap) {
	for i := range 200 {
		m.Store(string(rune('b'+i)), i)
	}
}

func (w waitForTwo) require(t *testing.T, m *intMap, c <-chan result[int]) {
	t.Helper()
	if w.err != nil {
		r := <-c
		require.ErrorIs(t, r.err, w.err)
		require.Zero(t, r.v)
	} else {
		requireValue(t, 2, c)
	}
	require.Zero(t, m.Waiters("a"))
	requireIdle(t, m)
}

type waitForTwo struct{ err error }

// TestWaitForBetweenWakeAndLook: a WaitFor that was woken sees what comes before
// it looks.
func TestWaitForBetweenWakeAndLook(t *testing.T) {
	for name, b := range between {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) {
				awake := make(chan struct{}) // until then the waiter does not look
				ctx := wake.WithParker(bg, &misbehave.First{Parker: wake.NewParker(), First: func() { <-awake }})
				w := startIn(func() (int, error) { return m.WaitFor(ctx, "a", is(2)) })
				m.Store("a", 1)
				b.f(m)
				close(awake)
				waitForTwo{b.err}.require(t, m, w)
			})
		})
	}
}

// TestWaitForBetweenLookAndSleep: the same while it looks: its predicate has
// seen the value before, and what it says is not known yet.
func TestWaitForBetweenLookAndSleep(t *testing.T) {
	for name, b := range between {
		for _, wakes := range []int{0, 1, 2} { // before; 0: at the look at what is there
			t.Run(name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, m *intMap) {
					looks := 0
					first := 10
					look := func(v int) bool {
						if v == first+wakes {
							if looks++; looks == 1+max(0, 1-wakes) { // what is there is looked at twice
								b.f(m)
							}
						}
						return v == 2
					}
					m.Store("a", first)
					w := startIn(func() (int, error) { return m.WaitFor(bg, "a", look) })
					for i := range wakes {
						m.Store("a", first+1+i)
						synctest.Wait()
					}
					waitForTwo{b.err}.require(t, m, w)
				})
			})
		}
	}
}

// TestWaitForNextToTakers: a WaitFor sees the values that takers take, even if they follow
// each other without a pause.
func TestWaitForNextToTakers(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		first, second := startTake(m, bg, "a"), startTake(m, bg, "a")
		w := startIn(func() (int, error) { return m.WaitFor(bg, "a", is(2)) })
		m.Store("a", 1)
		m.Store("a", 2)
		requireValue(t, 1, first)
		requireValue(t, 2, second)
		requireValue(t, 2, w)
		requireContents(t, map[string]int{}, m)
		requireIdle(t, m)
	})
}

// TestWaitForIsCountedOnce, wherever it is, and by Cancel just once.
func TestWaitForIsCountedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startIn(func() (int, error) {
			return m.WaitFor(bg, "a", func(v int) bool {
				_, waiters := waitingKeys(m)
				require.Equal(t, 2, waiters)
				require.Equal(t, 2, m.Waiters("a"))
				if v == 3 {
					require.Equal(t, 2, m.Cancel("a"))
					require.Zero(t, m.Cancel("a"), "it waits no more")
					require.Zero(t, m.Waiters("a"))
				}
				return false
			})
		})
		other := startIn(func() (int, error) { return m.WaitFor(bg, "a", is(7)) })
		for v := 1; v <= 3; v++ {
			m.Store("a", v)
			synctest.Wait()
		}
		requireError(t, waitmap.ErrCanceled, w)
		requireError(t, waitmap.ErrCanceled, other)
		requireIdle(t, m)
	})
}

// TestWaitForHasTheFirstError: a waiter that is canceled twice was released by the first.
func TestWaitForHasTheFirstError(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		w := startIn(func() (int, error) { return m.WaitFor(bg, "a", never) })
		require.Equal(t, 1, m.CancelCause("a", errRefCause))
		require.Zero(t, m.Cancel("a"))
		m.Close()
		requireError(t, errRefCause, w)

		m1 := new(intMap)
		w = startIn(func() (int, error) { return m1.WaitFor(bg, "a", never) })
		m1.Store("a", 5) // now it is in no line
		require.Equal(t, 1, m1.CancelCause("a", errRefCause))
		require.Zero(t, m1.Cancel("a"))
		m1.Close()
		requireError(t, errRefCause, w)

		m2 := new(intMap)
		w = startIn(func() (int, error) { return m2.WaitFor(bg, "a", never) })
		m2.Close()
		require.Zero(t, m2.Cancel("a"))
		requireError(t, waitmap.ErrClosed, w)
	})
}

// TestWaitForHasTheFirstErrorNextToANewcomer: it was canceled between two looks;
// a second cancel is for a waiter that came after that.
func TestWaitForHasTheFirstErrorNextToANewcomer(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		var newcomer <-chan result[int]
		looks := 0
		w := startIn(func() (int, error) {
			return m.WaitFor(bg, "a", func(int) bool {
				if looks++; looks == 1 {
					require.Equal(t, 1, m.Cancel("a"))
					newcomer = startIn(func() (int, error) { return m.WaitFor(bg, "a", never) })
					time.Sleep(time.Second) // of bubble time: it is in line
					require.Equal(t, 1, m.CancelCause("a", errRefCause))
				}
				return false
			})
		})
		m.Store("a", 1)
		r := <-w
		require.ErrorIs(t, r.err, waitmap.ErrCanceled)
		require.NotErrorIs(t, r.err, errRefCause)
		requireError(t, errRefCause, newcomer)
		require.Zero(t, m.Waiters("a"))
	})
}

// TestWaitForLeavesNothing, wherever its predicate or its Park does not return.
func TestWaitForLeavesNothing(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		for at := range 3 {
			m.Store("a", -1)
			done := make(chan struct{})
			other := startIn(func() (int, error) { return m.WaitFor(bg, "a", is(9)) })
			go func() {
				defer close(done)
				outlive(func() {
					m.WaitFor(bg, "a", func(v int) bool {
						if v == at {
							leave()
						}
						return false
					})
				})
			}()
			synctest.Wait()
			for v := range at + 1 {
				require.Equal(t, 2, m.Waiters("a"))
				m.Store("a", v)
				synctest.Wait()
			}
			<-done
			require.Equal(t, 1, m.Waiters("a"))
			p := leavingParker{wake.Func(func() { t.Error("woken, though it has left") }), leave}
			outlive(func() { m.WaitFor(wake.WithParker(bg, p), "a", never) })
			require.Equal(t, 1, m.Waiters("a"))
			m.Store("a", 9)
			requireValue(t, 9, other)
			requireIdle(t, m)
		}
	})
}

// TestWaitForLetsGoOfValues: the map does not keep a value for waiters that have all seen
// it, if it is not in the map any more.
func TestWaitForLetsGoOfValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m waitmap.Map[string, *obj]
		w := startIn(func() (*obj, error) { return m.WaitFor(bg, "a", func(o *obj) bool { return o == nil }) })
		p := storeAndForget(&m)
		synctest.Wait()
		requireFreed(t, p, "a value that was seen")
		m.Store("a", nil)
		requireValue(t, nil, w)
	})
}

//go:noinline
func storeAndForget(m *waitmap.Map[string, *obj]) weak.Pointer[obj] {
	o, p := newObj()
	m.Store("a", o)
	m.Delete("a")
	return p
}

// TestStressWaitForSeesTheLast: stores, deletes, takers and a table that is
// replaced; each WaitFor sees the last value of a round.
func TestStressWaitForSeesTheLast(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		defer shaken(7)()
		m := newMap()
		for round := range testkit.Scale(60, 12) {
			ctx, cancel := context.WithCancel(bg)
			last := 100 * (round + 1)
			var watchers, others sync.WaitGroup
			for range 2 {
				watchers.Go(func() {
					if v, err := m.WaitFor(bg, 1, is(last)); v != last || err != nil {
						t.Errorf("%d, %v", v, err)
					}
				})
			}
			inLine(m, 1, 2)
			others.Go(func() {
				for ctx.Err() == nil {
					m.Take(ctx, 1)
				}
			})
			others.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					m.Store(10+i%200, i)
					m.Delete(10 + rand.IntN(200))
					runtime.Gosched()
				}
			})
			for v := last - 20; v <= last; v++ {
				m.Store(1, v)
				if v%3 == 0 {
					runtime.Gosched()
				}
			}
			m.Delete(1)
			watchers.Wait()
			cancel()
			others.Wait()
		}
		requireIdle(t, m)
	})
}

package waitmap_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// held starts a computation of "a", which is 1, that lasts until the channel is
// closed and then ends as end says. For bubbles.
func held(m *intMap, end func() (int, waitmap.Op)) (finish chan struct{}, computed <-chan struct{}) {
	m.Store("a", 1)
	finish, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		defer func() { recover() }()
		m.Compute("a", func(int, bool) (int, waitmap.Op) {
			<-finish
			return end()
		})
	}()
	synctest.Wait()
	return finish, over
}

func kept() (int, waitmap.Op) { return 0, waitmap.KeepOp }

// waitsOnHold are the calls with a context that wait while a computation holds
// their key.
var waitsOnHold = map[string]waitFun{"Take": waits["Take"], "OnTake": waits["OnTake"], "WaitCompute": waits["WaitCompute"]}

func overHeld(t *testing.T, f func(t *testing.T, m *intMap, wait waitFun)) {
	for name, wait := range waitsOnHold {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) { f(t, m, wait) })
		})
	}
}

// TestDeadlineWhileHeld: a wait ends with its context though a computation
// holds the key, and consumes nothing.
func TestDeadlineWhileHeld(t *testing.T) {
	overHeld(t, func(t *testing.T, m *intMap, wait waitFun) {
		finish, computed := held(m, kept)
		ctx, cancel := context.WithTimeoutCause(bg, 50*time.Millisecond, errRefCause)
		defer cancel()
		begin := time.Now()
		v, err := wait(m, ctx, "a")
		require.Equal(t, 50*time.Millisecond, time.Since(begin))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errRefCause)
		require.Zero(t, v)
		close(finish)
		<-computed
		requireContents(t, map[string]int{"a": 1}, m)
		requireIdle(t, m)
	})
}

// TestWaitWhileHeld goes on when the computation is over, with what it left.
func TestWaitWhileHeld(t *testing.T) {
	overHeld(t, func(t *testing.T, m *intMap, wait waitFun) {
		finish, computed := held(m, func() (int, waitmap.Op) { return 2, waitmap.StoreOp })
		w := wait.start(m, bg, "a")
		requirePending(t, w)
		close(finish)
		requireValue(t, 2, w)
		<-computed

		finish, computed = held(m, func() (int, waitmap.Op) { return 0, waitmap.DeleteOp })
		w = wait.start(m, bg, "a")
		close(finish)
		<-computed
		synctest.Wait()
		requirePending(t, w)
		require.Equal(t, 1, m.Waiters("a"))
		m.Store("a", 3)
		requireValue(t, 3, w)
	})
}

// TestMisbehavingContextWhileHeld: whatever the context's methods do, and its
// parker, it holds up no other goroutine and takes nothing.
func TestMisbehavingContextWhileHeld(t *testing.T) {
	for how, leave := range leaves {
		for name, wait := range waitsOnHold {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					for calls := 1; calls < 14; calls++ {
						var m intMap
						finish, computed := held(&m, kept)
						ctx, cancel := leaving(calls, leave)
						outlive(func() { wait(&m, ctx, "a") })
						cancel()
						p := leavingParker{wake.Func(func() { t.Error("woken, though it has left") }), leave}
						require.False(t, outlive(func() { wait(&m, wake.WithParker(bg, p), "a") }))
						w := wait.start(&m, bg, "a")
						close(finish)
						<-computed
						requireValue(t, 1, w)
						requireIdle(t, &m)
					}
				})
			})
		}
	}
}

// changes are the calls that wait while a computation holds "a", whatever that
// takes.
var changes = map[string]func(m *intMap){
	"Store":            func(m *intMap) { m.Store("a", 7) },
	"Swap":             func(m *intMap) { m.Swap("a", 7) },
	"LoadAndDelete":    func(m *intMap) { m.LoadAndDelete("a") },
	"Delete":           func(m *intMap) { m.Delete("a") },
	"Clear":            func(m *intMap) { m.Clear() },
	"CompareAndSwap":   func(m *intMap) { waitmap.CompareAndSwap(m, "a", 1, 7) },
	"CompareAndDelete": func(m *intMap) { waitmap.CompareAndDelete(m, "a", 1) },
	"Compute":          func(m *intMap) { m.Compute("a", func(old int, _ bool) (int, waitmap.Op) { return keep(old) }) },
}

// TestChangesWhileHeld wait, durably blocked, and are woken however the
// computation ends.
func TestChangesWhileHeld(t *testing.T) {
	ends := map[string]func() (int, waitmap.Op){
		"KeepOp":  kept,
		"StoreOp": func() (int, waitmap.Op) { return 1, waitmap.StoreOp },
		"panic":   func() (int, waitmap.Op) { panic("computation") },
		"Goexit":  func() (int, waitmap.Op) { runtime.Goexit(); return kept() },
	}
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) {
				finish, computed := held(m, func() (int, waitmap.Op) {
					time.Sleep(time.Hour) // of the bubble, if all others block durably
					return end()
				})
				begin := time.Now()
				var all sync.WaitGroup
				for _, change := range changes {
					all.Go(func() { change(m) })
				}
				synctest.Wait()
				close(finish)
				<-computed
				all.Wait()
				require.Equal(t, time.Hour, time.Since(begin))
				m.Store("a", 9)
				requireContents(t, map[string]int{"a": 9}, m)
			})
		})
	}
}

// TestWakersAtTheEndOfAHold: the waiters for the hold are woken although the
// waker of a waiter in line, or of another of them, does not return.
func TestWakersAtTheEndOfAHold(t *testing.T) {
	overLeaves(t, func(t *testing.T, m *intMap, leave func()) {
		finish, computed := held(m, func() (int, waitmap.Op) { return 2, waitmap.StoreOp })
		next := async(func() (int, error) { return m.WaitNext(bg, "a") })
		synctest.Wait()
		m.Register("b", nil) // stays
		hostile := func() context.Context { return wake.WithParker(bg, crossParker{wake.NewParker(), leave}) }
		first := async(func() (int, error) { return m.WaitNext(hostile(), "a") })
		synctest.Wait()
		second := async(func() (int, error) { return m.WaitCompute(hostile(), "a", keep) })
		synctest.Wait()
		third := make(chan int, 1)
		go func() {
			defer func() { recover() }() // it wakes the second if it is faster
			m.WaitCompute(bg, "a", func(v int) (int, waitmap.Op) { third <- v; return keep(v) })
		}()
		synctest.Wait()
		close(finish)
		<-computed
		for _, w := range []<-chan result[int]{next, first, second} {
			requireValue(t, 2, w)
		}
		require.Equal(t, 2, <-third)
		requireContents(t, map[string]int{"a": 2}, m)
		require.Equal(t, 1, m.CancelAll())
	})
}

// TestStressHeld: many compute, change and take one key under contexts that end
// at any time, and none is forgotten. The values are conserved.
func TestStressHeld(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		defer shaken(9)()
		m := newMap()
		rounds := testkit.Scale(400, 100)
		var stored, taken int
		var mu sync.Mutex
		testkit.Together(4, func(g int) {
			mine, theirs := 0, 0
			for i := range rounds {
				switch (i + g) % 4 {
				case 0:
					if _, loaded := m.LoadOrStore(1, 1); !loaded {
						mine++
					}
				case 1:
					m.Compute(1, func(old int, _ bool) (int, waitmap.Op) { runtime.Gosched(); return keep(old) })
				default:
					ctx, cancel := context.WithCancel(bg)
					go cancel()
					if i%2 == 0 {
						m.WaitCompute(ctx, 1, func(old int) (int, waitmap.Op) { return keep(old) })
					} else if _, err := m.Take(ctx, 1); err == nil {
						theirs++
					}
					<-ctx.Done()
				}
			}
			mu.Lock()
			stored, taken = stored+mine, taken+theirs
			mu.Unlock()
		})
		require.Equal(t, stored, taken+m.Len())
		requireIdle(t, m)
	})
}

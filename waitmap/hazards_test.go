package waitmap_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// Each test here is named after a problem of another system. Where order matters it runs in
// a bubble; hazards_stress_test.go has the same hazards without a bubble. There are more in
// badkeys_test.go (unhashable and NaN keys), register_test.go (Register and wakers) and
// memory_test.go (memory that is not freed).

// TestHazardStaleSlot: cancel, and a new wait of the same key begins before
// the old one ran. Both return; neither takes the other's place.
func TestHazardStaleSlot(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		old := wait.start(m, bg, "a")
		require.Equal(t, 1, m.Cancel("a"))
		first := m.Register("a", nil) // the old one has not run yet
		require.Equal(t, 1, m.Waiters("a"))
		requireError(t, waitmap.ErrCanceled, old)
		young := wait.start(m, bg, "a")
		require.Equal(t, 2, m.Waiters("a"))
		m.Store("a", 1)
		requireValue(t, 1, young)
		requireResult(t, first, 1, nil)
		requireIdle(t, m)
	})
}

// TestHazardStaleStop: Stop of an old Future, and the end of an old wait's
// context, touch no later waiter.
func TestHazardStaleStop(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		ctx, cancel := context.WithCancel(bg)
		old := wait.start(m, ctx, "a")
		stale := m.Register("a", nil)
		require.Equal(t, 2, m.Cancel("a"))
		young := m.Register("a", nil)
		cancel()
		require.False(t, stale.Stop())
		requireError(t, waitmap.ErrCanceled, old)
		require.Equal(t, 1, m.Waiters("a"))
		m.Store("a", 1)
		requireResult(t, young, 1, nil)
		require.False(t, stale.Stop())
		requireResult(t, stale, 0, waitmap.ErrCanceled)
	})
}

// TestHazardLoadSeesWaitersKey: a key that only has waiters "is there".
func TestHazardLoadSeesWaitersKey(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, *int]) {
		m := newMap()
		for i := range 200 {
			m.Register(i, nil)
			v, ok := m.Load(i)
			require.False(t, ok)
			require.Nil(t, v)
		}
		require.Zero(t, m.Len())
		require.Empty(t, contents(t, m))
		for range m.Keys() {
			t.Fatal("a key without a value")
		}
		for i := range 200 { // stored, and deleted under later waiters
			m.Store(i, &i)
			m.Register(i, nil)
			m.Delete(i)
			m.Register(i, nil)
			_, ok := m.Load(i)
			require.False(t, ok)
		}
		require.Zero(t, m.Len())
		require.Empty(t, contents(t, m))
		require.Equal(t, 200, m.CancelAll())
	})
}

// TestHazardHotKey: all waiters of a key wake into one lock. Here they return
// although the key is held for as long as they take.
func TestHazardHotKey(t *testing.T) {
	for _, name := range []string{"Wait", "WaitNext", "Future", "Take", "WaitFor"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, m *intMap) {
				var ws []<-chan result[int]
				for range 25 {
					ws = append(ws, async(func() (int, error) { return waits[name](m, bg, "a") }))
				}
				synctest.Wait()
				for i := range ws { // takers need one each
					m.Store("a", i)
				}
				m.Compute("a", func(int, bool) (int, waitmap.Op) {
					for _, w := range ws {
						r := <-w
						require.NoError(t, r.err)
					}
					return 2, waitmap.StoreOp
				})
			})
		})
	}
}

// TestHazardSlowInit: while a key is being computed, everything works for
// other keys, also those of the same bucket, through any number of growths,
// and the key itself can be loaded.
func TestHazardSlowInit(t *testing.T) {
	overHolders(t, func(t *testing.T, m *waitmap.Map[int, int], h holder) {
		entered, release := make(chan struct{}), make(chan struct{})
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			h.run(m, 1, func() { close(entered); <-release })
		}()
		<-entered
		for i := range manyKeys {
			m.Store(100+i, i)
		}
		for i := range manyKeys {
			v, err := m.Take(bg, 100+i)
			require.NoError(t, err)
			require.Equal(t, i, v)
		}
		m.Compute(2, func(old int, _ bool) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
		m.LoadOrCompute(3, func() (int, error) { return 3, nil })
		f := m.Register(4, nil)
		m.Store(4, 4)
		requireResult(t, f, 4, nil)
		require.True(t, m.Register(5, nil).Stop())
		require.Zero(t, m.Cancel(5))
		want := map[int]int{2: 3, 3: 3, 4: 4}
		if h.name != "LoadOrCompute" {
			want[1] = 1
		}
		requireContents(t, want, m) // Len, All and Load of the held key itself
		waitingKeys(m)
		close(release)
		<-finished
		want[1] = 1
		requireContents(t, want, m)
	})
}

// TestHazardHeldKeyWaits: a store to a key that is being computed comes after
// it, and neither is lost.
func TestHazardHeldKeyWaits(t *testing.T) {
	overHolders(t, func(t *testing.T, m *waitmap.Map[int, int], h holder) {
		others := []func(){
			func() { m.Compute(1, func(old int, _ bool) (int, waitmap.Op) { return old + 10, waitmap.StoreOp }) },
			func() { m.Compute(1, func(old int, _ bool) (int, waitmap.Op) { return old + 100, waitmap.StoreOp }) },
			func() {
				v, loaded, err := m.LoadOrCompute(1, func() (int, error) { return -1, nil })
				if !loaded || err != nil || v%10 != 1 {
					t.Errorf("LoadOrCompute gave %d, %t, %v", v, loaded, err)
				}
			},
		}
		done := make(chan struct{})
		h.run(m, 1, func() {
			for _, f := range others {
				go func() { f(); done <- struct{}{} }()
			}
			for range 100 { // a chance to go wrong
				runtime.Gosched()
			}
		})
		for range others {
			<-done
		}
		v, ok := m.Load(1)
		require.True(t, ok)
		require.Equal(t, 111, v)
	})
}

// TestHazardGuards: nothing that the map hands out locks out its own caller.
func TestHazardGuards(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		for i := range 40 {
			m.Store(i, i)
			m.Register(1000+i, nil)
		}
		for k := range m.All() {
			for k2 := range m.Keys() {
				m.Store(k2, k)
				m.Compute(k2, func(int, bool) (int, waitmap.Op) {
					m.Load(k2)
					return k, waitmap.StoreOp
				})
				if k == 3 {
					m.Delete(k2)
					m.LoadOrStore(k2, 1)
				}
			}
			for range m.Values() {
				m.Len()
				break
			}
		}
		for k := range m.Waiting() {
			if k < 5000 {
				m.Store(k, 1)
			}
			m.Register(5000, nil)
			for range m.Waiting() {
				m.Waiters(k)
				break
			}
		}
		m.Compute(-1, func(int, bool) (int, waitmap.Op) {
			n := 0
			for range m.All() {
				n++
			}
			return n, waitmap.StoreOp
		})
		v, _ := m.Load(-1)
		require.Equal(t, 80, v)
		m.CancelAll()
	})
}

// TestHazardGrowthLosesEntries: one writer, readers and waiters at every size.
func TestHazardGrowthLosesEntries(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const n = 700
		futures := make([]*waitmap.Future[int], n)
		for i := range n {
			futures[i] = m.Register(i, nil)
			if i%2 == 1 {
				_, loaded := m.LoadOrStore(i-1, i-1)
				require.False(t, loaded)
				_, loaded = m.LoadOrStore(i-1, -1)
				require.True(t, loaded)
			}
		}
		for i := range n {
			v, ok := m.Load(i)
			require.Equal(t, i%2 == 0, ok, "key %d", i)
			if ok {
				require.Equal(t, i, v)
				requireResult(t, futures[i], i, nil)
			} else {
				requireUndone(t, futures[i])
				require.Equal(t, 1, m.Waiters(i))
			}
		}
		require.Equal(t, n/2, m.Len())
		for i := 1; i < n; i += 2 {
			m.Store(i, i)
			requireResult(t, futures[i], i, nil)
		}
		require.Len(t, contents(t, m), n)
		requireIdle(t, m)
	})
}

// TestHazardWaitersSurviveChurn: waiters of many keys stay in line while
// others grow, shrink and clear the table under them.
func TestHazardWaitersSurviveChurn(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		const n = 100
		futures := make([]*waitmap.Future[int], n)
		for i := range n {
			futures[i] = m.Register(-1-i, nil)
		}
		for round := range 6 {
			for i := range manyKeys {
				m.Store(i, round)
			}
			if round%2 == 0 {
				m.Clear()
			} else {
				for i := range manyKeys {
					m.Delete(i)
				}
			}
			keys, waiters := waitingKeys(m)
			require.Equal(t, n, keys)
			require.Equal(t, n, waiters)
		}
		for i := range n {
			m.Store(-1-i, i)
			requireResult(t, futures[i], i, nil)
		}
		requireIdle(t, m)
	})
}

// TestHazardSynctest: waiting is durable in a bubble, after use of the same
// package, and the same map, outside of one: an hour of the bubble's clock
// passes, which needs every goroutine to be durably blocked.
func TestHazardSynctest(t *testing.T) {
	for name, newMap := range constructions[string, int]() {
		t.Run(name, func(t *testing.T) {
			m := newMap()
			for _, wait := range waits { // outside, woken and canceled
				w := async(func() (int, error) { return wait(m, bg, "a") })
				inLine(m, "a", 1)
				m.Store("a", 1)
				requireValue(t, 1, w)
				m.Delete("a")
				w = async(func() (int, error) { return wait(m, bg, "a") })
				inLine(m, "a", 1)
				m.Cancel("a")
				requireError(t, waitmap.ErrCanceled, w)
			}
			outside := m.Register("outside", nil)
			for range 2 {
				synctest.Test(t, func(t *testing.T) { waitAnHour(t, m) })
			}
			m.Store("outside", 1)
			requireResult(t, outside, 1, nil)
			v, err := outside.Wait(bg)
			require.NoError(t, err)
			require.Equal(t, 1, v)
		})
	}
}

func waitAnHour(t *testing.T, m *intMap) {
	begin := time.Now()
	for name, wait := range waits {
		ctx, cancel := context.WithTimeout(bg, time.Hour)
		before := time.Now()
		w := wait.start(m, ctx, "a")
		requireError(t, context.DeadlineExceeded, w)
		require.Equal(t, time.Hour, time.Since(before), name)
		cancel()

		w = wait.start(m, bg, "a")
		<-time.After(time.Minute)
		m.Store("a", 1)
		requireValue(t, 1, w)
		m.Delete("a")
	}
	require.Equal(t, time.Duration(len(waits))*61*time.Minute, time.Since(begin))
}

// TestHazardBusyWakerDelaysNobody: a waker that is slow does not keep the map
// locked; the storer waits for it, others do not.
func TestHazardBusyWakerDelaysNobody(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		synctest.Test(t, func(t *testing.T) {
			m := newMap()
			release := make(chan struct{})
			m.Register("a", wake.Func(func() { <-release }))
			stored := make(chan struct{})
			go func() { defer close(stored); m.Store("a", 1) }()
			synctest.Wait()
			v, ok := m.Load("a")
			require.True(t, ok)
			require.Equal(t, 1, v)
			m.Store("a", 2)
			m.Delete("a")
			f := m.Register("a", nil)
			for i := range manyKeys {
				m.Store(fmt.Sprint(i), i)
			}
			m.Store("a", 3)
			requireResult(t, f, 3, nil)
			close(release)
			<-stored
			v, _ = m.Load("a")
			require.Equal(t, 3, v)
		})
	})
}

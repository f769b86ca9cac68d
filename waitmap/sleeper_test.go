package waitmap_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// TestWaitInALateBubble: a bubble whose clock has passed that of the program uses
// nothing from outside either. An hour passes there only if the wait is durable.
func TestWaitInALateBubble(t *testing.T) {
	m := new(intMap)
	for name, wait := range waits {
		for range 10 { // under -race pools drop some
			w := async(func() (int, error) { return wait(m, bg, "a") })
			inLine(m, "a", 1)
			m.Cancel("a")
			requireError(t, waitmap.ErrCanceled, w)
		}
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(100 * 365 * 24 * time.Hour)
			ctx, cancel := context.WithTimeout(bg, time.Hour)
			defer cancel()
			_, err := wait(m, ctx, "a")
			require.ErrorIs(t, err, context.DeadlineExceeded, name)
		})
	}
}

// TestStressReusedSleepers: waits of all kinds end in all ways while others begin,
// under few keys of few shards: each gets a value of its own key, or its own error,
// and no value of a taker goes to two.
func TestStressReusedSleepers(t *testing.T) {
	for round := range testkit.Scale(20, 4) {
		stop := shaken(uint64(round))
		m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 1 << (round % 3)})
		var over atomic.Bool
		var writers, sleepers sync.WaitGroup
		for w := range 2 {
			writers.Go(func() {
				for i := w; !over.Load(); i += 2 {
					disturb(m, i%4, i)
					runtime.Gosched()
				}
			})
		}
		taken := make([]map[int]bool, 4)
		for g := range taken {
			taken[g] = make(map[int]bool)
			sleepers.Go(func() {
				for i := range testkit.Scale(2000, 300) {
					sleep(t, m, (g+i)%4, i, taken[g])
				}
			})
		}
		sleepers.Wait()
		over.Store(true)
		writers.Wait()
		stop()
		all := make(map[int]bool)
		for _, vs := range taken {
			for v := range vs {
				require.False(t, all[v], "%d was taken twice", v)
				all[v] = true
			}
		}
		requireIdle(t, m)
	}
}

// disturb stores under the key or disturbs its waiters. Values tell their keys.
func disturb(m *waitmap.Map[int, int], key, i int) {
	v := i<<2 | key
	switch i / 4 % 11 {
	case 0:
		m.Cancel(key)
	case 1:
		m.Compute(key, func(int, bool) (int, waitmap.Op) { return v, waitmap.Op(i % 3) })
	case 2:
		m.Register(key, nil).Stop()
	case 3:
		m.Clear()
	case 4, 5:
		m.Delete(key)
	case 6:
		m.Swap(key, v)
	case 7:
		m.LoadOrStore(key, v)
	default:
		m.Store(key, v)
	}
}

// hastyParker returns early, and fails now and then.
type hastyParker struct {
	wake.Parker
	parks *int
}

func (p hastyParker) Park(context.Context) error {
	*p.parks++
	runtime.Gosched()
	if *p.parks%5 == 0 {
		return errRefused
	}
	return nil
}

func sleep(t *testing.T, m *waitmap.Map[int, int], key, i int, taken map[int]bool) {
	ctx, cancel := context.WithTimeout(bg, time.Duration(i%7)*10*time.Microsecond)
	defer cancel()
	if i%3 == 0 {
		ctx = wake.WithParker(ctx, hastyParker{wake.NewParker(), new(int)})
	}
	var v int
	var err error
	switch i % 5 {
	case 0, 1:
		if v, err = m.Take(ctx, key); err == nil {
			taken[v] = true
		}
	case 2:
		v, err = m.WaitNext(ctx, key)
	case 3:
		v, err = m.WaitFor(ctx, key, func(v int) bool { return v%8 < 4 })
	default:
		v, err = m.Wait(ctx, key)
	}
	if err == nil && v&3 != key {
		t.Errorf("a wait for key %d got %d, of key %d", key, v, v&3)
	}
}

// TestWaitsReuseMemory counts the bytes of a wait that gets its value, with the store
// and the delete, when the map has seen some.
func TestWaitsReuseMemory(t *testing.T) {
	if testkit.Race {
		t.Skip("under the race detector pools drop what they are given")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for name, hop := range map[string]func(m *intMap, ctx context.Context) (int, error){
		"Wait": func(m *intMap, ctx context.Context) (int, error) {
			defer m.Delete("a")
			return m.Wait(ctx, "a")
		},
		"Take": func(m *intMap, ctx context.Context) (int, error) { return m.Take(ctx, "a") },
	} {
		t.Run(name, func(t *testing.T) {
			m := new(intMap)
			const n = 2000
			served := make(chan struct{}, 1)
			go func() {
				defer close(served)
				for range n + 1 { // AllocsPerRun runs it once more
					hop(m, bg)
					served <- struct{}{}
				}
			}()
			allocs := testing.AllocsPerRun(n, func() {
				inLine(m, "a", 1)
				m.Store("a", 1)
				<-served
			})
			<-served
			require.Zero(t, allocs)
		})
	}
}

package waitq_test

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/waitq"
)

// A bed is a place for one sleeping goroutine at a time.
type bed struct {
	mu sync.Mutex
	in *waitq.Sleeper // the sleeping one, or nil
}

// sleep is called with mu unlocked, and returns with mu unlocked.
func (b *bed) sleep(s *waitq.Sleeper) {
	b.mu.Lock()
	b.in = s
	s.Sleep(&b.mu)
}

// rouse wakes the sleeping goroutine, if there is one.
func (b *bed) rouse() bool {
	b.mu.Lock()
	s := b.in
	b.in = nil
	b.mu.Unlock()
	if s != nil {
		s.Wake()
	}
	return s != nil
}

// TestSleeperIsForAllBubbles: a Sleeper may be used outside of bubbles and in one bubble
// after the other, and blocks durably in each.
func TestSleeperIsForAllBubbles(t *testing.T) {
	var b bed
	var s waitq.Sleeper
	once := func(waitUntilAsleep func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.sleep(&s)
		}()
		waitUntilAsleep()
		for !b.rouse() {
			waitUntilAsleep()
		}
		<-done
	}
	for range 2 {
		once(func() {})
		synctest.Test(t, func(t *testing.T) {
			once(synctest.Wait)
		})
	}
	require.True(t, b.mu.TryLock(), "unlocked")
}

// TestStressSleeper: a wake that comes before the sleep is not lost, and what was written
// before the wake can be read after the sleep.
func TestStressSleeper(t *testing.T) {
	n := 50_000
	if testing.Short() {
		n = 5_000
	}
	var b bed
	value := 0
	pool := sync.Pool{New: func() any { return new(waitq.Sleeper) }}
	var sleeper sync.WaitGroup
	sleeper.Go(func() {
		for i := range n {
			s := pool.Get().(*waitq.Sleeper)
			b.sleep(s)
			pool.Put(s)
			if value != i+1 {
				t.Errorf("sleep %d: %d", i, value)
			}
		}
	})
	for range n {
		for {
			b.mu.Lock()
			if b.in != nil {
				value++
				b.mu.Unlock()
				break
			}
			b.mu.Unlock()
			runtime.Gosched() // on one processor the sleeper could run only when this is preempted
		}
		b.rouse()
	}
	sleeper.Wait()
}

// TestRenew: a waiter can get in line again.
func TestRenew(t *testing.T) {
	q, ws := pushed(2)
	require.True(t, q.Remove(ws[0]))
	require.True(t, ws[0].Finish())
	ws[0].Renew()
	require.False(t, ws[0].Done())
	require.False(t, q.Has(ws[0]))
	require.Zero(t, ws[0].Value)
	q.Push(ws[0])
	requireLine(t, []int{1, 0}, q)
}

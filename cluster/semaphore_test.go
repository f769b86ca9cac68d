package cluster_test

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

func newSemaphore(t *testing.T, b *cluster.Bucket, permits int, ttl time.Duration) *cluster.Semaphore {
	s, err := cluster.NewSemaphore(b, &cluster.SemaphoreOptions{Permits: permits, TTL: ttl})
	require.NoError(t, err)
	return s
}

// semaphores returns the Semaphores of n machines.
func semaphores(t *testing.T, n, permits int, ttl time.Duration) (all []*cluster.Semaphore, machines []machine) {
	s := newSite(t)
	for range n {
		machines = append(machines, s.machine(t))
		all = append(all, newSemaphore(t, machines[len(machines)-1].Bucket, permits, ttl))
	}
	return all, machines
}

func acquire(t *testing.T, s *cluster.Semaphore) *cluster.Permit {
	t.Helper()
	p, err := s.Acquire(bg)
	require.NoError(t, err)
	return p
}

// tryAcquire fails if there is a permit, or not.
func tryAcquire(t *testing.T, s *cluster.Semaphore, want bool) *cluster.Permit {
	t.Helper()
	p, acquired, err := s.TryAcquire(bg)
	require.NoError(t, err)
	require.Equal(t, want, acquired)
	require.Equal(t, want, p != nil)
	return p
}

func startAcquire(s *cluster.Semaphore) chan result[*cluster.Permit] {
	return start(func() (*cluster.Permit, error) { return s.Acquire(bg) })
}

// requireSemaphoreWaits waits until n calls wait for a permit.
func requireSemaphoreWaits(t *testing.T, s *cluster.Semaphore, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Waiting() == n }, time.Minute, time.Millisecond)
}

// TestSemaphoreExcludes: no more than its permits are held, each by one, and their fences grow.
func TestSemaphoreExcludes(t *testing.T) {
	t.Parallel()
	const permits = 2
	all, _ := semaphores(t, 3, permits, endless)
	var inside, total atomic.Int64
	var last [permits]uint64 // each guarded by its permit
	var holders sync.WaitGroup
	for i := range 9 {
		holders.Go(func() {
			for range 10 {
				p, err := all[i%3].Acquire(bg)
				if !assert.NoError(t, err) {
					return
				}
				assert.LessOrEqual(t, inside.Add(1), int64(permits))
				assert.Greater(t, p.Fence(), last[p.Number()])
				last[p.Number()] = p.Fence()
				assert.NoError(t, p.Context().Err())
				total.Add(1)
				inside.Add(-1)
				assert.NoError(t, p.Release(bg))
				assert.ErrorIs(t, context.Cause(p.Context()), context.Canceled)
			}
		})
	}
	holders.Wait()
	require.EqualValues(t, 90, total.Load())
}

func TestSemaphoreTryAcquire(t *testing.T) {
	t.Parallel()
	all, machines := semaphores(t, 2, 3, endless)
	for range 5 { // what was released before the call is free
		var held []*cluster.Permit
		numbers := map[int]bool{}
		for i := range 3 {
			p := tryAcquire(t, all[i%2], true)
			held, numbers[p.Number()] = append(held, p), true
		}
		require.Equal(t, map[int]bool{0: true, 1: true, 2: true}, numbers)
		tryAcquire(t, all[0], false)
		tryAcquire(t, all[1], false)
		for _, p := range held {
			require.NoError(t, p.Release(bg))
		}
	}
	require.NoError(t, machines[0].Close())
	_, _, err := all[0].TryAcquire(bg)
	require.ErrorIs(t, err, cluster.ErrClosed)
}

// TestSemaphoreOfAStoppedHolder: the holder is cut off for longer than its TTL. It is told, and
// another machine has its permit, with a larger fence. The other permit is not concerned.
func TestSemaphoreOfAStoppedHolder(t *testing.T) {
	t.Parallel()
	all, machines := semaphores(t, 2, 2, brief)
	lost, kept := acquire(t, all[0]), acquire(t, all[1])
	machines[0].link.Cut()
	next := acquire(t, all[1])
	require.Equal(t, lost.Number(), next.Number())
	require.Greater(t, next.Fence(), lost.Fence())
	require.NoError(t, kept.Context().Err())
	<-lost.Context().Done()
	require.ErrorIs(t, context.Cause(lost.Context()), cluster.ErrLeaseLost)
	machines[0].link.Heal()
	again := startAcquire(all[0])
	requireSemaphoreWaits(t, all[0], 1)
	require.ErrorIs(t, lost.Release(bg), cluster.ErrLeaseLost)
	require.NoError(t, kept.Release(bg))
	r := <-again
	require.NoError(t, r.err)
	require.Equal(t, kept.Number(), r.v.Number())
}

// TestSemaphoreOfDifferentNumbers: each process takes only permits below its own number.
func TestSemaphoreOfDifferentNumbers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	one, three := newSemaphore(t, s.machine(t).Bucket, 1, endless), newSemaphore(t, s.machine(t).Bucket, 3, endless)
	first := tryAcquire(t, one, true)
	require.Zero(t, first.Number())
	others := []*cluster.Permit{tryAcquire(t, three, true), tryAcquire(t, three, true)}
	tryAcquire(t, three, false)
	require.NoError(t, others[0].Release(bg))
	tryAcquire(t, one, false)
	require.NoError(t, first.Release(bg))
	tryAcquire(t, one, true)
}

// TestSemaphoreLine: the waiters of a machine get permits in the order in which they came, and a
// permit that becomes free on another one costs one write.
func TestSemaphoreLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		k.tell(engine.Event{Kind: engine.Put, Key: "s\x000", Value: cluster.LeaseRecord(), Revision: 1})
		k.revision, k.there["s\x000"] = 1, 1
		require.NoError(t, b.Sync(bg))
		s := newSemaphore(t, b, 1, endless)
		order := make(chan int, 3)
		permits := make(chan *cluster.Permit, 3)
		for i := range 3 {
			go func() {
				p, err := s.Acquire(bg)
				assert.NoError(t, err)
				order <- i
				permits <- p
			}()
			synctest.Wait()
		}
		require.Zero(t, k.writes)
		_, err := k.apply(bg, engine.Write{Key: "s\x000", Delete: true, Expected: 1}) // the holder's
		require.NoError(t, err)
		for i := range 3 {
			require.Equal(t, i, <-order)
			synctest.Wait()
			require.Equal(t, 2+2*i, k.writes)
			require.NoError(t, (<-permits).Release(bg))
		}
		k.requireEmpty(t)
	})
}

func TestSemaphoreMisuse(t *testing.T) {
	t.Parallel()
	b := newSite(t).machine(t).Bucket
	s := newSemaphore(t, b, 1, endless)
	_, err := cluster.NewSemaphore(b, &cluster.SemaphoreOptions{Permits: 1})
	require.ErrorContains(t, err, `cluster: the Bucket has a Semaphore "" already`)
	for _, o := range []*cluster.SemaphoreOptions{nil, {Permits: -1}, {Permits: 1, TTL: time.Millisecond}, {Permits: 1, Name: "\x00"}} {
		_, err := cluster.NewSemaphore(b, o)
		require.ErrorContains(t, err, "cluster: the ")
	}
	require.PanicsWithValue(t, "cluster: nil context", func() { s.Acquire(nil) })    //lint:ignore SA1012 it is what is tested
	require.PanicsWithValue(t, "cluster: nil context", func() { s.TryAcquire(nil) }) //lint:ignore SA1012 it is what is tested
	ctx, cancel := context.WithCancelCause(bg)
	cancel(io.EOF)
	for range 3 {
		_, err = s.Acquire(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, io.EOF)
		_, _, err = s.TryAcquire(ctx)
		require.ErrorIs(t, err, io.EOF)
	}
	p := acquire(t, s)
	require.PanicsWithValue(t, "cluster: nil context", func() { p.Release(nil) }) //lint:ignore SA1012 it is what is tested
	behind := start(func() (*cluster.Permit, error) { return s.Acquire(bg) })
	require.Error(t, p.Release(ctx)) // nobody was told, but it is not held any more
	require.PanicsWithValue(t, "cluster: Release of a Permit that is not held", func() { p.Release(bg) })
	next := <-behind
	require.NoError(t, next.err)
	require.NoError(t, next.v.Release(bg))
}

// TestWakerOfTheNextInLineMisbehaves: an Acquire that has a permit does not return, and its permit is
// free again.
func TestWakerOfTheNextInLineMisbehaves(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		synctest.Test(t, func(t *testing.T) {
			k, b := newKeeper(t)
			s := newSemaphore(t, b, 1, endless)
			held := acquire(t, s)
			returned := make(chan bool, 1)
			go func() {
				r, _ := misbehave.Outcome(func() error { _, err := s.Acquire(bg); return err })
				returned <- r
			}()
			synctest.Wait()
			next := start(func() (*cluster.Permit, error) { return s.Acquire(wake.WithParker(bg, striking(strike))) })
			synctest.Wait()
			require.NoError(t, held.Release(bg))
			require.False(t, <-returned)
			r := <-next
			require.NoError(t, r.err)
			require.NoError(t, r.v.Release(bg))
			k.requireEmpty(t)
		})
	}
}

// TestSemaphoreUnderCuts: with machines that are cut off at any time, each holding has its own
// fence, and each wait ends.
func TestSemaphoreUnderCuts(t *testing.T) {
	t.Parallel()
	all, machines := semaphores(t, 3, 2, time.Second)
	stop := make(chan struct{})
	var faults, holders sync.WaitGroup
	faults.Go(func() { cutAll(machines, stop, func(int) {}) })
	var mu sync.Mutex
	fences := map[uint64]bool{}
	for i := range 6 {
		holders.Go(func() {
			for range 10 {
				p, err := all[i%3].Acquire(bg)
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				assert.False(t, fences[p.Fence()], "fence %d", p.Fence())
				fences[p.Fence()] = true
				mu.Unlock()
				if err := p.Release(bg); err != nil {
					assert.ErrorIs(t, err, cluster.ErrLeaseLost)
				}
			}
		})
	}
	holders.Wait()
	close(stop)
	faults.Wait()
}

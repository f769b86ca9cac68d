package cluster_test

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
)

// mutexes returns the Mutexes of n machines.
func mutexes(t *testing.T, n int, ttl time.Duration) (all []*cluster.Mutex, machines []machine) {
	s := newSite(t)
	for range n {
		machines = append(machines, s.machine(t))
		m, err := cluster.NewMutex(machines[len(machines)-1].Bucket, &cluster.MutexOptions{TTL: ttl})
		require.NoError(t, err)
		all = append(all, m)
	}
	return all, machines
}

func TestMutexExcludes(t *testing.T) {
	t.Parallel()
	all, _ := mutexes(t, 3, endless)
	var inside, total atomic.Int64
	var last uint64 // guarded by the Mutex
	var holders sync.WaitGroup
	for i := range 9 {
		holders.Go(func() {
			for range 10 {
				fence, err := all[i%3].Lock(bg)
				if !assert.NoError(t, err) {
					return
				}
				assert.EqualValues(t, 1, inside.Add(1))
				assert.Greater(t, fence, last)
				last = fence
				assert.NoError(t, all[i%3].Context().Err())
				total.Add(1)
				inside.Add(-1)
				assert.NoError(t, all[i%3].Unlock(bg))
			}
		})
	}
	holders.Wait()
	require.EqualValues(t, 90, total.Load())
}

func TestMutexIsRenewed(t *testing.T) {
	t.Parallel()
	all, _ := mutexes(t, 2, brief)
	_, err := all[0].Lock(bg)
	require.NoError(t, err)
	held := all[0].Context()
	ctx, cancel := context.WithTimeout(bg, 3*brief)
	defer cancel()
	_, err = all[1].Lock(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, held.Err())
	require.NoError(t, all[0].Unlock(bg))
	require.ErrorIs(t, context.Cause(held), context.Canceled)
	_, err = all[1].Lock(bg)
	require.NoError(t, err)
}

// TestMutexOfAStoppedHolder: the holder is cut off for longer than its TTL. It is told, and
// another machine has the Mutex, with a larger fence.
func TestMutexOfAStoppedHolder(t *testing.T) {
	t.Parallel()
	all, machines := mutexes(t, 2, brief)
	before, err := all[0].Lock(bg)
	require.NoError(t, err)
	held := all[0].Context()
	machines[0].link.Cut()
	after, err := all[1].Lock(bg)
	require.NoError(t, err)
	require.Greater(t, after, before)
	<-held.Done()
	require.ErrorIs(t, context.Cause(held), cluster.ErrLeaseLost)
	again := start(func() (uint64, error) { return all[0].Lock(bg) }) // behind its own holder
	machines[0].link.Heal()
	require.ErrorIs(t, all[0].Unlock(bg), cluster.ErrLeaseLost)
	require.NoError(t, all[1].Unlock(bg))
	r := <-again
	require.NoError(t, r.err)
	require.Greater(t, r.v, after)
}

func TestMutexTryLock(t *testing.T) {
	t.Parallel()
	all, machines := mutexes(t, 2, endless)
	for range 5 { // what was unlocked before the call is free
		for _, m := range all {
			fence, locked, err := m.TryLock(bg)
			require.NoError(t, err)
			require.True(t, locked)
			require.NotZero(t, fence)
			for _, other := range all {
				fence, locked, err := other.TryLock(bg)
				require.NoError(t, err)
				require.False(t, locked)
				require.Zero(t, fence)
			}
			require.NoError(t, m.Unlock(bg))
		}
	}
	require.NoError(t, machines[0].Close())
	_, _, err := all[0].TryLock(bg)
	require.ErrorIs(t, err, cluster.ErrClosed)
}

func TestMutexCloseEndsWaits(t *testing.T) {
	t.Parallel()
	all, machines := mutexes(t, 2, endless)
	_, err := all[0].Lock(bg)
	require.NoError(t, err)
	held := all[0].Context()
	remote := start(func() (uint64, error) { return all[1].Lock(bg) })
	behind := start(func() (uint64, error) { return all[1].Lock(bg) })
	local := start(func() (uint64, error) { return all[0].Lock(bg) })
	require.NoError(t, machines[1].Close())
	require.ErrorIs(t, (<-remote).err, cluster.ErrClosed)
	require.ErrorIs(t, (<-behind).err, cluster.ErrClosed)
	require.NoError(t, machines[0].Close())
	require.ErrorIs(t, (<-local).err, cluster.ErrClosed)
	<-held.Done()
	require.ErrorIs(t, context.Cause(held), cluster.ErrClosed)
	require.ErrorIs(t, all[0].Unlock(bg), cluster.ErrClosed)
}

func TestMutexMisuse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.machine(t).Bucket
	m, err := cluster.NewMutex(b, nil)
	require.NoError(t, err)
	_, err = cluster.NewMutex(b, nil)
	require.ErrorContains(t, err, `cluster: the Bucket has a Mutex "" already`)
	_, err = cluster.NewMutex(b, &cluster.MutexOptions{TTL: time.Millisecond, Name: "other"})
	require.ErrorContains(t, err, "TTL")
	require.PanicsWithValue(t, "cluster: Unlock of a Mutex that is not locked", func() { m.Unlock(bg) })
	require.PanicsWithValue(t, "cluster: nil context", func() { m.Lock(nil) })   //lint:ignore SA1012 it is what is tested
	require.PanicsWithValue(t, "cluster: nil context", func() { m.Unlock(nil) }) //lint:ignore SA1012 it is what is tested
	require.Error(t, m.Context().Err())
	ctx, cancel := context.WithCancelCause(bg)
	cancel(io.EOF)
	_, err = m.Lock(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, io.EOF)
	_, err = m.Lock(bg)
	require.NoError(t, err)
	require.Error(t, m.Unlock(ctx)) // nobody was told, but it is not held any more
	_, err = m.Lock(bg)
	require.NoError(t, err)
	require.NoError(t, m.Unlock(bg))
}

// TestMutexUnderCuts: with machines that are cut off at any time, each holding has its own
// fence, and each wait ends.
func TestMutexUnderCuts(t *testing.T) {
	t.Parallel()
	all, machines := mutexes(t, 3, time.Second)
	stop := make(chan struct{})
	var faults, holders sync.WaitGroup
	faults.Go(func() { cutAll(machines, stop, func(int) {}) })
	var mu sync.Mutex
	fences := map[uint64]bool{}
	for i := range 6 {
		holders.Go(func() {
			for range 10 {
				fence, err := all[i%3].Lock(bg)
				if !assert.NoError(t, err) {
					return
				}
				mu.Lock()
				assert.False(t, fences[fence], "fence %d", fence)
				fences[fence] = true
				mu.Unlock()
				if err := all[i%3].Unlock(bg); err != nil {
					assert.ErrorIs(t, err, cluster.ErrLeaseLost)
				}
			}
		})
	}
	holders.Wait()
	close(stop)
	faults.Wait()
}

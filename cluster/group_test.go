package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/dedup"
)

// The TTLs of the tests. Those that are to go on do so on a busy machine, too.
const (
	endless = time.Hour
	brief   = 3 * time.Second // of leases that are to end
)

func newGroup[V any](t *testing.T, b *cluster.Bucket, ttl time.Duration) *cluster.Group[V] {
	g, err := cluster.NewGroup[V](b, &cluster.GroupOptions{TTL: ttl, ResultTTL: endless})
	require.NoError(t, err)
	return g
}

// groups returns the Groups of n machines.
func groups[V any](t *testing.T, n int, ttl time.Duration) (all []*cluster.Group[V], machines []machine) {
	s := newSite(t)
	for range n {
		machines = append(machines, s.machine(t))
		all = append(all, newGroup[V](t, machines[len(machines)-1].Bucket, ttl))
	}
	return all, machines
}

// A load is one under way, which ends when the test says so.
type load struct {
	begun chan context.Context
	end   chan result[string]
}

func newLoad() load { return load{make(chan context.Context), make(chan result[string])} }

func (l load) f(ctx context.Context) (string, error) {
	l.begun <- ctx
	r := <-l.end
	return r.v, r.err
}

func never(ctx context.Context) (string, error) { panic("this load must not begin") }

func do(g *cluster.Group[string], key string, f func(context.Context) (string, error)) chan result[string] {
	return start(func() (string, error) { return g.Do(bg, key, f) })
}

func TestGroupLoadsOnceForAllMachines(t *testing.T) {
	t.Parallel()
	all, _ := groups[int](t, 3, endless)
	for round := range 20 {
		var loads atomic.Int64
		var calls sync.WaitGroup
		end := make(chan struct{})
		for i := range 24 {
			calls.Go(func() {
				v, err := all[i%3].Do(bg, "key", func(ctx context.Context) (int, error) {
					loads.Add(1)
					<-end
					return round, nil
				})
				assert.NoError(t, err)
				assert.Equal(t, round, v)
			})
		}
		require.Eventually(t, func() bool {
			waiting := 0
			for _, g := range all {
				if g.FlightWaits("key") {
					waiting++
				}
			}
			return waiting == 2 && loads.Load() > 0 // they wait for the third
		}, time.Minute, time.Millisecond)
		require.EqualValues(t, 1, loads.Load())
		close(end) // who comes later loads once more
		calls.Wait()
	}
}

func TestGroupSharesTheResultOfALoadInProgress(t *testing.T) {
	t.Parallel()
	all, _ := groups[string](t, 2, endless)
	for _, want := range []result[string]{{v: "value"}, {err: io.ErrUnexpectedEOF}, {v: ""}} {
		l := newLoad()
		first := do(all[0], "key", l.f)
		<-l.begun
		second := do(all[1], "key", never)
		requireWaits(t, all[1], "key")
		l.end <- want
		require.Equal(t, want, <-first)
		got := <-second
		require.Equal(t, want.v, got.v)
		if want.err != nil {
			var remote *cluster.RemoteError
			require.ErrorAs(t, got.err, &remote)
			require.Equal(t, want.err.Error(), remote.Text)
		} else {
			require.NoError(t, got.err)
		}
	}
}

// requireWaits waits until a flight of the key waits for another machine.
func requireWaits[V any](t *testing.T, g *cluster.Group[V], key string) {
	t.Helper()
	require.Eventually(t, func() bool { return g.FlightWaits(key) }, time.Minute, time.Millisecond)
}

func TestGroupLoadsAnewAfterAResult(t *testing.T) {
	t.Parallel()
	all, _ := groups[int](t, 2, endless)
	for i := range 10 {
		v, err := all[i%2].Do(bg, "key", func(context.Context) (int, error) { return i, nil })
		require.NoError(t, err)
		require.Equal(t, i, v)
		v, err = all[i%2].Do(bg, "key", func(context.Context) (int, error) { return -i, nil })
		require.NoError(t, err)
		require.Equal(t, -i, v)
	}
}

func TestGroupFencesGrow(t *testing.T) {
	t.Parallel()
	all, _ := groups[uint64](t, 2, endless)
	var last uint64
	for i := range 6 {
		fence, err := all[i%2].Do(bg, "key", func(ctx context.Context) (uint64, error) {
			fence, ok := cluster.Fence(ctx)
			require.True(t, ok)
			return fence, nil
		})
		require.NoError(t, err)
		require.Greater(t, fence, last)
		last = fence
	}
	_, ok := cluster.Fence(bg)
	require.False(t, ok)
}

// A load that does not return must not keep others from loading.
func TestGroupLoadThatPanicsExitsOrIsLeft(t *testing.T) {
	t.Parallel()
	all, _ := groups[string](t, 2, endless)
	for name, f := range map[string]func(){"panics": func() { panic("why") }, "exits": runtime.Goexit} {
		l, next := newLoad(), newLoad()
		ctx, cancel := context.WithCancel(bg)
		first := start(func() (string, error) {
			return all[0].Do(ctx, name, func(ctx context.Context) (string, error) { l.f(ctx); f(); return "", nil })
		})
		<-l.begun
		second := do(all[1], name, next.f)
		requireWaits(t, all[1], name)
		l.end <- result[string]{}
		var panicked *dedup.PanicError
		require.ErrorAs(t, (<-first).err, &panicked)
		<-next.begun // before the lease would have ended by itself
		next.end <- result[string]{v: "next"}
		require.Equal(t, result[string]{v: "next"}, <-second)
		cancel()
	}

	l, next := newLoad(), newLoad()
	ctx, cancel := context.WithCancel(bg)
	first := start(func() (string, error) { return all[0].Do(ctx, "left", l.f) })
	loading := <-l.begun
	second := do(all[1], "left", next.f)
	requireWaits(t, all[1], "left")
	cancel()
	require.ErrorIs(t, (<-first).err, context.Canceled)
	<-loading.Done()
	require.ErrorIs(t, context.Cause(loading), dedup.ErrAbandoned)
	l.end <- result[string]{err: errors.New("of no use")}
	<-next.begun
	next.end <- result[string]{v: "next"}
	require.Equal(t, result[string]{v: "next"}, <-second)
}

// TestHolderIsStopped: the holder is cut off for longer than its TTL, as by SIGSTOP, and goes
// on. Its result is refused, and all have the successor's.
func TestHolderIsStopped(t *testing.T) {
	t.Parallel()
	all, machines := groups[string](t, 3, brief)
	l, next := newLoad(), newLoad()
	first := do(all[0], "key", l.f)
	loading := <-l.begun
	machines[0].link.Cut()
	second := do(all[1], "key", next.f)
	later := <-next.begun
	third := do(all[2], "key", never)
	requireWaits(t, all[2], "key")
	<-loading.Done()
	require.ErrorIs(t, context.Cause(loading), cluster.ErrLeaseLost)
	require.NotErrorIs(t, context.Cause(loading), context.DeadlineExceeded)
	machines[0].link.Heal()
	l.end <- result[string]{v: "late"}
	requireWaits(t, all[0], "key")
	next.end <- result[string]{v: "successor's"}
	for _, c := range []chan result[string]{first, second, third} {
		require.Equal(t, result[string]{v: "successor's"}, <-c)
	}
	before, _ := cluster.Fence(loading)
	after, _ := cluster.Fence(later)
	require.Greater(t, after, before)
}

// TestRenewedLeaseEnds: a lease that was renewed for three TTLs ends soon after its holder.
func TestRenewedLeaseEnds(t *testing.T) {
	t.Parallel()
	all, machines := groups[string](t, 2, brief)
	l, next := newLoad(), newLoad()
	first := do(all[0], "key", l.f)
	loading := <-l.begun
	second := do(all[1], "key", next.f)
	time.Sleep(3 * brief)
	require.NoError(t, loading.Err())
	requireWaits(t, all[1], "key")
	machines[0].link.Cut()
	<-next.begun
	next.end <- result[string]{v: "next"}
	require.Equal(t, result[string]{v: "next"}, <-second)
	machines[0].link.Heal()
	l.end <- result[string]{v: "late"}
	require.Equal(t, result[string]{v: "next"}, <-first)
}

// TestGroupUnderCuts: with machines that are cut off at any time, all calls return, each
// with the value of one load, and no two loads have one fence.
func TestGroupUnderCuts(t *testing.T) {
	t.Parallel()
	all, machines := groups[string](t, 3, time.Second)
	stop := make(chan struct{})
	var faults, calls sync.WaitGroup
	faults.Go(func() { cutAll(machines, stop, func(int) {}) })
	var mu sync.Mutex
	loads := map[string]string{} // key and fence to value
	for i := range 12 {
		calls.Go(func() {
			for n := range 30 {
				key := fmt.Sprint(n % 3)
				v, err := all[i%3].Do(bg, key, func(ctx context.Context) (string, error) {
					fence, _ := cluster.Fence(ctx)
					v := fmt.Sprint(key, " ", fence)
					mu.Lock()
					defer mu.Unlock()
					_, twice := loads[v]
					assert.False(t, twice, "two loads of %s", v)
					loads[v] = v
					return v, nil
				})
				assert.NoError(t, err)
				mu.Lock()
				assert.Contains(t, loads, v)
				mu.Unlock()
			}
		})
	}
	calls.Wait()
	close(stop)
	faults.Wait()
}

func TestGroupCloseEndsCalls(t *testing.T) {
	t.Parallel()
	all, machines := groups[string](t, 2, endless)
	l := newLoad()
	first := do(all[0], "key", l.f)
	loading := <-l.begun
	second := do(all[1], "key", never)
	requireWaits(t, all[1], "key")
	require.NoError(t, machines[1].Close())
	require.ErrorIs(t, (<-second).err, cluster.ErrClosed)
	require.NoError(t, machines[0].Close())
	<-loading.Done()
	require.ErrorIs(t, context.Cause(loading), cluster.ErrClosed)
	l.end <- result[string]{v: "value"}
	require.ErrorIs(t, (<-first).err, cluster.ErrClosed)
	_, err := all[0].Do(bg, "key", never)
	require.ErrorIs(t, err, cluster.ErrClosed)
}

func TestGroupMisuse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.machine(t).Bucket
	g := newGroup[string](t, b, endless)
	_, err := cluster.NewGroup[string](b, nil)
	require.ErrorContains(t, err, `cluster: the Bucket has a Group "" already`)
	for _, o := range []cluster.GroupOptions{{TTL: time.Millisecond}, {TTL: -1}, {ResultTTL: time.Millisecond}, {Name: "\x00"}} {
		_, err := cluster.NewGroup[string](b, &o)
		require.ErrorContains(t, err, "cluster: the ")
	}
	require.PanicsWithValue(t, "cluster: nil function", func() { g.Do(bg, "key", nil) })
	require.PanicsWithValue(t, "cluster: nil context", func() { g.Do(nil, "key", never) }) //lint:ignore SA1012 it is what is tested
	ctx, cancel := context.WithCancelCause(bg)
	cancel(io.EOF)
	_, err = g.Do(ctx, "key", never)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, io.EOF)

	broken, err := cluster.NewGroup[func()](b, &cluster.GroupOptions{Name: "broken"})
	require.NoError(t, err)
	_, err = broken.Do(bg, "key", func(context.Context) (func(), error) { return func() {}, nil })
	require.ErrorContains(t, err, "json")
	_, err = broken.Do(bg, "key", func(context.Context) (func(), error) { return nil, io.EOF })
	require.ErrorIs(t, err, io.EOF) // the lease of before is gone
}

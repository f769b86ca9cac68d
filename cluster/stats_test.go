package cluster_test

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
)

// ahead makes the engine answer that the bucket is further than the watch has told.
func (f *fake) ahead(p engine.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = p
}

func TestStatsTellTheLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		f.tell(putEvent(3, "key", `"1"`))
		synctest.Wait()
		seen := time.Now()
		time.Sleep(time.Minute)
		require.Equal(t, cluster.Stats{History: "1", Revision: 3, LastEvent: seen, Keys: 1}, b.Stats(bg))

		f.ahead(engine.Position{History: "1", Revision: 10})
		require.EqualValues(t, 7, b.Stats(bg).Lag)
		f.ahead(engine.Position{History: "2", Revision: 2})
		require.EqualValues(t, 2, b.Stats(bg).Lag, "nothing was seen of that history")

		ended, cancel := context.WithCancel(bg)
		cancel()
		s := b.Stats(ended)
		require.ErrorIs(t, s.Err, context.Canceled)
		s.Err = nil
		require.Equal(t, cluster.Stats{History: "1", Revision: 3, LastEvent: seen, Keys: 1}, s)
	})
}

func TestStatsCountKeys(t *testing.T) {
	f, b := newFake(t)
	f.tell(putEvent(1, "a", `"1"`), putEvent(2, "not JSON", `?`), groupEvent(3, "c", cluster.ResultRecord(nil)), synced(4))
	require.NoError(t, b.Sync(bg))
	want := cluster.Stats{Keys: 3}
	require.Equal(t, want, counts(b))
	newMap[string](t, b)
	want.Maps = 1
	require.Equal(t, want, counts(b))
	newGroup[string](t, b, endless)
	newCache(t, b, new(loader[string]), nil)
	_, err := cluster.NewMutex(b, nil)
	require.NoError(t, err)
	newSemaphore(t, b, 1, endless)
	newNotify(t, b, 0)
	want.Groups, want.Caches, want.Mutexes, want.Semaphores, want.Notifies = 1, 1, 1, 1, 1
	require.Equal(t, want, counts(b))
}

// counts returns the numbers of Stats.
func counts(b *cluster.Bucket) cluster.Stats {
	s := b.Stats(bg)
	s.History, s.Revision, s.LastEvent = "", 0, time.Time{}
	return s
}

func TestStatsAfterClose(t *testing.T) {
	t.Parallel()
	b := newSite(t).machine(t)
	require.NoError(t, b.Close())
	require.ErrorIs(t, b.Stats(bg).Err, cluster.ErrClosed)
	require.NotEmpty(t, b.Stats(bg).History)
	require.PanicsWithValue(t, "cluster: nil context", func() { b.Stats(nil) }) //lint:ignore SA1012 it is what is tested
}

// leases returns those that a machine has seen, and checks what is not the same each time.
func leases(t *testing.T, b *cluster.Bucket) (all []cluster.Lease) {
	require.NoError(t, b.Sync(bg))
	for l := range b.Leases() {
		require.Len(t, l.Holder, 8)
		require.NotZero(t, l.Fence)
		l.Holder, l.Fence, l.Since = "", 0, time.Time{}
		all = append(all, l)
	}
	slices.SortFunc(all, func(x, y cluster.Lease) int { return cmp.Compare(x.Kind, y.Kind) })
	return all
}

// TestLeasesAreThoseOfAllMachines: also one that uses no Group sees them.
func TestLeasesAreThoseOfAllMachines(t *testing.T) {
	t.Parallel()
	all, machines := groups[string](t, 3, endless)
	mutex, err := cluster.NewMutex(machines[0].Bucket, &cluster.MutexOptions{Name: "m", TTL: endless})
	require.NoError(t, err)
	_, err = mutex.Lock(bg)
	require.NoError(t, err)
	l := newLoad()
	call := do(all[1], "key", l.f)
	<-l.begun
	for i, m := range machines {
		require.Equal(t, []cluster.Lease{{Kind: "Group", Key: "key", Ours: i == 1}, {Kind: "Mutex", Name: "m", Ours: i == 0}}, leases(t, m.Bucket))
	}
	for range machines[0].Leases() {
		break
	}
	l.end <- result[string]{v: "v"}
	require.NoError(t, (<-call).err)
	require.NoError(t, mutex.Unlock(bg))
	for _, m := range machines {
		require.Empty(t, leases(t, m.Bucket))
	}
}

// TestRenewedLeaseIsAsOldAsBefore: the fence and the time are those of the first write.
func TestRenewedLeaseIsAsOldAsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := newKeeper(t)
		g := newGroup[string](t, b, brief)
		begun := time.Now()
		for range 2 { // another lease is younger
			l := newLoad()
			call := do(g, "key", l.f)
			fence, _ := cluster.Fence(<-l.begun)
			time.Sleep(5 * brief)
			for lease := range b.Leases() {
				require.Equal(t, fence, lease.Fence)
				require.Equal(t, begun, lease.Since)
				require.True(t, lease.Ours)
			}
			l.end <- result[string]{v: "v"}
			require.NoError(t, (<-call).err)
			begun = time.Now()
		}
	})
}

// waiting returns the waiters of a process by what they wait for.
func waiting(b *cluster.Bucket) map[string]int {
	all := make(map[string]int)
	for w := range b.Waiting() {
		all[w.Kind+" "+w.Name+" "+w.Key] += w.Waiters
	}
	return all
}

func TestWaitingIsOfThisProcess(t *testing.T) {
	t.Parallel()
	all, machines := mutexes(t, 2, endless)
	b := machines[1].Bucket
	m, err := cluster.NewMap[int](b, &cluster.MapOptions{Name: "jobs"})
	require.NoError(t, err)
	g, err := cluster.NewGroup[string](b, &cluster.GroupOptions{Name: "pages"})
	require.NoError(t, err)
	_, err = all[0].Lock(bg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(bg)
	defer cancel()

	var calls []chan result[int]
	for range 3 {
		calls = append(calls, start(func() (int, error) { return m.Take(ctx, "taken") }))
	}
	calls = append(calls, start(func() (int, error) { return m.Wait(ctx, "awaited") }))
	selects := startSelect(ctx, m.OnTake("selected", nil), m.OnTake("taken", nil))
	var locks []chan result[uint64]
	for range 2 { // one waits for the other process, and one behind it
		locks = append(locks, start(func() (uint64, error) { return all[1].Lock(ctx) }))
	}
	l := newLoad()
	load := do(g, "page", l.f)
	<-l.begun
	want := map[string]int{"Map jobs taken": 4, "Map jobs awaited": 1, "Map jobs selected": 1, "Mutex  ": 2, "Group pages page": 1}
	for len(waiting(b)) < len(want) || waiting(b)["Map jobs taken"] < 4 || waiting(b)["Mutex  "] < 2 {
		runtime.Gosched()
	}
	require.Equal(t, want, waiting(b))
	for range b.Waiting() {
		break
	}
	require.Empty(t, waiting(machines[0].Bucket))

	cancel()
	for _, c := range calls {
		require.ErrorIs(t, (<-c).err, context.Canceled)
	}
	require.ErrorIs(t, (<-selects).err, context.Canceled)
	for _, c := range locks {
		require.ErrorIs(t, (<-c).err, context.Canceled)
	}
	l.end <- result[string]{v: "v"}
	require.NoError(t, (<-load).err)
	require.Empty(t, waiting(b))
	require.NoError(t, all[0].Unlock(bg))
}

// TestWaitingOfLines: those in line count, and the first one.
func TestWaitingOfLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, b := newKeeper(t)
		s, n := newSemaphore(t, b, 1, endless), newNotify(t, b, 0)
		load := newLoad()
		var l loader[string]
		l.set(func(ctx context.Context, _ string) (string, error) { return load.f(ctx) })
		c := newCache(t, b, &l, &cluster.CacheOptions[string]{LeaseTTL: endless})
		p := acquire(t, s)
		require.Empty(t, waiting(b))
		ctx, cancel := context.WithCancel(bg)
		for range 3 {
			go s.Acquire(ctx)
			go n.Wait(ctx)
		}
		go c.Get(ctx, "key")
		<-load.begun
		synctest.Wait()
		require.Equal(t, map[string]int{"Semaphore  ": 3, "Notify  ": 3, "Cache  key": 1}, waiting(b))
		cancel()
		load.end <- result[string]{}
		synctest.Wait()
		require.Empty(t, waiting(b))
		require.NoError(t, p.Release(bg))
	})
}

// TestOldestOfTakers: the one whose turn it is has a wait of its own, which may have begun later
// than those of the others.
func TestOldestOfTakers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		m := newMap[int](t, b)
		ctx, cancel := context.WithCancel(bg)
		f.write = func(context.Context, engine.Write) (uint64, error) {
			go f.tell(deleteEvent(2, "key"))
			return 2, nil
		}
		var begun []time.Time
		for range 3 {
			go m.Take(ctx, "key")
			synctest.Wait()
			begun = append(begun, time.Now())
			time.Sleep(time.Second)
		}
		want := func(waiters int, oldest time.Time) {
			t.Helper()
			for w := range b.Waiting() {
				require.Equal(t, waiters, w.Waiters)
				require.Equal(t, oldest, w.Oldest)
			}
		}
		want(3, begun[0])
		turn := time.Now()
		f.tell(putEvent(1, "key", "1"))
		synctest.Wait()
		want(2, begun[2])
		require.NotEqual(t, turn, begun[2])
		cancel()
		synctest.Wait()
		require.Empty(t, waiting(b))
	})
}

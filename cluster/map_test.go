package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/wake"
)

func TestStoreElsewhereWakes(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[string](t)
	wait := start(func() (string, error) { return b.Wait(bg, "key") })
	next := start(func() (string, error) { return b.WaitNext(bg, "key") })
	for b.Waiters("key") < 2 {
	}
	revision := store(t, a, "key", "1")
	require.Equal(t, result[string]{v: "1"}, <-wait)
	require.Equal(t, result[string]{v: "1"}, <-next)
	e, ok := b.LoadEntry("key")
	require.True(t, ok)
	require.Equal(t, cluster.Entry[string]{Value: "1", Revision: revision}, e)
	for range 3 { // the key is there
		v, err := b.Wait(bg, "key")
		require.NoError(t, err)
		require.Equal(t, "1", v)
	}
}

func TestWritesAreReadBack(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[int](t)
	for i := range 20 {
		m, key := []*cluster.Map[int]{a, b}[i%2], fmt.Sprint(i%3)
		first := store(t, m, key, i)
		v, ok := m.Load(key)
		require.True(t, ok)
		require.Equal(t, i, v)

		second, swapped, err := m.CompareAndSwap(bg, key, first, i+1)
		require.NoError(t, err)
		require.True(t, swapped)
		e, _ := m.LoadEntry(key)
		require.Equal(t, cluster.Entry[int]{Value: i + 1, Revision: second}, e)

		revision, swapped, err := m.CompareAndSwap(bg, key, first, i+2)
		require.NoError(t, err)
		require.False(t, swapped)
		require.Zero(t, revision)

		actual, loaded, err := m.LoadOrStore(bg, key, 1000)
		require.NoError(t, err)
		require.True(t, loaded)
		require.Equal(t, i+1, actual)

		deleted, err := m.CompareAndDelete(bg, key, first)
		require.NoError(t, err)
		require.False(t, deleted)
		deleted, err = m.CompareAndDelete(bg, key, second)
		require.NoError(t, err)
		require.True(t, deleted)
		v, ok = m.Load(key)
		require.False(t, ok)
		require.Zero(t, v)

		actual, loaded, err = m.LoadOrStore(bg, key, i)
		require.NoError(t, err)
		require.False(t, loaded)
		require.Equal(t, i, actual)
		require.NoError(t, m.Delete(bg, key))
		_, ok = m.Load(key)
		require.False(t, ok)
	}
}

// TestFailedSwapShowsWhy: after a refused write, the process has seen what refused it.
func TestFailedSwapShowsWhy(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[int](t)
	for i := range 50 {
		revision := store(t, a, "key", i)
		_, swapped, err := b.CompareAndSwap(bg, "key", revision+1000, -1)
		require.NoError(t, err)
		require.False(t, swapped)
		v, ok := b.Load("key")
		require.True(t, ok)
		require.Equal(t, i, v)
		require.NoError(t, a.Delete(bg, "key"))
		_, swapped, err = b.CompareAndSwap(bg, "key", revision, -1)
		require.NoError(t, err)
		require.False(t, swapped)
		_, ok = b.Load("key")
		require.False(t, ok)
	}
}

func TestSyncSeesWhatOthersWrote(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	x, y := s.machine(t), s.machine(t)
	a, b := newMap[int](t, x.Bucket), newMap[int](t, y.Bucket)
	for i := range 50 {
		store(t, a, "key", i)
		require.NoError(t, y.Sync(bg))
		v, _ := b.Load("key")
		require.Equal(t, i, v)
	}
}

func TestMapsOfOneBucketAreSeparate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	x, y := s.machine(t), s.machine(t)
	names := []string{"", "a", "ab", "ключ", "m"}
	for i, name := range names {
		m, err := cluster.NewMap[int](x.Bucket, &cluster.MapOptions{Name: name, Codec: cluster.Gob})
		require.NoError(t, err)
		store(t, m, "key", i)
		store(t, m, "bkey", -1)
		store(t, m, "", i)
	}
	require.NoError(t, y.Sync(bg)) // there before the Maps are made
	for i, name := range names {
		m, err := cluster.NewMap[int](y.Bucket, &cluster.MapOptions{Name: name, Codec: cluster.Gob})
		require.NoError(t, err)
		require.Equal(t, map[string]int{"key": i, "bkey": -1, "": i}, maps.Collect(m.All()))
		require.Equal(t, 3, m.Len())
		_, err = cluster.NewMap[int](y.Bucket, &cluster.MapOptions{Name: name})
		require.Error(t, err, "the name is taken")
	}
	_, err := cluster.NewMap[int](y.Bucket, &cluster.MapOptions{Name: "a\x00"})
	require.Error(t, err)
}

func TestRaw(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	x := s.machine(t)
	texts, err := cluster.NewMap[string](x.Bucket, &cluster.MapOptions{Codec: cluster.Raw})
	require.NoError(t, err)
	data, err := cluster.NewMap[[]byte](x.Bucket, &cluster.MapOptions{Name: "data", Codec: cluster.Raw})
	require.NoError(t, err)
	store(t, texts, "key", "\xff\x00")
	store(t, data, "key", []byte{})
	v, _ := texts.Load("key")
	require.Equal(t, "\xff\x00", v)
	d, _ := data.Load("key")
	require.Equal(t, []byte{}, d)
	numbers, err := cluster.NewMap[int](x.Bucket, &cluster.MapOptions{Name: "numbers", Codec: cluster.Raw})
	require.NoError(t, err)
	_, err = numbers.Store(bg, "key", 1)
	require.Error(t, err)
}

func TestWaitForAnyAndWatch(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[int](t)
	big := start(func() (int, error) { return b.WaitFor(bg, "n", func(v int) bool { return v > 2 }) })
	any := start(func() (string, error) {
		key, v, err := b.WaitAny(bg, "x", "y", "z")
		return fmt.Sprint(key, v), err
	})
	ctx, cancel := context.WithCancel(bg)
	seen := start(func() (all []int, err error) {
		for v, err := range b.Watch(ctx, "n") {
			if err != nil {
				return all, err
			}
			if all = append(all, v); v == 4 {
				cancel()
			}
		}
		return all, nil
	})
	for i := range 5 {
		store(t, a, "n", i)
	}
	store(t, a, "y", 7)
	require.Equal(t, result[string]{v: "y7"}, <-any)
	got := <-big
	require.NoError(t, got.err)
	require.Greater(t, got.v, 2)
	all := <-seen
	require.ErrorIs(t, all.err, context.Canceled)
	require.IsIncreasing(t, append([]int{-1}, all.v...))
	require.Equal(t, 4, all.v[len(all.v)-1])
}

func TestRegisterAndSelect(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[string](t)
	woken := make(wake.Chan, 1)
	f := b.Register("answer", woken)
	stopped := b.Register("answer", nil)
	require.True(t, stopped.Stop())
	_, done, _ := f.Result()
	require.False(t, done)
	revision := store(t, a, "answer", "42")
	<-woken
	v, done, err := f.Result()
	require.True(t, done)
	require.NoError(t, err)
	require.Equal(t, "42", v)
	v, err = f.Wait(bg)
	require.NoError(t, err)
	require.Equal(t, "42", v)

	var e cluster.Entry[string]
	i, err := await.Select(bg, b.OnStore("never", nil), b.OnStore("answer", &e))
	require.NoError(t, err)
	require.Equal(t, 1, i)
	require.Equal(t, cluster.Entry[string]{Value: "42", Revision: revision}, e)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[string](t)
	waits := []chan result[string]{
		start(func() (string, error) { return b.Wait(bg, "key") }),
		start(func() (string, error) { return b.Take(bg, "key") }),
		start(func() (string, error) { return b.Take(bg, "key") }),
	}
	for b.Waiters("key") < 3 {
	}
	require.Equal(t, 3, b.Cancel("key"))
	for _, w := range waits {
		require.ErrorIs(t, (<-w).err, cluster.ErrCanceled)
	}
	far := start(func() (string, error) { return b.Wait(bg, "key") })
	for b.Waiters("key") < 1 {
	}
	require.NoError(t, a.CancelEverywhere(bg, "key"))
	require.ErrorIs(t, (<-far).err, cluster.ErrCanceled)
	store(t, a, "key", "1")
	v, err := b.Wait(bg, "key")
	require.NoError(t, err)
	require.Equal(t, "1", v)
}

func TestCloseEndsWaits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	x := s.machine(t)
	m := newMap[string](t, x.Bucket)
	store(t, m, "there", "1")
	waits := []chan result[string]{
		start(func() (string, error) { return m.Wait(bg, "key") }),
		start(func() (string, error) { return m.Take(bg, "key") }),
		start(func() (string, error) { return m.Take(bg, "key") }),
	}
	for m.Waiters("key") < 3 {
	}
	require.NoError(t, x.Close())
	for _, w := range waits {
		require.ErrorIs(t, (<-w).err, cluster.ErrClosed)
	}
	v, err := m.Wait(bg, "there")
	require.NoError(t, err)
	require.Equal(t, "1", v)
	_, err = m.Store(bg, "key", "1")
	require.ErrorIs(t, err, cluster.ErrClosed)
	_, err = m.Take(bg, "there")
	require.ErrorIs(t, err, cluster.ErrClosed)
	require.ErrorIs(t, x.Sync(bg), cluster.ErrClosed)
	_, err = cluster.NewMap[int](x.Bucket, &cluster.MapOptions{Name: "new"})
	require.ErrorIs(t, err, cluster.ErrClosed)
	require.NoError(t, x.Close())
}

func TestContextEndsWaitsAndWrites(t *testing.T) {
	t.Parallel()
	a, _, _ := pair[string](t)
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(bg)
	cancel(cause)
	store(t, a, "there", "1")
	_, waitErr := a.Wait(ctx, "key")
	_, takeErr := a.Take(ctx, "there")
	_, storeErr := a.Store(ctx, "key", "1")
	_, _, loadErr := a.LoadOrStore(ctx, "key", "1")
	for _, err := range []error{waitErr, takeErr, storeErr, loadErr, a.Delete(ctx, "there")} {
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
		require.NotErrorIs(t, err, cluster.ErrUnknown)
	}
	_, ok := a.Load("there")
	require.True(t, ok)
	var none context.Context
	require.Panics(t, func() { _, _ = a.Store(none, "key", "1") })
	require.Panics(t, func() { _, _ = a.Wait(none, "key") })
}

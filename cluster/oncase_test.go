package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// A choice is what a Select returned.
type choice struct {
	i   int
	err error
}

func startSelect(ctx context.Context, cases ...wake.Case) chan choice {
	c := make(chan choice, 1)
	go func() {
		i, err := await.Select(ctx, cases...)
		c <- choice{i, err}
	}()
	return c
}

func requireMapWaiters[V any](t *testing.T, m *cluster.Map[V], key string, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return m.Waiters(key) == n }, time.Minute, time.Millisecond)
}

func TestOnTakeTakesWhatIsStoredElsewhere(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[string](t)
	var x, y string
	cases := []wake.Case{b.OnTake("x", &x), b.OnTake("y", &y), b.OnTake("z", nil)}
	for range 3 { // a Case may be used again
		chosen := startSelect(bg, cases...)
		requireMapWaiters(t, b, "y", 1)
		store(t, a, "y", "1")
		require.Equal(t, choice{i: 1}, <-chosen)
		require.Equal(t, "1", y)
		require.Empty(t, x)
		_, ok := b.Load("y")
		require.False(t, ok)
		require.Zero(t, b.Waiters("x")+b.Waiters("y")+b.Waiters("z"))
	}
	store(t, b, "z", "2") // is there before
	store(t, b, "x", "3")
	i, err := await.Select(bg, cases...)
	require.Equal(t, choice{0, nil}, choice{i, err})
	require.Equal(t, "3", x)
	i, err = await.Select(bg, cases...)
	require.Equal(t, choice{2, nil}, choice{i, err})
	require.Zero(t, b.Len())
}

// TestOnTakeThatIsNotChosenTakesNothing.
func TestOnTakeThatIsNotChosenTakesNothing(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[string](t)
	var q = await.NewQueue[int](1)
	v := "unchanged"
	chosen := startSelect(bg, b.OnTake("key", &v), q.OnTake(nil))
	requireMapWaiters(t, b, "key", 1)
	require.NoError(t, q.Put(bg, 1))
	require.Equal(t, choice{i: 1}, <-chosen)
	store(t, a, "key", "value")
	require.NoError(t, q.Put(bg, 1))
	i, err := await.Select(bg, q.OnTake(nil), b.OnTake("key", &v))
	require.Equal(t, choice{0, nil}, choice{i, err})
	ctx, cancel := context.WithCancel(bg)
	cancel()
	i, err = await.Select(ctx, b.OnTake("key", &v))
	require.Equal(t, -1, i)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, a.Delete(bg, "key"))
	ctx, cancel = context.WithCancel(bg)
	chosen = startSelect(ctx, b.OnTake("key", &v))
	requireMapWaiters(t, b, "key", 1)
	cancel()
	require.ErrorIs(t, (<-chosen).err, context.Canceled)
	store(t, a, "key", "value")
	_, err = b.Wait(bg, "key")
	require.NoError(t, err)
	require.Equal(t, "unchanged", v)
}

// TestOnTakeThatLosesGoesOn: another machine was faster. The time of After goes on.
func TestOnTakeThatLosesGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		m := newMap[string](t, b)
		revision := uint64(1)
		f.write = func(_ context.Context, w engine.Write) (uint64, error) {
			require.Equal(t, engine.Write{Key: "m\x00key", Delete: true, Expected: revision}, w)
			time.Sleep(time.Second)
			revision++
			f.tell(deleteEvent(revision, "key"))
			return 0, &engine.ConflictError{Key: w.Key, Revision: revision}
		}
		begun := time.Now()
		v := "unchanged"
		chosen := startSelect(bg, m.OnTake("key", &v), await.After(2*time.Second+1))
		for range 2 {
			synctest.Wait()
			revision++
			f.tell(putEvent(revision, "key", `"1"`))
			time.Sleep(time.Second)
			synctest.Wait()
			require.Empty(t, chosen)
		}
		require.Equal(t, choice{i: 1}, <-chosen)
		require.Equal(t, 2*time.Second+1, time.Since(begun))
		require.Equal(t, "unchanged", v)
	})
}

// TestOnTakeOneAsks: of the Selects of one process that want a value.
func TestOnTakeOneAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		m := newMap[int](t, b)
		var asked int
		apply := k.apply
		k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
			if w.Delete {
				asked++
				time.Sleep(time.Second)
			}
			return apply(ctx, w)
		}
		var all []chan choice
		var got [10]int
		for i := range got {
			all = append(all, startSelect(bg, m.OnTake("other", nil), m.OnTake("key", &got[i])))
			synctest.Wait()
		}
		for i := range got {
			store(t, m, "key", i+1)
			require.Equal(t, choice{i: 1}, <-all[i]) // the longest waiting first
			require.Equal(t, i+1, got[i])
			require.Equal(t, i+1, asked)
		}
	})
}

// TestOnTakeWithoutAnAnswer: the value is assigned if it may have been taken, and otherwise
// nothing was taken.
func TestOnTakeWithoutAnAnswer(t *testing.T) {
	f, b := newFake(t)
	m := newMap[string](t, b)
	f.tell(putEvent(1, "key", `"1"`))
	var v string
	f.write = func(ctx context.Context, w engine.Write) (uint64, error) { return 0, engine.ErrUnknown }
	i, err := await.Select(bg, m.OnTake("key", &v))
	require.Zero(t, i)
	require.ErrorIs(t, err, cluster.ErrUnknown)
	require.Equal(t, "1", v)

	v = "unchanged"
	failure := errors.New("failure")
	f.write = func(ctx context.Context, w engine.Write) (uint64, error) { return 0, failure }
	i, err = await.Select(bg, m.OnTake("key", &v))
	require.Equal(t, choice{0, failure}, choice{i, err})

	ctx, cancel := context.WithCancel(bg)
	f.write = func(ctx context.Context, w engine.Write) (uint64, error) {
		cancel()
		<-ctx.Done()
		return 0, engine.ContextError(ctx)
	}
	i, err = await.Select(ctx, m.OnTake("key", &v))
	require.Equal(t, -1, i)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "unchanged", v)
	require.Zero(t, m.Waiters("key"))
}

// TestOnTakeCanceledAndClosed: a Select counts as a waiter.
func TestOnTakeCanceledAndClosed(t *testing.T) {
	t.Parallel()
	a, b, _ := pair[string](t)
	chosen := startSelect(bg, b.OnTake("other", nil), b.OnTake("key", nil))
	requireMapWaiters(t, b, "key", 1)
	require.NoError(t, a.CancelEverywhere(bg, "key"))
	c := <-chosen
	require.Equal(t, 1, c.i)
	require.ErrorIs(t, c.err, cluster.ErrCanceled)
	chosen = startSelect(bg, b.OnTake("key", nil))
	requireMapWaiters(t, b, "key", 1)
	require.NoError(t, b.Close())
	require.ErrorIs(t, (<-chosen).err, cluster.ErrClosed)
	i, err := await.Select(bg, b.OnTake("key", nil))
	require.Zero(t, i)
	require.ErrorIs(t, err, cluster.ErrClosed)
	store(t, b, "key", "value")
	var v string
	i, err = await.Select(bg, b.OnTake("key", &v)) // which need not wait
	require.Equal(t, choice{0, nil}, choice{i, err})
	require.Equal(t, "value", v)
}

// A badParker does what the test says when it is to sleep.
type badParker struct {
	wake.Parker
	park func()
}

func (p badParker) Park(context.Context) error { p.park(); return nil }

// TestOnTakeParkerThatDoesNotReturn: the turn goes to the next.
func TestOnTakeParkerThatDoesNotReturn(t *testing.T) {
	for name, bad := range map[string]func(){"panics": func() { panic("why") }, "exits": runtime.Goexit} {
		for _, there := range []bool{false, true} {
			k, b := newKeeper(t)
			m := newMap[string](t, b)
			returned := make(chan bool)
			p := badParker{wake.NewParker(), func() {
				if there {
					store(t, m, "key", "1")
				}
				bad()
			}}
			v := "unchanged"
			go func() {
				defer close(returned)
				defer func() { recover() }()
				await.Select(wake.WithParker(bg, p), m.OnTake("key", &v), m.OnTake("other", nil))
				returned <- true
			}()
			_, ok := <-returned
			require.False(t, ok, name)
			require.Equal(t, "unchanged", v)
			require.Zero(t, m.Waiters("key")+m.Waiters("other"))
			if !there {
				store(t, m, "key", "1")
			}
			i, err := await.Select(bg, m.OnTake("key", &v))
			require.Equal(t, choice{0, nil}, choice{i, err})
			require.Equal(t, "1", v)
			k.requireEmpty(t)
		}
	}
}

// TestOnTakeWriteThatDoesNotReturn: the next Select asks, and no case is left in line.
func TestOnTakeWriteThatDoesNotReturn(t *testing.T) {
	for name, bad := range map[string]func(){"panics": func() { panic("why") }, "exits": runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			k, b := newKeeper(t)
			m := newMap[string](t, b)
			store(t, m, "key", "1")
			k.write = func(context.Context, engine.Write) (uint64, error) {
				time.Sleep(time.Second)
				k.write = k.apply
				bad()
				return 0, nil
			}
			first, second := "unchanged", ""
			returned := make(chan bool)
			go func() {
				defer close(returned)
				defer func() { recover() }()
				await.Select(bg, m.OnTake("key", &first), m.OnTake("key", &first), m.OnTake("other", nil))
				returned <- true
			}()
			synctest.Wait()
			next := startSelect(bg, m.OnTake("other", nil), m.OnTake("key", &second))
			_, ok := <-returned
			require.False(t, ok, name)
			require.Equal(t, choice{i: 1}, <-next)
			require.Equal(t, "unchanged", first)
			require.Equal(t, "1", second)
			require.Zero(t, m.Waiters("key")+m.Waiters("other"))
			k.requireEmpty(t)
		})
	}
}

// TestOnTakeLosesNothing: Selects over two keys, and Takes, of two machines that are cut off at
// any time, with timers and contexts that end. Each value is taken once.
func TestOnTakeLosesNothing(t *testing.T) {
	t.Parallel()
	const values, takers = 30, 3
	s := newSite(t)
	machines := []machine{s.machine(t), s.machine(t)}
	maps := []*cluster.Map[int]{newMap[int](t, machines[0].Bucket), newMap[int](t, machines[1].Bucket)}
	keys := []string{"a", "b"}
	stop := make(chan struct{})
	var faults, all sync.WaitGroup
	faults.Go(func() { cutAll(machines, stop, func(int) {}) })

	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	var mu sync.Mutex
	taken, unknown := map[int]int{}, map[int]int{}
	note := func(v int, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			taken[v]++
		} else {
			unknown[v]++
		}
		if len(taken) == values {
			cancel()
		}
	}
	for i := range takers * len(maps) {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			m := maps[i%2]
			for ctx.Err() == nil {
				call, end := context.WithCancel(ctx)
				if r.IntN(4) == 0 {
					call, end = context.WithTimeout(ctx, time.Duration(1+r.IntN(100))*time.Millisecond)
				}
				got := [2]int{-1, -1}
				var n int
				var err error
				switch r.IntN(4) {
				case 0:
					n = r.IntN(2)
					got[n] = -1
					if v, e := m.Take(call, keys[n]); e == nil || errors.Is(e, cluster.ErrUnknown) {
						got[n], err = v, e
					} else {
						n = -1
					}
				case 1:
					n, err = await.Select(call, await.After(time.Duration(r.IntN(10))*time.Millisecond), m.OnTake("b", &got[1]))
				default:
					n, err = await.Select(call, m.OnTake("a", &got[0]), m.OnTake("b", &got[1]), m.OnStore("absent", nil))
				}
				end()
				for k, v := range got {
					if v >= 0 && assert.Equal(t, n, k, "another case than %d got a value", n) {
						note(v, err)
					}
				}
				if err != nil && n >= 0 {
					assert.ErrorIs(t, err, cluster.ErrUnknown)
				}
			}
		})
	}
	for i := range maps {
		all.Go(func() {
			for v := i; v < values; v += 2 {
				for loaded := true; loaded && ctx.Err() == nil; {
					var err error
					_, loaded, err = maps[i].LoadOrStore(ctx, keys[v/2%2], v)
					if ctx.Err() == nil && !assert.NoError(t, err) {
						return
					}
				}
			}
		})
	}
	require.Eventually(t, func() bool { // what may have been taken counts if it is gone
		mu.Lock()
		defer mu.Unlock()
		both := len(taken)
		for v := range unknown {
			if taken[v] == 0 {
				both++
			}
		}
		return both == values
	}, 2*time.Minute, 10*time.Millisecond)
	cancel()
	all.Wait()
	close(stop)
	faults.Wait()
	for v := range values {
		require.LessOrEqual(t, taken[v], 1, "value %d", v)
		require.Positive(t, taken[v]+unknown[v], fmt.Sprint("value ", v))
	}
}

// TestWakerOfAnotherCaseMisbehaves: a Select whose case gives the turn to another Select panics with
// that one's waker, and does not count as one that wants the value.
func TestWakerOfAnotherCaseMisbehaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		m := newMap[string](t, b)
		var v string
		first := start(func() (int, error) {
			return await.Select(wake.WithParker(bg, striking(misbehave.Panic)), m.OnTake("key", &v))
		})
		synctest.Wait()
		var returned bool
		m.Register("key", wake.Func(func() { // when the value is there, and before it is offered
			returned, _ = misbehave.Outcome(func() error { _, err := await.Select(bg, m.OnTake("key", nil)); return err })
		}))
		store(t, m, "key", "value")
		require.False(t, returned)
		require.Equal(t, result[int]{}, <-first)
		synctest.Wait()
		require.Equal(t, "value", v)
		require.Zero(t, m.WantedKeys())
		k.requireEmpty(t)
	})
}

package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// acknowledge makes the engine acknowledge writes with that revision, and returns when it
// did so for the first time.
func (f *fake) acknowledge(revision uint64) (acknowledged chan struct{}) {
	acknowledged = make(chan struct{}, 100)
	f.write = func(context.Context, engine.Write) (uint64, error) {
		acknowledged <- struct{}{}
		return revision, nil
	}
	return acknowledged
}

// TestWriteReturnsWhenSeen: not when it is acknowledged.
func TestWriteReturnsWhenSeen(t *testing.T) {
	f, b := newFake(t)
	m := newMap[string](t, b)
	acknowledged := f.acknowledge(7)
	stored := start(func() (uint64, error) { return m.Store(bg, "key", "1") })
	<-acknowledged
	f.tell(putEvent(6, "other", `"0"`), synced(6))
	require.Empty(t, stored)
	f.tell(putEvent(7, "key", `"1"`))
	require.Equal(t, result[uint64]{v: 7}, <-stored)
	v, ok := m.Load("key")
	require.True(t, ok)
	require.Equal(t, "1", v)
}

// TestAcknowledgedWriteIsNoFailure: the context, or the Bucket, ends before the process has
// seen a write that was acknowledged.
func TestAcknowledgedWriteIsNoFailure(t *testing.T) {
	f, b := newFake(t)
	m := newMap[string](t, b)
	acknowledged := f.acknowledge(7)
	ctx, cancel := context.WithCancel(bg)
	stored := start(func() (uint64, error) { return m.Store(ctx, "key", "1") })
	<-acknowledged
	cancel()
	require.Equal(t, result[uint64]{v: 7}, <-stored)
	stored = start(func() (uint64, error) { return m.Store(bg, "key", "1") })
	<-acknowledged
	require.NoError(t, b.Close())
	require.Equal(t, result[uint64]{v: 7}, <-stored)
}

// TestWriteIntoLostHistory: the bucket is made anew before the process has seen a write.
func TestWriteIntoLostHistory(t *testing.T) {
	f, b := newFake(t)
	m := newMap[string](t, b)
	acknowledged := f.acknowledge(7)
	stored := start(func() (uint64, error) { return m.Store(bg, "key", "1") })
	<-acknowledged
	f.tell(engine.Event{Kind: engine.Reset, History: "2"}, synced(9))
	require.ErrorIs(t, (<-stored).err, cluster.ErrUnknown)

	acknowledged = f.acknowledge(3) // less than was seen: of a history that was not seen yet
	stored = start(func() (uint64, error) { return m.Store(bg, "key", "1") })
	<-acknowledged
	require.Empty(t, stored)
	f.tell(engine.Event{Kind: engine.Reset, History: "3"}, putEvent(3, "key", `"1"`), synced(3))
	require.Equal(t, result[uint64]{v: 3}, <-stored)
}

// TestUnknownTakeReturnsTheValue: or else nobody would have it.
func TestUnknownTakeReturnsTheValue(t *testing.T) {
	f, b := newFake(t)
	m := newMap[string](t, b)
	f.tell(putEvent(1, "key", `"1"`))
	f.write = func(ctx context.Context, w engine.Write) (uint64, error) {
		require.Equal(t, engine.Write{Key: "m\x00key", Delete: true, Expected: 1}, w)
		return 0, engine.ErrUnknown
	}
	v, err := m.Take(bg, "key")
	require.ErrorIs(t, err, cluster.ErrUnknown)
	require.Equal(t, "1", v)
	failure := errors.New("failure")
	f.write = func(ctx context.Context, w engine.Write) (uint64, error) { return 0, failure }
	v, err = m.Take(bg, "key")
	require.ErrorIs(t, err, failure)
	require.Empty(t, v)
}

// TestCancelEndsAllTakers: also one whose turn has just come.
func TestCancelEndsAllTakers(t *testing.T) {
	_, b := newFake(t)
	m := newMap[int](t, b)
	const takers = 20
	for range testkit.Scale(300, 50) {
		var all []chan result[int]
		for range takers {
			all = append(all, start(func() (int, error) { return m.Take(bg, "key") }))
		}
		for m.Waiters("key") < takers {
			runtime.Gosched()
		}
		require.Equal(t, takers, m.Cancel("key"))
		for _, c := range all {
			require.ErrorIs(t, (<-c).err, cluster.ErrCanceled)
		}
		require.Zero(t, m.Waiters("key"))
	}
}

// TestCancelMeetsLeavingTaker: the turn is on its way to the next taker when Cancel looks
// for it.
func TestCancelMeetsLeavingTaker(t *testing.T) {
	_, b := newFake(t)
	m := newMap[int](t, b)
	for range testkit.Scale(5000, 500) {
		ctx, cancel := context.WithCancel(bg)
		first := start(func() (int, error) { return m.Take(ctx, "key") })
		for m.Waiters("key") < 1 {
			runtime.Gosched()
		}
		second := start(func() (int, error) { return m.Take(bg, "key") })
		for m.Waiters("key") < 2 {
			runtime.Gosched()
		}
		cancel()
		require.ErrorIs(t, (<-first).err, context.Canceled) // it has passed the turn on
		m.Cancel("key")
		require.ErrorIs(t, (<-second).err, cluster.ErrCanceled)
	}
}

// TestResetIsSeenAtOnce: while everything is read anew, the old state is there, and then
// all of the new one. No key is left that is gone, and waiters of keys that are there now
// return.
func TestResetIsSeenAtOnce(t *testing.T) {
	for _, history := range []string{"1", "2"} {
		f, b := newFake(t)
		m := newMap[int](t, b)
		f.tell(putEvent(1, "gone", "1"), putEvent(2, "kept", "1"), putEvent(3, "changed", "1"))
		next := m.Register("new", nil)
		same := start(func() (int, error) { return m.WaitNext(bg, "kept") })
		for m.Waiters("kept") == 0 {
		}
		f.tell(engine.Event{Kind: engine.Reset, History: history}, putEvent(2, "kept", "1"), putEvent(5, "new", "2"), putEvent(6, "changed", "2"))
		_, done, _ := next.Result()
		require.False(t, done)
		for key, want := range map[string]int{"gone": 1, "kept": 1, "changed": 1, "new": 0} {
			v, _ := m.Load(key)
			require.Equal(t, want, v, key)
		}
		require.Equal(t, 3, m.Len())
		f.tell(synced(6), synced(6))
		for key, want := range map[string]int{"gone": 0, "kept": 1, "changed": 2, "new": 2} {
			v, _ := m.Load(key)
			require.Equal(t, want, v, key)
		}
		v, err := next.Wait(bg)
		require.NoError(t, err)
		require.Equal(t, 2, v)
		require.Equal(t, 3, m.Len())
		if history == "1" { // the value is the one that was there
			require.Empty(t, same)
			f.tell(putEvent(7, "kept", "1"))
		}
		require.Equal(t, result[int]{v: 1}, <-same)
	}
}

// TestBatchIsSeenAtOnce: changes that come after missed ones are applied together. Who sees
// the first sees the last.
func TestBatchIsSeenAtOnce(t *testing.T) {
	const keys = 500
	f, b := newFake(t)
	m := newMap[int](t, b)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			first, _ := m.Load("0")
			last, _ := m.Load(fmt.Sprint(keys - 1))
			if !assert.GreaterOrEqual(t, last, first) {
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for round := range testkit.Scale(50, 20) {
		f.tell(engine.Event{Kind: engine.Skipped})
		for i := range keys {
			f.tell(putEvent(uint64(round*keys+i+1), fmt.Sprint(i), fmt.Sprint(round+1)))
		}
		f.tell(synced(uint64(round*keys + keys)))
	}
	close(stop)
	<-stopped
}

// TestWakerMayRead: a waker that reads is called when the gate is open.
func TestWakerMayRead(t *testing.T) {
	f, b := newFake(t)
	m := newMap[int](t, b)
	woken := make(chan int, 2)
	waker := wake.Func(func() {
		v, _ := m.Load("data")
		woken <- v
		m.Register("data", wake.Func(func() { m.Len() }))
	})
	m.Register("flag", waker)
	f.tell(putEvent(1, "data", "1"), putEvent(2, "flag", "1"))
	require.Equal(t, 1, <-woken)
	f.tell(deleteEvent(3, "flag"), synced(3))
	m.Register("flag", waker)
	f.tell(engine.Event{Kind: engine.Skipped}, putEvent(5, "flag", "2"), putEvent(6, "data", "2"), synced(6))
	require.Equal(t, 2, <-woken)
}

// TestWakerExits: a waker that calls runtime.Goexit ends no more than itself.
func TestWakerExits(t *testing.T) {
	f, b := newFake(t)
	m := newMap[int](t, b)
	exit := wake.Func(runtime.Goexit)
	m.Register("key", exit)
	other := m.Register("key", nil)
	acknowledged := f.acknowledge(4)
	stored := start(func() (uint64, error) { return m.Store(bg, "key", 1) })
	<-acknowledged
	f.tell(putEvent(4, "key", "1"))
	require.NoError(t, (<-stored).err)
	v, err := other.Wait(bg)
	require.NoError(t, err)
	require.Equal(t, 1, v)

	for _, key := range []string{"a", "b", "c"} {
		m.Register(key, exit)
	}
	f.tell(engine.Event{Kind: engine.Skipped}, putEvent(6, "a", "1"), putEvent(7, "b", "1"), putEvent(8, "c", "1"), synced(8))
	f.tell(putEvent(9, "d", "1"))
	v, err = m.Wait(bg, "d")
	require.NoError(t, err)
	require.Equal(t, 1, v)
	require.Equal(t, 5, m.Len())
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(t, engine.Position{History: "1", Revision: 4}, f.from[1])
	require.Equal(t, engine.Position{History: "1", Revision: 8}, f.from[2])
}

// A hostile codec does with a value what the value says.
type hostile struct{}

func (hostile) Encode(v any) ([]byte, error) { return json.Marshal(v) }

func (hostile) Decode(data []byte, to any) error {
	switch string(data) {
	case `"panic"`:
		panic("panic")
	case `"exit"`:
		runtime.Goexit()
	case `"error"`:
		return errors.New("error")
	}
	return json.Unmarshal(data, to)
}

// TestValueThatCannotBeDecoded counts as absent, and stops nobody.
func TestValueThatCannotBeDecoded(t *testing.T) {
	for _, bad := range []string{"panic", "exit", "error"} {
		for _, kind := range []engine.Kind{engine.Put, engine.Skipped, engine.Reset} {
			f, b := newFake(t)
			m, err := cluster.NewMap[string](b, &cluster.MapOptions{Codec: hostile{}})
			require.NoError(t, err)
			f.tell(putEvent(1, "bad", `"fine"`))
			if kind != engine.Put {
				f.tell(engine.Event{Kind: kind, History: "1"})
			}
			f.tell(putEvent(2, "bad", `"`+bad+`"`), putEvent(3, "good", `"fine"`), synced(3), synced(3))
			v, ok := m.Load("bad")
			require.False(t, ok, bad)
			require.Empty(t, v)
			v, err = m.Wait(bg, "good")
			require.NoError(t, err)
			require.Equal(t, "fine", v)

			f.write = func(_ context.Context, w engine.Write) (uint64, error) {
				return 0, &engine.ConflictError{Key: w.Key, Revision: 2}
			}
			_, _, err = m.LoadOrStore(bg, "bad", "1")
			require.ErrorIs(t, err, cluster.ErrDecode)
			f.tell(putEvent(4, "bad", `"fine"`))
			v, err = m.Wait(bg, "bad")
			require.NoError(t, err)
			require.Equal(t, "fine", v)
			f.tell(putEvent(5, "bad", `"`+bad+`"`), engine.Event{Kind: engine.Reset, History: "1"}, synced(6), synced(6))
			f.tell(putEvent(7, "good", `"fine"`))
			_, err = m.Wait(bg, "good")
			require.NoError(t, err)
			actual, loaded, err := m.LoadOrStore(bg, "good", "1")
			require.NoError(t, err)
			require.True(t, loaded)
			require.Equal(t, "fine", actual)
		}
	}
}

// TestNewMapExits: a Codec ends the goroutine that calls NewMap. The values stay, and the
// name can be used.
func TestNewMapExits(t *testing.T) {
	f, b := newFake(t)
	f.tell(putEvent(1, "a", `"exit"`), putEvent(2, "b", `"fine"`), synced(2))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = cluster.NewMap[string](b, &cluster.MapOptions{Codec: hostile{}})
	}()
	<-done
	f.tell(putEvent(3, "c", `"fine"`), synced(3))
	m, err := cluster.NewMap[string](b, nil)
	require.NoError(t, err)
	require.Equal(t, 3, m.Len())
}

// TestDeadEngine: the engine ends under the Bucket.
func TestDeadEngine(t *testing.T) {
	f, b := newFake(t)
	m := newMap[string](t, b)
	acknowledged := f.acknowledge(7)
	stored := start(func() (uint64, error) { return m.Store(bg, "key", "1") })
	waits := start(func() (string, error) { return m.Wait(bg, "key") })
	for m.Waiters("key") == 0 {
	}
	<-acknowledged
	f.events <- engine.Event{Kind: engine.Put} // of no Map
	close(f.closed)
	require.ErrorIs(t, (<-waits).err, cluster.ErrClosed)
	require.NoError(t, (<-stored).err)
	f.closed = make(chan struct{}) // for Close
}

// TestWaitNeedsNoGoroutine: a thousand waits are in line.
func TestWaitNeedsNoGoroutine(t *testing.T) {
	f, b := newFake(t)
	m := newMap[string](t, b)
	before := testkit.Goroutines()
	futures := make([]*cluster.Future[string], 1000)
	for i := range futures {
		futures[i] = m.Register("key", nil)
	}
	require.LessOrEqual(t, testkit.Goroutines(), before)
	f.tell(putEvent(1, "key", `"1"`))
	for _, future := range futures {
		v, err := future.Wait(bg)
		require.NoError(t, err)
		require.Equal(t, "1", v)
	}
}

// TestRevisionWaiters: a wait for a revision that gives up leaves the others in line.
func TestRevisionWaiters(t *testing.T) {
	f, b := newFake(t)
	m := newMap[string](t, b)
	revisions := make(chan uint64)
	f.write = func(context.Context, engine.Write) (uint64, error) { return <-revisions, nil }
	var all []chan result[uint64]
	var cancels []context.CancelFunc
	for i := range 20 {
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		cancels = append(cancels, cancel)
		all = append(all, start(func() (uint64, error) { return m.Store(ctx, "key", "1") }))
		revisions <- uint64(20 - i)
	}
	for i, cancel := range cancels {
		if i%3 == 0 {
			cancel()
			require.NoError(t, (<-all[i]).err)
		}
	}
	f.tell(synced(20))
	for i, c := range all {
		if i%3 != 0 {
			require.NoError(t, (<-c).err)
		}
	}
}

// TestWakerOfTheNextTakerMisbehaves: a Take that has a value does not return, and the next one gets
// the value.
func TestWakerOfTheNextTakerMisbehaves(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		synctest.Test(t, func(t *testing.T) {
			k, b := newKeeper(t)
			m := newMap[string](t, b)
			returned := make(chan bool, 1)
			go func() {
				r, _ := misbehave.Outcome(func() error { _, err := m.Take(bg, "key"); return err })
				returned <- r
			}()
			synctest.Wait()
			next := start(func() (string, error) { return m.Take(wake.WithParker(bg, striking(strike)), "key") })
			synctest.Wait()
			store(t, m, "key", "value")
			require.False(t, <-returned)
			require.Equal(t, result[string]{v: "value"}, <-next)
			synctest.Wait()
			k.requireEmpty(t)
		})
	}
}

// TestCancelWhoseWakerMisbehaves ends all waits for the key, also those that come after it.
func TestCancelWhoseWakerMisbehaves(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		synctest.Test(t, func(t *testing.T) {
			_, b := newKeeper(t)
			m := newMap[string](t, b)
			first := start(func() (string, error) { return m.Take(bg, "key") })
			synctest.Wait()
			second := start(func() (string, error) { return m.Take(wake.WithParker(bg, striking(strike)), "key") })
			synctest.Wait()
			returned, _ := misbehave.Outcome(func() error { m.Cancel("key"); return nil })
			require.False(t, returned)
			require.ErrorIs(t, (<-second).err, cluster.ErrCanceled)
			require.ErrorIs(t, (<-first).err, cluster.ErrCanceled)
		})
	}
}

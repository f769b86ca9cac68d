package waitmap_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// soon yields until done is closed, and reports false if that takes too long.
func soon(done <-chan struct{}) bool {
	for range 200_000 {
		select {
		case <-done:
			return true
		default:
			runtime.Gosched()
		}
	}
	return false
}

// TestPanickingHashInComputedGrowth: a Hash that panics while a computation's
// value makes the table grow leaves the computed key free.
func TestPanickingHashInComputedGrowth(t *testing.T) {
	var bad atomic.Bool
	m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 1, Hash: func(k int, _ uint64) uint64 {
		if k == 0 && bad.Load() {
			panic("bad hash")
		}
		return goodHash(k, 0)
	}})
	m.Store(0, 0)
	bad.Store(true)
	set := func(k int) (panicked any) {
		return recovered(func() {
			m.Compute(k, func(int, bool) (int, waitmap.Op) { return k, waitmap.StoreOp })
		})
	}
	k := 1
	for set(k) == nil {
		k++
	}
	bad.Store(false)
	done := make(chan struct{})
	go func() { m.Store(k, -1); close(done) }()
	require.True(t, soon(done), "key %d is on hold for ever", k)
	v, ok := m.Load(k)
	require.True(t, ok)
	require.Equal(t, -1, v)
	for i := range k {
		_, ok := m.Load(i)
		require.True(t, ok, "key %d", i)
	}
	requireIdle(t, m)
}

// TestWaitForLooksAtEveryLastStore: a store of the same pointer or of an equal
// number is a store: something else that ok looks at may have changed.
func TestWaitForLooksAtEveryLastStore(t *testing.T) {
	type job struct{ done atomic.Bool }
	synctest.Test(t, func(t *testing.T) {
		m := new(waitmap.Map[string, *job])
		j := new(job)
		m.Store("a", j)
		w := async(func() (*job, error) { return m.WaitFor(bg, "a", func(j *job) bool { return j.done.Load() }) })
		synctest.Wait()
		j.done.Store(true)
		m.Store("a", j)
		synctest.Wait()
		m.Close()
		requireValue(t, j, w)
	})
	synctest.Test(t, func(t *testing.T) {
		m := new(waitmap.Map[string, int])
		want := new(atomic.Int64)
		m.Store("a", 1)
		w := async(func() (int, error) { return m.WaitFor(bg, "a", func(v int) bool { return int64(v) == want.Load() }) })
		synctest.Wait()
		want.Store(1)
		m.Store("a", 1)
		synctest.Wait()
		m.Close()
		requireValue(t, 1, w)
	})
}

// TestPanickingWakersReleaseAllShards: CancelAll and Close release every waiter,
// also those behind a waker that panics or ends its goroutine.
func TestPanickingWakersReleaseAllShards(t *testing.T) {
	for name, f := range map[string]func(m *waitmap.Map[int, int]){
		"CancelAll": func(m *waitmap.Map[int, int]) { m.CancelAll() },
		"Close":     func(m *waitmap.Map[int, int]) { m.Close() },
	} {
		for how, waker := range map[string]wake.Func{"panic": func() { panic("waker") }, "Goexit": runtime.Goexit} {
			t.Run(name+"/"+how, func(t *testing.T) {
				m := waitmap.New[int, int](&waitmap.Options[int]{Shards: 8})
				var woken atomic.Int64
				var fs []*waitmap.Future[int]
				for i := range 100 {
					fs = append(fs, m.Register(i, wake.Func(func() { woken.Add(1); waker() })))
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { recover() }()
					f(m)
				}()
				<-done
				for _, f := range fs {
					_, done, _ := f.Result()
					require.True(t, done)
				}
				require.EqualValues(t, 100, woken.Load())
				requireIdle(t, m)
			})
		}
	}
}

// A refusingParker fails with an error of its own, as that of a loop that was closed.
type refusingParker struct{ wake.Parker }

var errRefused = errors.New("refused")

func (refusingParker) Park(context.Context) error { return errRefused }

// TestParkerFails: a wait whose Parker fails returns no value.
func TestParkerFails(t *testing.T) {
	ctx := wake.WithParker(bg, refusingParker{wake.NewParker()})
	for name, wait := range waits {
		m := new(intMap)
		_, err := wait(m, ctx, "a")
		require.ErrorIs(t, err, errRefused, name)
		requireIdle(t, m)
	}
}

// TestDeletedInOrderIsFreed: what is deleted in the order of Keys is freed as
// well as what is deleted in any other.
func TestDeletedInOrderIsFreed(t *testing.T) {
	m := waitmap.New[*obj, int](&waitmap.Options[*obj]{Shards: 1})
	const n = 10_000
	var ps []weak.Pointer[obj]
	for range n {
		o, p := newObj()
		m.Store(o, 1)
		ps = append(ps, p)
	}
	for k := range m.Keys() {
		m.Delete(k)
	}
	require.Zero(t, m.Len())
	runtime.GC()
	kept := 0
	for _, p := range ps {
		if p.Value() != nil {
			kept++
		}
	}
	require.Less(t, kept, n/50, "keys of deleted entries that are still reachable")
	runtime.KeepAlive(m)
}

// TestTakenValueIsFreed: a line that is never empty does not keep the value that its first
// taker took.
func TestTakenValueIsFreed(t *testing.T) {
	m := new(waitmap.Map[string, *obj])
	first := async(func() (*obj, error) { return m.Take(bg, "a") })
	inLine(m, "a", 1)
	second := async(func() (*obj, error) { return m.Take(bg, "a") })
	inLine(m, "a", 2)
	value := func() weak.Pointer[obj] {
		o, p := newObj()
		m.Store("a", o)
		<-first
		return p
	}()
	requireFreed(t, value, "a value that was taken")
	m.CancelAll()
	<-second
}

// leavingParker does not return from Park.
type leavingParker struct {
	wake.Waker
	leave func()
}

func (p leavingParker) Park(context.Context) error {
	p.leave()
	return nil
}

// TestParkDoesNotReturn: a waiter whose Park panics, or ends its goroutine,
// stays in no line, and no value is lost.
func TestParkDoesNotReturn(t *testing.T) {
	for _, leave := range []func(){func() { panic("park") }, runtime.Goexit} {
		overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				defer func() { recover() }()
				wait(m, wake.WithParker(bg, leavingParker{wake.NewParker(), leave}), "a")
			}()
			<-ended
			requireIdle(t, m)
			m.Store("a", 1)
			v, ok := m.Load("a")
			require.True(t, ok)
			require.Equal(t, 1, v)
		})
	}
}

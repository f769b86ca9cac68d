package await_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// A seen is what a wait for a Value returned.
type seen struct {
	v       int
	version uint64
	err     error
}

// waitNewer runs a WaitNewer in a goroutine of its own.
func waitNewer(ctx context.Context, v *await.Value[int], version uint64) <-chan seen {
	c := make(chan seen, 1)
	go func() {
		x, n, err := v.WaitNewer(ctx, version)
		c <- seen{x, n, err}
	}()
	return c
}

// onNewer is waitNewer by a Select.
func onNewer(ctx context.Context, v *await.Value[int], version uint64) <-chan seen {
	c := make(chan seen, 1)
	go func() {
		var s seen
		_, s.err = await.Select(ctx, new(await.Value[int]).OnNewer(0, nil, nil), v.OnNewer(version, &s.v, &s.version))
		c <- s
	}()
	return c
}

var newerWaits = map[string]func(context.Context, *await.Value[int], uint64) <-chan seen{
	"WaitNewer": waitNewer,
	"Select":    onNewer,
}

func overNewerWaits(t *testing.T, f func(t *testing.T, wait func(context.Context, *await.Value[int], uint64) <-chan seen)) {
	for name, wait := range newerWaits {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, wait) })
		})
	}
}

func TestValueVersions(t *testing.T) {
	var v await.Value[int]
	x, n := v.Load()
	require.Zero(t, x)
	require.Zero(t, n)
	require.EqualValues(t, 1, v.Store(7))
	x, n = v.Load()
	require.Equal(t, seen{v: 7, version: 1}, seen{v: x, version: n})
	x, n = v.Update(func(old int) int { return old * 10 })
	require.Equal(t, seen{v: 70, version: 2}, seen{v: x, version: n})
	x, n, err := v.WaitNewer(t.Context(), 1)
	require.Equal(t, seen{70, 2, nil}, seen{x, n, err})
}

// TestValueNeverStored has no version that is newer than 0.
func TestValueNeverStored(t *testing.T) {
	overNewerWaits(t, func(t *testing.T, wait func(context.Context, *await.Value[int], uint64) <-chan seen) {
		var v await.Value[int]
		w := wait(t.Context(), &v, 0)
		synctest.Wait()
		require.Equal(t, 1, v.Waiters())
		require.Empty(t, w)
		v.Store(5)
		require.Equal(t, seen{5, 1, nil}, <-w)
		require.Zero(t, v.Waiters())
	})
}

// TestValueOfAFutureVersion: a waiter that names a version that is still to come is not
// woken before that was exceeded, and those next to it are.
func TestValueOfAFutureVersion(t *testing.T) {
	overNewerWaits(t, func(t *testing.T, wait func(context.Context, *await.Value[int], uint64) <-chan seen) {
		var v await.Value[int]
		v.Store(1)
		third, present, second := wait(t.Context(), &v, 3), wait(t.Context(), &v, 1), wait(t.Context(), &v, 2)
		synctest.Wait()
		for i, w := range []<-chan seen{present, second, third} {
			require.Equal(t, 3-i, v.Waiters())
			synctest.Wait()
			require.Empty(t, w, i)
			v.Store(i)
			require.Equal(t, seen{i, uint64(i) + 2, nil}, <-w)
		}
		require.Zero(t, v.Waiters())
	})
}

// TestValueSatisfiedWaitIgnoresItsContext.
func TestValueSatisfiedWaitIgnoresItsContext(t *testing.T) {
	overNewerWaits(t, func(t *testing.T, wait func(context.Context, *await.Value[int], uint64) <-chan seen) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var v await.Value[int]
		require.ErrorIs(t, (<-wait(ctx, &v, 0)).err, context.Canceled)
		v.Store(3)
		require.Equal(t, seen{3, 1, nil}, <-wait(ctx, &v, 0))
		require.ErrorIs(t, (<-wait(ctx, &v, 1)).err, context.Canceled)
		require.Zero(t, v.Waiters())
	})
}

// TestValueWaitEndsWithItsContext and leaves the line.
func TestValueWaitEndsWithItsContext(t *testing.T) {
	overNewerWaits(t, func(t *testing.T, wait func(context.Context, *await.Value[int], uint64) <-chan seen) {
		var v await.Value[int]
		v.Store(3)
		why := errors.New("why")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, why)
		defer cancel()
		others := wait(t.Context(), &v, 1)
		start := time.Now()
		s := <-wait(ctx, &v, 1)
		require.Equal(t, time.Hour, time.Since(start))
		require.ErrorIs(t, s.err, why)
		require.ErrorIs(t, s.err, context.DeadlineExceeded)
		require.Equal(t, seen{err: s.err}, s)
		require.Equal(t, 1, v.Waiters())
		v.Store(4)
		require.Equal(t, seen{4, 2, nil}, <-others)
	})
}

// TestValueOnNewerMayDropWhatItGets.
func TestValueOnNewerMayDropWhatItGets(t *testing.T) {
	var v await.Value[int]
	v.Store(3)
	var x int
	var n uint64
	for _, c := range []wake.Case{v.OnNewer(0, nil, nil), v.OnNewer(0, &x, nil), v.OnNewer(0, nil, &n)} {
		i, err := await.Select(t.Context(), c)
		require.NoError(t, err)
		require.Zero(t, i)
	}
	require.Equal(t, 3, x)
	require.EqualValues(t, 1, n)
}

// TestValueCaseKeepsItsVersion when it is used again.
func TestValueCaseKeepsItsVersion(t *testing.T) {
	var v await.Value[int]
	var x int
	var n uint64
	v.Store(1)
	c := v.OnNewer(n, &x, &n)
	for i := range 3 {
		v.Store(i)
		_, err := await.Select(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, i, x)
		require.EqualValues(t, i+2, n)
	}
	_, err := await.Select(t.Context(), c)
	require.NoError(t, err, "4 is still newer than 0")
}

// TestValueStaysAsItWasIfUpdateUnwinds, and nothing stays locked.
func TestValueStaysAsItWasIfUpdateUnwinds(t *testing.T) {
	for _, end := range []func(){func() { panic("f") }, runtime.Goexit} {
		var v await.Value[int]
		v.Store(5)
		returned, _ := misbehave.Outcome(func() error { v.Update(func(int) int { end(); return 6 }); return nil })
		require.False(t, returned)
		x, n := v.Load()
		require.Equal(t, seen{v: 5, version: 1}, seen{v: x, version: n})
		require.EqualValues(t, 2, v.Store(7))
	}
}

// TestValueUpdateHoldsUpNoWaits: while f runs, loads return, waits keep their deadlines,
// and waiters leave.
func TestValueUpdateHoldsUpNoWaits(t *testing.T) {
	overNewerWaits(t, func(t *testing.T, wait func(context.Context, *await.Value[int], uint64) <-chan seen) {
		var v await.Value[int]
		v.Store(1)
		updated := make(chan uint64)
		go func() {
			_, n := v.Update(func(old int) int { time.Sleep(time.Hour); return old + 1 })
			updated <- n
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		patient := wait(t.Context(), &v, 1)
		require.ErrorIs(t, (<-wait(ctx, &v, 1)).err, context.DeadlineExceeded)
		require.Equal(t, 1, v.Waiters())
		x, _ := v.Load()
		require.Equal(t, 1, x)
		require.EqualValues(t, 2, <-updated)
		require.Equal(t, seen{2, 2, nil}, <-patient)
	})
}

// TestValueUpdatesTakeTurns: one that begins while another one runs gets the value of that.
func TestValueUpdatesTakeTurns(t *testing.T) {
	var v await.Value[int]
	running, finish := make(chan struct{}), make(chan struct{})
	testkit.Together(2, func(i int) {
		if i == 0 {
			v.Update(func(old int) int { close(running); <-finish; return old + 1 })
			return
		}
		<-running
		go func() {
			for range 1000 {
				runtime.Gosched()
			}
			close(finish)
		}()
		x, n := v.Update(func(old int) int { return old + 1 })
		if x != 2 || n != 2 {
			t.Errorf("%d of version %d", x, n)
		}
	})
}

// TestValueWakersRunUnlocked: a waker that stores, and one that panics or exits. All
// others are woken.
func TestValueWakersRunUnlocked(t *testing.T) {
	for _, end := range []func(){func() { panic("waker") }, runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			var v await.Value[int]
			p := &misbehave.First{Parker: wake.NewParker(), First: func() {}, End: func() { v.Load(); v.Store(2); end() }}
			first := waitNewer(wake.WithParker(t.Context(), p), &v, 0)
			synctest.Wait()
			second := waitNewer(t.Context(), &v, 0)
			synctest.Wait()
			returned, _ := misbehave.Outcome(func() error { v.Store(1); return nil })
			require.False(t, returned)
			require.Equal(t, seen{2, 2, nil}, <-first)
			require.Equal(t, seen{2, 2, nil}, <-second)
		})
	}
}

// TestValueMisbehavingCompany: whatever a context and a parker do, no waiter stays in
// line, and a version that came first is returned.
func TestValueMisbehavingCompany(t *testing.T) {
	for what := range misbehave.Armables(nil) {
		for park, strike := range misbehave.Parks {
			for _, stored := range []bool{false, true} {
				var v await.Value[int]
				c := misbehave.Armables(func() { v.Load(); v.Waiters() })[what]
				p := &misbehave.First{Parker: wake.NewParker(), Strike: strike, First: func() {
					if stored {
						v.Store(1)
					}
					c.Armed = true
				}}
				returned, err := misbehave.Outcome(func() error {
					_, _, err := v.WaitNewer(wake.WithParker(c, p), 0)
					return err
				})
				require.Zero(t, v.Waiters(), "%s, %s", what, park)
				require.False(t, returned && err == nil && !stored)
				if c.Orderly && (park == "parks" || park == "fails") {
					require.True(t, returned)
					require.Equal(t, stored, err == nil, "%s, %s: %v", what, park, err)
				}
				wakes := p.Wakes
				v.Store(2)
				require.Equal(t, wakes, p.Wakes, "it has left")
			}
		}
	}
}

// TestValueWatchBeginsWithWhatIsThere, and ends with its context.
func TestValueWatchBeginsWithWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var v await.Value[int]
		watch := v.Watch(ctx)
		for range 2 { // of one iterator
			v.Store(1)
			v.Store(2)
			var got []int
			for x, err := range watch {
				require.NoError(t, err)
				require.Zero(t, v.Waiters(), "in the body")
				if got = append(got, x); x == 5 {
					break
				}
				time.AfterFunc(time.Hour, func() { v.Store(x + 1) })
			}
			require.Equal(t, []int{2, 3, 4, 5}, got)
		}
		var got []int
		for x, err := range watch {
			if got = append(got, x); err != nil {
				require.ErrorIs(t, err, why)
				require.ErrorIs(t, err, context.Canceled)
				break
			}
			time.AfterFunc(time.Hour, func() { cancel(why) })
		}
		require.Equal(t, []int{5, 0}, got)
		require.Zero(t, v.Waiters())
	})
}

// TestValueWatchEndsThoughValuesKeepComing: it looks at its context.
func TestValueWatchEndsThoughValuesKeepComing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var v await.Value[int]
	v.Store(1)
	var got []int
	var last error
	for x, err := range v.Watch(ctx) {
		got, last = append(got, x), err
		v.Store(x + 1)
		require.Less(t, len(got), 5)
	}
	require.Equal(t, []int{1, 0}, got)
	require.ErrorIs(t, last, context.Canceled)
}

// TestValueWatchMissesNotTheLast: it may skip values that are overwritten while the body
// runs.
func TestValueWatchMissesNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var v await.Value[int]
		go func() {
			for i := range 100 {
				v.Store(i)
				time.Sleep(time.Second)
			}
		}()
		var got []int
		for x, err := range v.Watch(ctx) {
			if err == nil {
				got = append(got, x)
				time.Sleep(7*time.Second + time.Millisecond)
			}
		}
		require.True(t, slices.IsSorted(got), got)
		require.Less(t, len(got), 20)
		require.Equal(t, 99, got[len(got)-1])
	})
}

// TestValueAllocations: a Load nothing, a Store its version.
func TestValueAllocations(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	var v await.Value[[4]int]
	allocs := func(most float64, what string, f func()) {
		require.Equal(t, most, testing.AllocsPerRun(1000, f), what)
	}
	ctx := t.Context()
	allocs(1, "Store", func() { v.Store([4]int{1}) })
	allocs(1, "Update", func() { v.Update(func(old [4]int) [4]int { return old }) })
	allocs(0, "Load", func() { v.Load() })
	allocs(0, "WaitNewer", func() { _, _, _ = v.WaitNewer(ctx, 0) })
	allocs(1, "OnNewer", func() { v.OnNewer(0, nil, nil) })
}

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

// A scripted loader announces each load and does what the test then tells it.
type script struct{ loads chan *loading }

type loading struct {
	key    string
	ctx    context.Context
	finish chan func() (int, error)
}

func newScript() *script { return &script{loads: make(chan *loading, 100)} }

func (s *script) load(ctx context.Context, key string) (int, error) {
	l := &loading{key: key, ctx: ctx, finish: make(chan func() (int, error), 1)}
	s.loads <- l
	return (<-l.finish)()
}

func (l *loading) value(v int)     { l.finish <- func() (int, error) { return v, nil } }
func (l *loading) error(err error) { l.finish <- func() (int, error) { return 0, err } }

// A got is what one caller of Get got.
type got struct {
	v    int
	from source
	err  error
}

func ask(ctx context.Context, c *cache[string, int], key string) <-chan got {
	result := make(chan got, 1)
	go func() {
		v, from, err := c.Get(ctx, key)
		result <- got{v, from, err}
	}()
	return result
}

func forAnHour(limit int) shelfOptions[int] {
	return shelfOptions[int]{limit: limit, ttl: func(int) time.Duration { return time.Hour }}
}

// inBubble runs a test under a clock of its own, where a lost wake is a
// deadlock that is reported, and checks that the cache is left empty handed.
func inBubble(t *testing.T, test func(t *testing.T, c *cache[string, int], s *script)) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		c := newCache(s.load, time.Minute, forAnHour(100))
		test(t, c, s)
		synctest.Wait()
		require.Zero(t, c.flights.Len(), "a flight was left behind")
		require.Zero(t, c.values.waiting.now.Load())
		for key := range c.values.Waiting() {
			t.Errorf("somebody still waits for %q", key)
		}
		c.Close()
	})
}

func TestManyCallersOneLoad(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		const callers = 50
		results := make([]<-chan got, callers)
		for i := range results {
			results[i] = ask(t.Context(), c, "k")
		}
		synctest.Wait()
		require.Len(t, s.loads, 1)
		require.Equal(t, callers, c.values.Waiters("k"))
		(<-s.loads).value(7)

		from := map[source]int{}
		for _, r := range results {
			g := <-r
			require.NoError(t, g.err)
			require.Equal(t, 7, g.v)
			from[g.from]++
		}
		require.Equal(t, map[source]int{led: 1, joined: callers - 1}, from)
		require.EqualValues(t, callers, c.values.waiting.top.Load())
		require.Equal(t, got{7, hit, nil}, <-ask(t.Context(), c, "k"))
	})
}

func TestKeysDoNotWaitForEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		slow := ask(t.Context(), c, "slow")
		first := <-s.loads
		quick := ask(t.Context(), c, "quick")
		(<-s.loads).value(2)
		require.Equal(t, 2, (<-quick).v)
		first.value(1)
		require.Equal(t, 1, (<-slow).v)
	})
}

func TestLeadersCanceledContextDoesNotFailItsFollowers(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		ctx, cancel := context.WithCancel(t.Context())
		leader := ask(ctx, c, "k")
		l := <-s.loads
		follower := ask(t.Context(), c, "k")
		synctest.Wait()

		cancel()
		require.ErrorIs(t, (<-leader).err, context.Canceled)
		require.NoError(t, l.ctx.Err(), "the load goes on for the follower")
		l.value(3)
		require.Equal(t, got{3, joined, nil}, <-follower)
	})
}

func TestLoadIsCanceledWhenTheLastCallerLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		ctx1, cancel1 := context.WithCancel(t.Context())
		ctx2, cancel2 := context.WithCancel(t.Context())
		one := ask(ctx1, c, "k")
		l := <-s.loads
		two := ask(ctx2, c, "k")
		synctest.Wait()

		cancel1()
		require.Error(t, (<-one).err)
		require.NoError(t, l.ctx.Err())
		cancel2()
		require.Error(t, (<-two).err)
		require.ErrorIs(t, l.ctx.Err(), context.Canceled)
		l.error(l.ctx.Err())
	})
}

func TestNewcomerDoesNotJoinAFlightThatIsBeingCanceled(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		ctx, cancel := context.WithCancel(t.Context())
		quitter := ask(ctx, c, "k")
		dying := <-s.loads
		cancel()
		require.Error(t, (<-quitter).err)
		require.Error(t, dying.ctx.Err())

		newcomer := ask(t.Context(), c, "k") // dying has not ended yet
		second := <-s.loads
		dying.value(-1) // and comes back with something after all
		synctest.Wait()
		_, there := c.values.Load("k")
		require.False(t, there, "what an abandoned load returns is nobody's")
		require.NoError(t, second.ctx.Err(), "and its end does not end the next flight")

		third := ask(t.Context(), c, "k")
		synctest.Wait()
		require.Empty(t, s.loads, "which can still be joined")
		second.value(2)
		require.Equal(t, got{2, led, nil}, <-newcomer)
		require.Equal(t, got{2, joined, nil}, <-third)
	})
}

func TestErrorOfAnAbandonedFlightDoesNotReachTheNext(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		ctx, cancel := context.WithCancel(t.Context())
		quitter := ask(ctx, c, "k")
		dying := <-s.loads
		cancel()
		<-quitter
		newcomer := ask(t.Context(), c, "k")
		second := <-s.loads
		dying.error(errors.New("canceled"))
		synctest.Wait()
		require.Empty(t, newcomer)
		second.value(2)
		require.NoError(t, (<-newcomer).err)
	})
}

func TestErrorsGoToThoseWhoWaitedAndAreNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		boom := errors.New("boom")
		one, two := ask(t.Context(), c, "k"), ask(t.Context(), c, "k")
		synctest.Wait()
		(<-s.loads).error(boom)
		require.ErrorIs(t, (<-one).err, boom)
		require.ErrorIs(t, (<-two).err, boom)
		synctest.Wait()
		require.Empty(t, s.loads, "the followers do not try again one after the other")

		next := ask(t.Context(), c, "k")
		(<-s.loads).value(1)
		require.Equal(t, got{1, led, nil}, <-next)
	})
}

func TestFailedLoadNeverGivesAValue(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		r := ask(t.Context(), c, "k")
		(<-s.loads).finish <- func() (int, error) { return 99, errors.New("half a value") }
		g := <-r
		require.Error(t, g.err)
		require.Zero(t, g.v)
	})
}

func TestPanicReachesEveryCallerAndTheKeyIsUsableAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		cause := errors.New("the cause")
		one, two := ask(t.Context(), c, "k"), ask(t.Context(), c, "k")
		synctest.Wait()
		(<-s.loads).finish <- func() (int, error) { panic(cause) }
		for _, g := range []got{<-one, <-two} {
			p, ok := errors.AsType[*panicError](g.err)
			require.True(t, ok, g.err)
			require.ErrorIs(t, g.err, cause)
			require.Contains(t, string(p.stack), "cache_test.go")
		}
		next := ask(t.Context(), c, "k")
		(<-s.loads).value(1)
		require.NoError(t, (<-next).err)
	})
}

func TestGoexitReachesEveryCallerAndTheKeyIsUsableAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		r := ask(t.Context(), c, "k")
		(<-s.loads).finish <- func() (int, error) { runtime.Goexit(); return 0, nil }
		require.ErrorIs(t, (<-r).err, errGoexit)
		next := ask(t.Context(), c, "k")
		(<-s.loads).value(1)
		require.NoError(t, (<-next).err)
	})
}

func TestLoadThatTakesTooLongIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := newCache(func(ctx context.Context, _ string) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}, time.Minute, forAnHour(1))
		defer c.Close()
		_, _, err := c.Get(t.Context(), "k")
		require.ErrorIs(t, err, errTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestExpiredValueIsLoadedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		for round := range 3 {
			r := ask(t.Context(), c, "k")
			(<-s.loads).value(round)
			require.Equal(t, got{round, led, nil}, <-r)
			time.Sleep(time.Hour - time.Nanosecond)
			require.Equal(t, got{round, hit, nil}, <-ask(t.Context(), c, "k"))
			time.Sleep(time.Nanosecond)
			synctest.Wait()
		}
	})
}

func TestValueThatIsNotKeptReachesAllThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript()
		c := newCache(s.load, time.Minute, shelfOptions[int]{limit: 1, ttl: func(int) time.Duration { return 0 }})
		defer c.Close()
		one, two := ask(t.Context(), c, "k"), ask(t.Context(), c, "k")
		synctest.Wait()
		(<-s.loads).value(5)
		require.Equal(t, 5, (<-one).v)
		require.Equal(t, 5, (<-two).v)
		synctest.Wait()
		require.Zero(t, c.values.Len())
	})
}

func TestValueThatIsNotKeptIsNoHit(t *testing.T) {
	var loads atomic.Int64
	c := newCache(func(context.Context, int) (int, error) { return int(loads.Add(1)), nil }, time.Minute,
		shelfOptions[int]{limit: 1, ttl: func(int) time.Duration { return 0 }})
	defer c.Close()
	for i := range 5000 { // each comes at once when the last one was told
		v, from, err := c.Get(t.Context(), 0)
		require.Equal(t, got{i + 1, led, nil}, got{v, from, err})
	}
}

func TestShelfKeepsNoMoreThanItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(func(context.Context, int) (int, error) { return 1, nil }, time.Minute, forAnHour(10))
		defer c.Close()
		for key := range 1000 {
			_, _, err := c.Get(t.Context(), key)
			require.NoError(t, err)
		}
		synctest.Wait() // what is over the limit is published and then removed
		require.Equal(t, 10, c.values.Len())
	})
}

func TestTimerOfAnOldValueLeavesTheNewOneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shelf[string, int]{shelfOptions: forAnHour(10)}
		s.publish("k", 1)
		time.Sleep(30 * time.Minute)
		s.publish("k", 2)
		time.Sleep(45 * time.Minute)
		v, ok := s.get("k")
		require.True(t, ok)
		require.Equal(t, 2, v)
	})
}

func TestCloseReleasesThoseWhoWait(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		kept := ask(t.Context(), c, "kept")
		(<-s.loads).value(1)
		<-kept
		waiting := ask(t.Context(), c, "k")
		l := <-s.loads
		c.Close()
		require.ErrorIs(t, (<-waiting).err, waitmap.ErrClosed)
		<-l.ctx.Done()
		l.error(l.ctx.Err())

		require.ErrorIs(t, (<-ask(t.Context(), c, "k")).err, waitmap.ErrClosed)
		require.Empty(t, s.loads, "nothing is loaded any more")
		require.Equal(t, got{1, hit, nil}, <-ask(t.Context(), c, "kept"))
	})
}

func TestCanceledCallersLeaveNothingBehind(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cache[string, int], s *script) {
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			r := ask(ctx, c, fmt.Sprint(i))
			l := <-s.loads
			cancel()
			require.ErrorIs(t, (<-r).err, context.Canceled)
			l.error(l.ctx.Err())
		}
	})
}

// Publish before release: as long as values are kept and loads succeed, no key
// is ever loaded twice, however the callers fall between the two steps.
func TestNoGapAndNoDoubleLoadUnderStress(t *testing.T) {
	const keys, callers = 2000, 8
	var loads [keys]atomic.Int32
	c := newCache(func(_ context.Context, key int) (int, error) {
		loads[key].Add(1)
		return key, nil
	}, time.Minute, forAnHour(keys))
	defer c.Close()

	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for key := range keys {
				if v, _, err := c.Get(context.Background(), key); v != key || err != nil {
					t.Errorf("key %d: %d, %v", key, v, err)
				}
			}
		})
	}
	all.Wait()
	for key := range loads {
		require.EqualValues(t, 1, loads[key].Load(), "loads of key %d", key)
	}
	require.Eventually(t, func() bool { return c.flights.Len() == 0 }, // callers return before the flight is released
		10*time.Second, time.Millisecond)
}

// Everything at once, without a script: callers that leave, loads that fail
// and panic, values that are not kept. Every caller gets its own key's value
// or an error, and in the end nothing is left.
func TestStormLeavesNothingBehind(t *testing.T) {
	var running atomic.Int64
	c := newCache(stormyLoad(&running), time.Minute,
		shelfOptions[int]{limit: 3, ttl: func(v int) time.Duration { return time.Duration(v%3) * time.Microsecond }})
	var all sync.WaitGroup
	for id := range 8 {
		all.Go(func() {
			for i := range 2000 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i%7)*10*time.Microsecond)
				if v, _, err := c.Get(ctx, (i+id)%5); err == nil && v != (i+id)%5 {
					t.Errorf("key %d: got %d", (i+id)%5, v)
				}
				cancel()
			}
		})
	}
	all.Wait()
	require.Eventually(t, func() bool { return running.Load() == 0 && c.flights.Len() == 0 && c.values.Len() == 0 },
		10*time.Second, time.Millisecond)
	for key := range c.values.Waiting() {
		t.Errorf("somebody still waits for %d", key)
	}
	c.Close()
}

func stormyLoad(running *atomic.Int64) loader[int, int] {
	var n atomic.Int64
	return func(ctx context.Context, key int) (int, error) {
		running.Add(1)
		defer running.Add(-1)
		switch n.Add(1) % 5 {
		case 0:
			return 0, errors.New("failed")
		case 1:
			panic("storm")
		case 2:
			<-ctx.Done()
			return 0, ctx.Err()
		}
		return key, nil
	}
}

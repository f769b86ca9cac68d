package dedup

import (
	"context"
	"errors"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// openFlight makes a flight with one caller that does not wait.
func openFlight(t testing.TB, fs *flights[string, int], key string) *joinResult[string, int] {
	t.Helper()
	j := new(joinResult[string, int])
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	require.NoError(t, fs.join(ctx, &request[string, int]{key: key, do: func(context.Context) (int, error) { return 1, nil }}, j))
	require.NotNil(t, j.created)
	return j
}

// found returns the joinable flight of key.
func found(fs *flights[string, int], key string) *flight[string, int] {
	home := fs.home(key)
	home.mu.Lock()
	defer home.mu.Unlock()
	return home.find(key)
}

// TestCloseComesTooLate: the flight is done before Close locks its shard, so its callers
// keep their result.
func TestCloseComesTooLate(t *testing.T) {
	var fs flights[string, int]
	j := openFlight(t, &fs, "k")
	j.created.run()
	lines := fs.closeAll(errors.New("too late"))
	require.Nil(t, lines.Front())
	require.NoError(t, j.wait(context.Background()))
	require.Equal(t, result[int]{v: 1, got: 1}, j.f.result)
	require.Equal(t, done, j.f.phase)
}

// TestDetachComesTooLate: the flight is done before Forget or Invalidate locks its shard,
// so it does not get into the detached set.
func TestDetachComesTooLate(t *testing.T) {
	c, err := NewCache(func(context.Context, string) (int, error) { return 1, nil }, nil)
	require.NoError(t, err)
	defer c.Close()
	j := openFlight(t, &c.flights, "k")
	j.created.run()
	c.flights.forgetKey("k", math.MaxInt)
	require.Zero(t, c.flights.len())
	require.Equal(t, done, j.f.phase)
	_, ok := c.Peek("k")
	require.True(t, ok)
}

// TestOnlyJoinableFlightsAreFound, also of several flights in one shard.
func TestOnlyJoinableFlightsAreFound(t *testing.T) {
	var fs flights[string, int]
	n := 2 * keepMapUpTo * len(fs.init().list) // more than a map is kept for
	for range 2 {
		results := make([]*joinResult[string, int], n)
		for i := range results {
			results[i] = openFlight(t, &fs, strconv.Itoa(i))
		}
		require.Equal(t, n, fs.len())
		for i, j := range results {
			key := strconv.Itoa(i)
			require.Same(t, j.f, found(&fs, key))
			if i%2 == 0 {
				fs.forgetKey(key, math.MaxInt)
			} else {
				j.created.run()
			}
			require.Nil(t, found(&fs, key))
			require.Equal(t, n-i-1, fs.len())
		}
		for range fs.inFlight {
			require.Fail(t, "it cannot be joined")
		}
		for i := range fs.init().list {
			require.Nil(t, fs.init().list[i].others, "a large map is dropped")
		}
	}
}

// TestAFlightIsUsedAgain if its caller ran it and nobody joined it. Nothing of it is
// kept.
func TestAFlightIsUsedAgain(t *testing.T) {
	var g Group[string, *int]
	var used []*flight[string, *int]
	home := g.flights.home("k")
	do := func(joined bool) {
		_, _, _ = g.Do(context.Background(), "k", func(context.Context) (*int, error) {
			f := home.find("k")
			f.joined = joined
			used = append(used, f)
			return new(int), errors.New("x")
		})
	}
	do(false)
	require.Equal(t, &flight[string, *int]{}, home.spare.Load())
	do(true)
	do(false)
	require.Same(t, used[0], used[1])
	require.NotSame(t, used[1], used[2])
	require.Equal(t, done, used[1].phase)
}

// TestStartedOfAGroup, also of a load that its caller runs.
func TestStartedOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[string, int]
		_, _, err := g.Do(context.Background(), "k", func(context.Context) (int, error) {
			time.Sleep(time.Hour)
			for range 2 {
				for _, info := range g.InFlight() {
					require.Equal(t, FlightInfo{Waiters: 1, Started: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Local()}, info)
				}
			}
			return 1, nil
		})
		require.NoError(t, err)
	})
}

// TestALookupThatAnswersLeavesNothing: the value comes between a caller's lookup and its
// flight.
func TestALookupThatAnswersLeavesNothing(t *testing.T) {
	loads := 0
	c, err := NewCache(func(context.Context, string) (int, error) { loads++; return 0, nil }, nil)
	require.NoError(t, err)
	defer c.Close()
	c.Put("k", 1)
	var j joinResult[string, int]
	require.NoError(t, c.flights.join(context.Background(), &request[string, int]{key: "k"}, &j))
	require.Nil(t, j.f)
	require.Equal(t, answer[int]{v: 1}, *j.answer)
	require.Zero(t, c.flights.len())
	require.NoError(t, c.Close())
	require.NoError(t, c.flights.join(context.Background(), &request[string, int]{key: "k"}, &j))
	require.Equal(t, answer[int]{err: ErrClosed, closed: true}, *j.answer)
	require.Zero(t, c.flights.len())
	require.Zero(t, loads)
}

// TestClockIsPositive also in a bubble: the arithmetic of TTLs relies on it.
func TestClockIsPositive(t *testing.T) {
	require.Positive(t, clock())
	require.Equal(t, int64(never), expiresAt(clock(), never))
	require.Equal(t, int64(3), expiresAt(1, 2))
}

// TestExpiredValuesAreDropped: an entry with an error does not keep a value that cannot
// be served.
func TestExpiredValuesAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := errors.New("the load failed")
		c, err := NewCache(func(context.Context, string) (int, error) { return 0, fail },
			&CacheOptions[string, int]{TTL: time.Second, StaleIfError: time.Second, ErrorTTL: time.Hour})
		require.NoError(t, err)
		defer c.Close()
		c.Put("k", 1)
		time.Sleep(2 * time.Second)
		_, err = c.Get(context.Background(), "k")
		require.Equal(t, fail, err)
		e, ok := c.store.Get("k")
		require.True(t, ok)
		require.Equal(t, &entry[int]{failed: &failure{err: fail, until: e.failed.retry, retry: e.failed.retry}, stored: e.stored, weight: 1}, e)
	})
}

package dedup

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// openFlight makes a flight with one caller, who does not wait.
func openFlight(t testing.TB, fs *flights[string, int], key string) seat[string, int] {
	t.Helper()
	s, err := fs.board(context.Background(), request[string, int]{key: key, do: func(context.Context) (int, error) { return 1, nil }})
	require.NoError(t, err)
	require.True(t, s.made)
	return s
}

// TestEndComesTooLate: Close found the flight in the map, and it landed before
// Close had its mutex. Its callers keep what they have.
func TestEndComesTooLate(t *testing.T) {
	var fs flights[string, int]
	s := openFlight(t, &fs, "k")
	s.f.fly()
	s.f.end(errors.New("too late"))
	require.NoError(t, s.wait(context.Background()))
	require.Equal(t, 1, s.f.v)
	require.NoError(t, s.f.err)
	require.EqualValues(t, 1, s.f.got)
	require.Equal(t, landed, s.f.phase)
}

// TestDetachComesTooLate: the same for Forget and Invalidate, which keep nobody
// in a set that Close would look at.
func TestDetachComesTooLate(t *testing.T) {
	c, err := NewCache(func(context.Context, string) (int, error) { return 1, nil }, nil)
	require.NoError(t, err)
	defer c.Close()
	s := openFlight(t, &c.flights, "k")
	s.f.fly()
	require.False(t, s.f.detach())
	require.Empty(t, c.flights.strays)
	require.Zero(t, c.flights.len())
	_, ok := c.Peek("k")
	require.True(t, ok)
}

// TestFinderTakesOutWhatIsOver: who ended a flight was stopped before he took it
// out of the map. Nobody waits for him.
func TestFinderTakesOutWhatIsOver(t *testing.T) {
	var fs flights[string, int]
	old := openFlight(t, &fs, "k")
	old.f.detach() // and no more
	for range fs.inFlight {
		require.Fail(t, "it cannot be joined")
	}
	young := openFlight(t, &fs, "k")
	require.NotSame(t, old.f, young.f)
	young.f.fly()
	old.f.fly()
	require.Zero(t, fs.len())
}

// TestALookThatAnswersLeavesNothing: the value came between a caller's look and
// his flight.
func TestALookThatAnswersLeavesNothing(t *testing.T) {
	loads := 0
	c, err := NewCache(func(context.Context, string) (int, error) { loads++; return 0, nil }, nil)
	require.NoError(t, err)
	defer c.Close()
	c.Put("k", 1)
	s, err := c.flights.board(context.Background(), request[string, int]{key: "k"})
	require.NoError(t, err)
	require.Nil(t, s.f)
	require.Equal(t, answer[int]{v: 1}, *s.answer)
	require.Zero(t, c.flights.len())
	require.NoError(t, c.Close())
	s, err = c.flights.board(context.Background(), request[string, int]{key: "k"})
	require.NoError(t, err)
	require.Equal(t, answer[int]{err: ErrClosed, closed: true}, *s.answer)
	require.Zero(t, c.flights.len())
	require.Zero(t, loads)
}

// TestClockIsPositive, in a bubble too: the arithmetic of TTLs counts on it.
func TestClockIsPositive(t *testing.T) {
	require.Positive(t, clock())
	require.Equal(t, int64(never), until(clock(), never))
	require.Equal(t, int64(3), until(1, 2))
}

// TestDeadValuesGo: an error that is kept keeps no value that nobody may get.
func TestDeadValuesGo(t *testing.T) {
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
		e, ok := c.shelf.Get("k")
		require.True(t, ok)
		require.Equal(t, &entry[int]{err: fail, retry: e.retry, weight: 1}, e)
	})
}

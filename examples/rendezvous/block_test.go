package main

import (
	"container/list"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// TestPopWaitsForAPush of a client of another loop: clients are spread in turns.
func TestPopWaitsForAPush(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		popper, pusher := dial(t, address), dial(t, address)
		for i := range 50 {
			popper.send("BLPOP", "a", "b", "0")
			s.untilInLine("b", 1)
			require.Equal(t, 1, pusher.do("RPUSH", "b", strconv.Itoa(i)), "the length before anybody is served")
			require.Equal(t, []any{"b", strconv.Itoa(i)}, popper.answer())
		}
		require.Equal(t, 0, pusher.do("EXISTS", "a", "b"))
		require.Zero(t, s.lines.Len(), "nobody is in line")
		require.Zero(t, s.served.Len())
	})
}

// TestFirstComeFirstServed, and each from the end that it asked for.
func TestFirstComeFirstServed(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		var poppers []*wire
		for i := range 4 {
			w := dial(t, address)
			w.send([]string{"BLPOP", "BRPOP"}[i%2], "l", "0")
			s.untilInLine("l", i+1)
			poppers = append(poppers, w)
		}
		require.Equal(t, 5, dial(t, address).do("RPUSH", "l", "a", "b", "c", "d", "e"))
		for i, want := range []string{"a", "e", "b", "d"} {
			require.Equal(t, []any{"l", want}, poppers[i].answer())
		}
		require.Equal(t, "c", dial(t, address).do("LPOP", "l"))
	})
}

// TestPushIsServedBeforeTheNextCommand, even of the same pipeline.
func TestPushIsServedBeforeTheNextCommand(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		popper, pusher := dial(t, address), dial(t, address)
		popper.send("BLPOP", "l", "0")
		s.untilInLine("l", 1)
		pusher.raw("RPUSH l a\r\nLPOP l\r\n")
		require.Equal(t, 1, pusher.answer())
		require.Nil(t, pusher.answer())
		require.Equal(t, []any{"l", "a"}, popper.answer())
	})
}

// TestPipelineBehindAPopWaits with it.
func TestPipelineBehindAPopWaits(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		popper := dial(t, address)
		popper.raw("PING before\r\nBLPOP l 0\r\nPING after\r\n")
		require.Equal(t, "before", popper.answer(), "answered while the pop waits")
		s.untilBlocked(1)
		popper.raw("PING later\r\n")
		dial(t, address).do("RPUSH", "l", "a")
		require.Equal(t, []any{"l", "a"}, popper.answer())
		require.Equal(t, "after", popper.answer())
		require.Equal(t, "later", popper.answer())
	})
}

// TestOtherTypeDoesNotServe: a string is not an element, and the waiter stays in line.
func TestOtherTypeDoesNotServe(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		popper, other := dial(t, address), dial(t, address)
		popper.send("BLPOP", "l", "0")
		s.untilInLine("l", 1)
		require.Equal(t, "OK", other.do("SET", "l", "string"))
		require.Equal(t, 1, other.do("DEL", "l"))
		require.Equal(t, 1, other.do("LPUSH", "l", "a"))
		require.Equal(t, []any{"l", "a"}, popper.answer())
	})
}

// TestClientThatLeftTakesNothing.
func TestClientThatLeftTakesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		popper := dial(t, address)
		popper.send("BLPOP", "l", "m", "0")
		s.untilInLine("m", 1)
		popper.Close()
		s.untilBlocked(0)
		require.Zero(t, s.lines.Len())
		w := dial(t, address)
		require.Equal(t, 1, w.do("RPUSH", "l", "a"))
		require.Equal(t, "a", w.do("LPOP", "l"))
	})
}

// TestServerEndsWhileClientsWait, and lets none of them behind.
func TestServerEndsWhileClientsWait(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		dial(t, address).send("BLPOP", "l", "0")
		dial(t, address).send("SUBSCRIBE", "c")
		dial(t, address).raw("*1\r\n")
		s.untilBlocked(1)
	})
}

// TestPushAgainstTimeout, and against a client that leaves: every value is received once, or
// is still in a list. A client leaves by closing its side: what the server sends after that
// is still received, so that all values can be counted.
func TestPushAgainstTimeoutAndDisconnect(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		rounds := testkit.Scale(300, 60)
		got := make([][]string, 4)
		testkit.Together(len(got)+1, func(i int) {
			if i == len(got) {
				pushAll(dial(t, address), rounds)
				return
			}
			for j := range rounds {
				w := dial(t, address)
				switch {
				case i%2 == 0: // times out about when something is pushed
					w.send("BLPOP", "a", "b", fmt.Sprintf("0.000%d", 1+j%9))
				default:
					w.send("BRPOP", "b", "a", "0")
					w.CloseWrite()
				}
				if v, err := answer(w.in); err == nil && v != nil {
					got[i] = append(got[i], v.([]any)[1].(string))
				}
				w.Close()
			}
		})
		s.untilBlocked(0)
		all := slices.Concat(got...)
		rest := dial(t, address)
		for _, key := range []string{"a", "b"} {
			left, _ := rest.do("LPOP", key, "1000000").([]any)
			for _, v := range left {
				all = append(all, v.(string))
			}
		}
		require.Len(t, all, 2*rounds)
		slices.Sort(all)
		require.Len(t, slices.Compact(all), 2*rounds)
		require.Zero(t, s.lines.Len())
		require.Zero(t, s.served.Len())
	})
}

// pushAll pushes different values to two lists in turns.
func pushAll(w *wire, n int) {
	for i := range n {
		w.do("RPUSH", "a", fmt.Sprint("a", i))
		w.do("LPUSH", "b", fmt.Sprint("b", i))
	}
}

// TestElementsAreConserved: waiters of several keys, of which some time out and some are
// canceled, on two loops and in goroutines. Each element is taken once or stays.
func TestElementsAreConserved(t *testing.T) {
	starts := []func(context.Context, func(context.Context)) error{wake.Go, wake.Go}
	if uringwake.Supported() == nil {
		loops, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: 2})
		require.NoError(t, err)
		defer func() { require.NoError(t, loops.Close(context.Background())) }()
		starts = append(starts, loops.Loops()[0].Go, loops.Loops()[1].Go)
	}
	var db database
	var taken [16]int
	var running waitgroup.Group
	keys := []string{"a", "b", "c"}
	rounds := testkit.Scale(1000, 100)
	for i := range taken {
		running.Add(1)
		require.NoError(t, starts[i%len(starts)](t.Context(), func(ctx context.Context) {
			defer running.Done()
			for j := range rounds {
				taken[i] += takeOne(ctx, &db, uint64(i), keys[j%3:], end(j%2 == 0), j)
			}
		}))
	}
	pushed := 0
	for i := 0; running.Count() > 0; i++ {
		n, err := db.length(keys[i%3])
		require.NoError(t, err)
		if n > 0 { // most are to wait
			runtime.Gosched()
			continue
		}
		_, err = db.push(keys[i%3], end(i%5 == 0), [][]byte{{1}})
		require.NoError(t, err)
		pushed++
	}
	left := 0
	for _, key := range keys {
		n, err := db.length(key)
		require.NoError(t, err)
		left += n
	}
	sum := 0
	for _, n := range taken {
		sum += n
	}
	require.Equal(t, pushed, left+sum)
	t.Logf("taken: %d of %d pushed, in %d tries", sum, pushed, len(taken)*rounds)
	require.Zero(t, db.lines.Len())
	require.Zero(t, db.served.Len())
}

// takeOne waits for an element of keys, for no time, a short time, or until a cancel that
// comes soon. It returns how many it took.
func takeOne(ctx context.Context, db *database, number uint64, keys []string, at end, j int) int {
	limit := time.Duration(1 + j%50*1000)
	if j%3 == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
		limit = 0
	}
	if _, ok := db.waitAny(ctx, number, keys, at, limit); ok {
		return 1
	}
	return 0
}

// TestWaiterThatWasServedTakesNoMore: it is handed an element of its first key before it gets
// in line for the second one, which has an element too.
func TestWaiterThatWasServedTakesNoMore(t *testing.T) {
	var db database
	w := &waiter{number: 7, at: left, places: make(map[string]*list.Element)}
	_, ok := db.enter("a", w)
	require.False(t, ok)
	for _, key := range []string{"a", "b"} {
		_, err := db.push(key, left, [][]byte{[]byte(key)})
		require.NoError(t, err)
	}
	_, ok = db.enter("b", w)
	require.False(t, ok)
	db.leave(w)
	e, err := db.served.Take(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, element{"a", []byte("a")}, e)
	n, err := db.length("b")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// A lostStream is a connection on which nothing can be read: the client leaves when
// something has happened.
type lostStream struct{ until func() }

func (s lostStream) ReadContext(context.Context, []byte) (int, error) { s.until(); return 0, io.EOF }
func (s lostStream) WriteContext(_ context.Context, p []byte) (int, error) {
	return len(p), nil
}
func (s lostStream) Close() error { return nil }

// TestElementForAClientThatHasLeftIsPutBack, where it was.
func TestElementForAClientThatHasLeftIsPutBack(t *testing.T) {
	for _, at := range []end{left, right} {
		s := new(server)
		c := s.newClient(lostStream{func() {
			s.untilInLine("l", 1)
			_, err := s.push("l", right, [][]byte{{1}, {2}, {3}})
			require.NoError(t, err)
		}})
		_, ok := c.await(t.Context(), []string{"l"}, at, 0)
		require.False(t, ok)
		require.ErrorIs(t, c.lost, io.EOF)
		items, _, err := s.pop("l", left, 9)
		require.NoError(t, err)
		require.Equal(t, [][]byte{{1}, {2}, {3}}, items)
	}
}

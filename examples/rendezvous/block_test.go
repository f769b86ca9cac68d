package main

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// TestPopWaitsForAPush of a client of another loop: clients are spread in turns.
func TestPopWaitsForAPush(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		popper, pusher := dial(t, address), dial(t, address)
		for i := range 50 {
			popper.send("BLPOP", "a", "b", "0")
			s.untilBlocked(1)
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
		s.untilBlocked(1)
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
		s.untilBlocked(1)
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

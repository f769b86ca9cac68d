package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestSubscribe(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		sub, pub := dial(t, address), dial(t, address)
		sub.send("SUBSCRIBE", "a", "b", "a")
		for i, channel := range []string{"a", "b", "a"} {
			require.Equal(t, []any{"subscribe", channel, min(i+1, 2)}, sub.answer())
		}
		require.Equal(t, 1, pub.do("PUBLISH", "a", "hello"))
		require.Equal(t, []any{"message", "a", "hello"}, sub.answer())
		require.Equal(t, refused("ERR Can't execute 'get': only SUBSCRIBE / UNSUBSCRIBE / PING / QUIT are allowed in this context"), sub.do("GET", "a"))
		require.Equal(t, []any{"pong", ""}, sub.do("PING"))
		require.Equal(t, []any{"pong", "x"}, sub.do("PING", "x"))
		require.Equal(t, []any{"unsubscribe", "a", 1}, sub.do("UNSUBSCRIBE", "a"))
		require.Equal(t, 0, pub.do("PUBLISH", "a", "hello"))
		require.Equal(t, []any{"unsubscribe", "b", 0}, sub.do("UNSUBSCRIBE"))
		require.Nil(t, sub.do("GET", "a"), "an ordinary client again")
		require.Equal(t, []any{"subscribe", "a", 1}, sub.do("SUBSCRIBE", "a"))
		require.Equal(t, "OK", sub.do("QUIT"))
		sub.ended()
		testkit.SpinUntil(func() bool { return s.channels.Len() == 0 })
	})
}

func TestSubscriberOfVersion3(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		sub, pub := dial(t, address), dial(t, address)
		sub.do("HELLO", "3")
		require.Equal(t, pushed{"subscribe", "a", 1}, sub.do("SUBSCRIBE", "a"))
		require.Equal(t, "OK", sub.do("SET", "key", "v"), "it may send other commands")
		sub.send("BLPOP", "l", "0")
		s.untilBlocked(1)
		require.Equal(t, 1, pub.do("PUBLISH", "a", "meanwhile"))
		require.Equal(t, pushed{"message", "a", "meanwhile"}, sub.answer())
		pub.do("RPUSH", "l", "x")
		require.Equal(t, []any{"l", "x"}, sub.answer())
	})
}

// TestMessagesComeInOrder, behind the answer that says that the client is subscribed and
// before the one that says that it is not, while publishers of both loops publish.
func TestMessagesComeInOrder(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		const publishers = 2
		n := testkit.Scale(1000, 200)
		sub := dial(t, address)
		received := make(chan map[string]int, 1)
		go func() {
			next := map[string]int{}
			defer func() { received <- next }()
			for done := 0; done < publishers; {
				v, err := answer(sub.in)
				if err != nil {
					return
				}
				if m := v.([]any); m[0] == "message" {
					who, i, _ := strings.Cut(m[2].(string), " ")
					if i == strconv.Itoa(next[who]) {
						next[who]++
					}
					if next[who] == n {
						done++
					}
				}
			}
		}()
		sub.send("SUBSCRIBE", "c")
		testkit.SpinUntil(func() bool { return s.channels.Len() == 1 })
		testkit.Together(publishers, func(p int) {
			w := dial(t, address)
			for i := range n {
				w.send("PUBLISH", "c", fmt.Sprint(p, " ", i))
			}
			for range n {
				require.Equal(t, 1, w.answer())
			}
		})
		require.Equal(t, map[string]int{"0": n, "1": n}, <-received)
	})
}

// TestSubscriberThatDoesNotRead is disconnected, and nobody waits for it.
func TestSubscriberThatDoesNotRead(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		sub, pub := dial(t, address), dial(t, address)
		require.Equal(t, []any{"subscribe", "c", 1}, sub.do("SUBSCRIBE", "c"))
		message := strings.Repeat("x", 2<<20)
		for i := 0; pub.do("PUBLISH", "c", message) == 1; i++ {
			require.Less(t, i, 100)
		}
		testkit.SpinUntil(func() bool { return s.channels.Len() == 0 && s.clients.Count() == 1 })
	})
}

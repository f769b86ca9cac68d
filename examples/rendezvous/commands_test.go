package main

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

const wrongType = refused("WRONGTYPE Operation against a key holding the wrong kind of value")

// session is what a client sends, and the answers in version 2 of the protocol.
var session = []struct {
	send   string
	answer any
}{
	{"PING", "PONG"},
	{"ping hello", "hello"},
	{"PING a b", refused("ERR wrong number of arguments for 'ping' command")},
	{"ECHO hello", "hello"},
	{"ECHO", refused("ERR wrong number of arguments for 'echo' command")},
	{"SELECT 0", "OK"},
	{"SELECT 1", refused("ERR DB index is out of range")},
	{"GET a", nil},
	{"SET a 1", "OK"},
	{"GET a", "1"},
	{"SET a 2 NX", nil},
	{"SET a 2 XX", "OK"},
	{"SET b 2 xx", nil},
	{"SET b 2 nx", "OK"},
	{"SET b 2 NX XX", refused("ERR syntax error")},
	{"SET b 2 EX", refused("ERR syntax error")},
	{"SET b 2 EX 0", refused("ERR invalid expire time in 'set' command")},
	{"SET b 2 PX 9223372036854775807", refused("ERR invalid expire time in 'set' command")},
	{"SET b 2 EX x", refused("ERR value is not an integer or out of range")},
	{"SET b 2 EX 10 PX 10", refused("ERR syntax error")},
	{"SET b 2 PX 10000 NX", nil},
	{"INCR a", 3},
	{"INCR new", 1},
	{"GET new", "1"},
	{"SET a 9223372036854775807", "OK"},
	{"INCR a", refused("ERR increment or decrement would overflow")},
	{"SET a 007", "OK"},
	{"INCR a", refused("ERR value is not an integer or out of range")},
	{"EXISTS a b a none", 3},
	{"DEL a b none", 2},
	{"EXISTS a b", 0},
	{"LPUSH l b a", 2},
	{"RPUSH l c d e", 5},
	{"LLEN l", 5},
	{"GET l", wrongType},
	{"INCR l", wrongType},
	{"LPOP l", "a"},
	{"RPOP l", "e"},
	{"LPOP l 2", []any{"b", "c"}},
	{"LPOP l 0", []any{}},
	{"LPOP l -1", refused("ERR value is out of range, must be positive")},
	{"LPOP l 1 1", refused("ERR wrong number of arguments for 'lpop' command")},
	{"RPOP l 10", []any{"d"}},
	{"EXISTS l", 0},
	{"LPOP l", nil},
	{"LPOP l 1", nil},
	{"LLEN l", 0},
	{"SET s 1", "OK"},
	{"LPUSH s 1", wrongType},
	{"LPOP s", wrongType},
	{"LLEN s", wrongType},
	{"BLPOP none s 1", wrongType},
	{"RPUSH l x", 1},
	{"SET l string", "OK"},
	{"GET l", "string"},
	{"BLPOP none 0.001", nil},
	{"BLPOP none -1", refused("ERR timeout is negative")},
	{"BLPOP none x", refused("ERR timeout is not a float or out of range")},
	{"RPUSH q 1 2", 2},
	{"BRPOP none q 0", []any{"q", "2"}},
	{"BLPOP none q 0", []any{"q", "1"}},
	{"PUBLISH nobody hello", 0},
	{"UNSUBSCRIBE", []any{"unsubscribe", nil, 0}},
	{"CLIENT SETINFO LIB-NAME test", "OK"},
	{"CLIENT SETNAME me", "OK"},
	{"CLIENT GETNAME", "me"},
	{"CLIENT KILL", refused("ERR unknown subcommand or wrong number of arguments for 'client|KILL' command")},
	{"CONFIG GET save", []any{"save", ""}},
	{"CONFIG GET nothing", []any{}},
	{"COMMAND COUNT", 24},
	{"COMMAND DOCS", []any{}},
	{"COMMAND INFO get none", []any{[]any{"get", 2, []any{}, 1, 1, 1}, nil}},
	{"HELLO 4", refused("NOPROTO unsupported protocol version")},
	{"HELLO x", refused("ERR Protocol version is not an integer or out of range")},
	{"HELLO 2 AUTH", refused("ERR Syntax error in HELLO option 'AUTH'")},
	{"FLY to moon", refused("ERR unknown command 'FLY', with args beginning with: 'to' 'moon' ")},
	{"QUIT", "OK"},
}

func TestSession(t *testing.T) {
	eachKind(t, func(t *testing.T, _ *server, address string) {
		w := dial(t, address)
		for _, step := range session {
			require.Equal(t, step.answer, w.do(strings.Fields(step.send)...), step.send)
		}
		w.ended()
	})
}

// TestPipeline: all commands at once, as lines, are answered in order, the ones behind a
// command that waits too.
func TestPipeline(t *testing.T) {
	eachKind(t, func(t *testing.T, _ *server, address string) {
		w := dial(t, address)
		var all strings.Builder
		for _, step := range session {
			all.WriteString(step.send + "\r\n")
		}
		w.raw(all.String() + "PING behind QUIT\r\n")
		for _, step := range session {
			require.Equal(t, step.answer, w.answer(), step.send)
		}
		w.ended()
	})
}

// TestSplit: it does not matter in which parts a command arrives.
func TestSplit(t *testing.T) {
	eachKind(t, func(t *testing.T, s *server, address string) {
		w, other := dial(t, address), dial(t, address)
		text := command2("RPUSH", "l", "a\r\nb") + "LLEN l\r\n" + command2("BLPOP", "l", "0")
		for i := range len(text) {
			w.raw(text[:i])
			other.do("PING") // meanwhile the first part arrives
			w.raw(text[i:])
			require.Equal(t, []any{1, 1, []any{"l", "a\r\nb"}}, []any{w.answer(), w.answer(), w.answer()})
		}
	})
}

func TestVersion3(t *testing.T) {
	eachKind(t, func(t *testing.T, _ *server, address string) {
		w := dial(t, address)
		hello := w.do("HELLO", "3", "SETNAME", "me").(map[string]any)
		require.Equal(t, 3, hello["proto"])
		require.Equal(t, "redis", hello["server"])
		require.Equal(t, "me", w.do("CLIENT", "GETNAME"))
		w.send("GET", "none")
		line, err := w.in.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "_\r\n", line)
		w.send("BLPOP", "none", "0.001")
		line, err = w.in.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "_\r\n", line)
		require.Equal(t, map[string]any{"save": "", "appendonly": "no"}, w.do("CONFIG", "GET", "save", "appendonly"))
		require.Len(t, w.do("HELLO", "2"), 14, "an array again")
	})
}

func TestExpiry(t *testing.T) {
	s := new(server)
	soon := time.Now().Add(time.Millisecond)
	s.set("a", &value{text: []byte("1"), expires: soon}, always)
	s.set("b", &value{text: []byte("1"), expires: soon}, always)
	s.set("c", &value{text: []byte("1"), expires: time.Now().Add(time.Hour)}, always)
	testkit.SpinUntil(func() bool { return time.Now().After(soon) })
	_, ok, err := s.get("a")
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, 2, s.values.Len(), "who sees that it has expired deletes it")
	require.True(t, s.set("b", &value{text: []byte("2")}, ifAbsent))
	n, err := s.increment("c")
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	v, _ := s.find("c")
	require.False(t, v.expires.IsZero(), "INCR keeps the time")
	require.True(t, s.remove("c"))
}

func TestProtocolErrors(t *testing.T) {
	eachKind(t, func(t *testing.T, _ *server, address string) {
		for send, want := range map[string]string{
			"*1\r\n:1\r\n":                               "expected '$', got ':'",
			"*x\r\n":                                     "invalid multibulk length",
			"*1048577\r\n":                               "invalid multibulk length",
			"*1\r\n$-1\r\n":                              "invalid bulk length",
			"*1\r\n$99999999999\r\n":                     "invalid bulk length",
			fmt.Sprintf("*1\r\n$%d\r\n", maxBulk+1):      "invalid bulk length",
			"GET \"a\r\n":                                "unbalanced quotes in request",
			strings.Repeat("a", maxInline+1):             "too big inline request",
			"*" + strings.Repeat("1", maxInline+1):       "too big mbulk count string",
			"*1\r\n$" + strings.Repeat("1", maxInline+1): "too big bulk count string",
		} {
			w := dial(t, address)
			w.raw("PING\r\n" + send)
			require.Equal(t, "PONG", w.answer())
			require.Equal(t, refused("ERR Protocol error: "+want), w.answer(), "%.20q", send)
			w.in.ReadByte() // EOF, or a reset because not all was read
		}
	})
}

// TestLargeValues pass, and many of them in one pipeline are answered.
func TestLargeValues(t *testing.T) {
	eachKind(t, func(t *testing.T, _ *server, address string) {
		w := dial(t, address)
		large := strings.Repeat("0123456789abcdef", 200_000) // 3 MB
		require.Equal(t, "OK", w.do("SET", "large", large))
		go io.WriteString(w.TCPConn, strings.Repeat("GET large\r\n", 5))
		for range 5 {
			require.Equal(t, large, w.answer())
		}
	})
}

// TestInfo counts.
func TestInfo(t *testing.T) {
	eachKind(t, func(t *testing.T, _ *server, address string) {
		w := dial(t, address)
		w.do("SET", "a", "1")
		info := w.do("INFO").(string)
		require.Contains(t, info, "connected_clients:1\r\n")
		require.Contains(t, info, "total_commands_processed:1\r\n")
		require.Contains(t, info, "db0:keys=1\r\n")
	})
}

func TestDeque(t *testing.T) {
	var d deque
	var model []byte
	for i := range 3000 {
		b, at := byte(i), end(i%3 == 0)
		switch {
		case i/500%2 == 0 && at == left:
			d.push(at, []byte{b})
			model = append([]byte{b}, model...)
		case i/500%2 == 0:
			d.push(at, []byte{b})
			model = append(model, b)
		case d.len() == 0:
		case at == left:
			require.Equal(t, model[:1], d.pop(at))
			model = model[1:]
		default:
			require.Equal(t, model[len(model)-1:], d.pop(at))
			model = model[:len(model)-1]
		}
		require.Equal(t, len(model), d.len())
	}
}

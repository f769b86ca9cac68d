package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/examples/internal/child"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
)

func TestMain(m *testing.M) {
	if os.Getenv(child.Variable) != "" {
		main() // a server of a comparison
	}
	testkit.Main(m)
}

// serve starts a server with two loops, or with goroutines, for the time of the test.
func serve(t *testing.T, goroutines bool) (s *server, address string) {
	ctx, cancel := context.WithCancel(t.Context())
	s = newServer(log.New(io.Discard, "", 0))
	ready, ended := make(chan string, 1), make(chan error, 1)
	cfg := &config{addr: "127.0.0.1:0", loops: 2, net: goroutines, supported: uringwake.Supported}
	go func() {
		ended <- s.listenAndServe(ctx, cfg, func(a net.Addr, _ string) { ready <- a.String() })
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		require.Zero(t, s.clients.Count())
	})
	select {
	case address = <-ready:
	case err := <-ended:
		require.NoError(t, err)
	}
	return s, address
}

// eachKind runs a test with tasks, where there is io_uring, and with goroutines.
func eachKind(t *testing.T, test func(t *testing.T, s *server, address string)) {
	for name, goroutines := range map[string]bool{"tasks": false, "goroutines": true} {
		t.Run(name, func(t *testing.T) {
			if err := uringwake.Supported(); err != nil && !goroutines {
				t.Skip(err)
			}
			s, address := serve(t, goroutines)
			test(t, s, address)
		})
	}
}

// A wire is a client of the test.
type wire struct {
	*testing.T
	*net.TCPConn
	in *bufio.Reader
}

func dial(t *testing.T, address string) *wire {
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &wire{t, conn.(*net.TCPConn), bufio.NewReader(conn)}
}

// command is words as an array of bulk strings.
func command2(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	return b.String()
}

func (w *wire) send(words ...string) { w.raw(command2(words...)) }

func (w *wire) raw(s string) {
	_, err := io.WriteString(w.TCPConn, s)
	require.NoError(w, err)
}

// do sends a command and returns the answer.
func (w *wire) do(words ...string) any {
	w.send(words...)
	return w.answer()
}

func (w *wire) answer() any {
	v, err := answer(w.in)
	require.NoError(w, err)
	return v
}

// A refused is an answer that is an error, and pushed an array that answers nothing.
type (
	refused string
	pushed  []any
)

// answer reads an answer: a string, an int, a refused, nil, or several of these.
func answer(in *bufio.Reader) (any, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimSuffix(line, "\r\n")
	n, bad := strconv.Atoi(line[1:])
	switch line[0] {
	case '+':
		return line[1:], nil
	case '-':
		return refused(line[1:]), nil
	case '_':
		return nil, nil
	case ':':
		return n, bad
	case '$':
		return bulk(in, n)
	case '*', '>':
		list, err := answers(in, n)
		if line[0] == '>' && err == nil {
			return pushed(list), nil
		}
		if n < 0 {
			return nil, err
		}
		return list, err
	case '%':
		return fields(in, n)
	}
	return nil, errors.New("what is " + line)
}

func bulk(in *bufio.Reader, n int) (any, error) {
	if n < 0 {
		return nil, nil
	}
	b := make([]byte, n+2)
	_, err := io.ReadFull(in, b)
	if err == nil && !bytes.HasSuffix(b, []byte("\r\n")) {
		err = errors.New("no end of a string")
	}
	return string(b[:n]), err
}

func answers(in *bufio.Reader, n int) (list []any, err error) {
	list = []any{}
	for range n {
		v, err := answer(in)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func fields(in *bufio.Reader, n int) (any, error) {
	list, err := answers(in, 2*n)
	m := map[string]any{}
	for i := 0; i < len(list); i += 2 {
		m[list[i].(string)] = list[i+1]
	}
	return m, err
}

// ended requires that the server has closed the connection.
func (w *wire) ended() {
	_, err := w.in.ReadByte()
	require.ErrorIs(w, err, io.EOF)
}

// untilBlocked returns when so many clients wait.
func (s *server) untilBlocked(n int64) {
	testkit.SpinUntil(func() bool { return s.blocked.Load() == n })
}

// untilInLine returns when so many wait for the list of key.
func (s *server) untilInLine(key string, n int) {
	testkit.SpinUntil(func() bool { return s.inLine(key) == n })
}

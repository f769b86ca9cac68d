package programs_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/uringwake"
)

var control = flag.Bool("control", false, "also run the programs on package net: do the tests themselves hold?")

// TestMain fails the run if any test left a goroutine behind.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := uringwake.Supported(); err != nil && !*control {
		fmt.Println("skipped:", err)
		os.Exit(0)
	}
	flag.Set("test.parallel", "16") // most of them wait most of the time
	goleak.VerifyTestMain(m)
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// A world has the two functions through which the programs get their connections.
type world struct {
	name   string
	listen func(ctx context.Context, network, address string) (net.Listener, error)
	dial   dialFunc
	adopt  func(f *os.File) (net.Conn, error) // as net.FileConn
}

// inWorlds runs f once in each world, all at the same time.
func inWorlds(t *testing.T, f func(t *testing.T, w world)) {
	for _, w := range worlds(t) {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			f(t, w)
		})
	}
}

// newListener returns a listener that is closed when the test has ended. An address of
// the network is chosen by the kernel, or is a file of the test's.
func (w world) newListener(t *testing.T, network string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = socketDir(t) + "/socket"
	}
	l, err := w.listen(t.Context(), network, address)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// socketDir returns a new folder whose name is short enough for a socket's address.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "programs")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// dialer returns a dial function for the listener, whatever it is told to dial.
func (w world) dialer(l net.Listener) dialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return w.dial(ctx, l.Addr().Network(), l.Addr().String())
	}
}

// pair returns the two ends of a connection, which are closed when the test has ended.
func (w world) pair(t *testing.T, network string) (client, server net.Conn) {
	t.Helper()
	l := w.newListener(t, network)
	client, err := w.dialer(l)(t.Context(), "", "")
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	return client, server
}

// eventually waits for a condition that no channel tells of.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, time.Minute, time.Millisecond, what)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/examples/internal/child"
	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
)

func TestMain(m *testing.M) {
	if os.Getenv(child.Variable) != "" {
		main() // a server that a test compares
	}
	testkit.Main(m)
}

// TestEcho: what clients send at the same time comes back to each of them, and a server
// ends while clients are connected.
func TestEcho(t *testing.T) {
	for name, serve := range map[string]func(context.Context, *config, func(net.Addr)) error{"tasks": serveTasks, "goroutines": serveGoroutines} {
		t.Run(name, func(t *testing.T) {
			if err := uringwake.Supported(); err != nil && name == "tasks" {
				t.Skip(err)
			}
			cfg, err := parse([]string{"-addr", "127.0.0.1:0", "-loops", "2"})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			address, ended := make(chan net.Addr, 1), make(chan error, 1)
			go func() { ended <- serve(ctx, cfg, func(a net.Addr) { address <- a }) }()
			to := (<-address).String()
			testkit.Together(8, func(i int) {
				conn, err := net.Dial("tcp", to)
				require.NoError(t, err)
				sent := bytes.Repeat([]byte{byte(i), 'x', '\n'}, 10_000*(i+1))
				go func() {
					conn.Write(sent)
					conn.(*net.TCPConn).CloseWrite()
				}()
				got, err := io.ReadAll(conn)
				require.NoError(t, err)
				require.Equal(t, sent, got)
				conn.Close()
			})
			idle, err := net.Dial("tcp", to)
			require.NoError(t, err)
			defer idle.Close()
			cancel()
			require.NoError(t, <-ended)
		})
	}
}

func TestCompare(t *testing.T) {
	var stdout, stderr bytes.Buffer
	status := program.Run(t.Context(), []string{"-peer", "-plain", "-duration=200ms", "-connections=5", "-pipeline=3"}, &stdout, &stderr)
	require.Zero(t, status, stderr.String())
	require.Contains(t, stdout.String(), "goroutines, net")
	if uringwake.Supported() == nil {
		require.Contains(t, stdout.String(), "tasks, ")
	}
	for line := range strings.Lines(stdout.String()) {
		require.LessOrEqual(t, len([]rune(line)), 81, line)
	}
}

func TestWithoutRings(t *testing.T) {
	cfg, err := parse([]string{"-peer", "-duration=100ms", "-connections=1"})
	require.NoError(t, err)
	cfg.supported = func() error { return errors.New("no rings today") }
	var stdout bytes.Buffer
	require.NoError(t, work(t.Context(), cfg, &stdout, io.Discard))
	require.Contains(t, stdout.String(), "io_uring cannot be used here: no rings today\nSo only package net is measured.\n")
	require.NotContains(t, stdout.String(), "tasks")
	cfg.peer = false
	stdout.Reset()
	require.NoError(t, work(t.Context(), cfg, &stdout, io.Discard))
	require.Equal(t, "io_uring cannot be used here: no rings today\n-net serves by goroutines.\n", stdout.String())
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("a signal"))
	var stderr bytes.Buffer
	require.Equal(t, cli.Failed, program.Run(ctx, []string{"-peer"}, io.Discard, &stderr))
}

func TestFlags(t *testing.T) {
	for _, bad := range []string{"-addr=x", "-addr=:x", "-loops=0", "-connections=0", "-size=0", "-pipeline=0", "-duration=1ms", "-size=1048576 -pipeline=2", "x"} {
		_, err := parse(strings.Fields(bad))
		require.Error(t, err, bad)
	}
	require.Contains(t, help(), "-connections")
	for line := range strings.Lines(help()) {
		require.LessOrEqual(t, len(line), 81, line)
	}
}

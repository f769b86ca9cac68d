package uringnet_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

var bg = context.Background()

// A world runs code: in goroutines, or in tasks of a loop.
type world struct {
	t    *testing.T
	loop *uringwake.Loop // nil: goroutines
}

// inWorlds runs a test in goroutines and in tasks.
func inWorlds(t *testing.T, f func(t *testing.T, w world)) {
	t.Run("goroutines", func(t *testing.T) { skipWithoutRing(t); f(t, world{t, nil}) })
	t.Run("tasks", func(t *testing.T) { f(t, world{t, newLoop(t)}) })
}

func skipWithoutRing(t testing.TB) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
}

func newLoop(t testing.TB) *uringwake.Loop {
	skipWithoutRing(t)
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{SpinFor: -1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(bg)) })
	return l
}

// start runs f, and returns a channel that is closed when f has returned.
func (w world) start(f func(ctx context.Context)) <-chan struct{} {
	done := make(chan struct{})
	g := func(ctx context.Context) { defer close(done); f(ctx) }
	if w.loop == nil {
		go g(bg)
	} else {
		require.NoError(w.t, w.loop.Go(bg, g))
	}
	return done
}

// do runs f and waits until it has returned.
func (w world) do(f func(ctx context.Context)) { <-w.start(f) }

var networks = []string{"tcp", "tcp4", "tcp6", "unix", "unixpacket"}

// address returns an address to listen on.
func address(t testing.TB, network string) string {
	switch network {
	case "tcp", "tcp4":
		return "127.0.0.1:0"
	case "tcp6":
		if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
			t.Skip(err)
		} else {
			l.Close()
		}
		return "[::1]:0"
	}
	return filepath.Join(t.TempDir(), "s")
}

func listen(t testing.TB, network string) *uringnet.Listener {
	skipWithoutRing(t)
	l, err := uringnet.Listen(bg, network, address(t, network))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// pair returns the ends of a connection. They are made in a goroutine.
func pair(t testing.TB, network string) (a, b *uringnet.Conn) {
	l := listen(t, network)
	accepted := make(chan *uringnet.Conn, 1)
	go func() {
		c, err := l.AcceptContext(bg)
		if err != nil {
			c = nil
		}
		accepted <- c
	}()
	a, err := uringnet.Dial(bg, network, l.Addr().String())
	require.NoError(t, err)
	b = <-accepted
	require.NotNil(t, b)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

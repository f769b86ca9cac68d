package uringnet_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// packetWorlds runs f in a goroutine and in a task.
func packetWorlds(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	t.Run("goroutine", func(t *testing.T) { f(t, context.Background()) })
	t.Run("task", func(t *testing.T) {
		l, err := uringwake.NewLoop(nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
		over := make(chan struct{})
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			defer close(over)
			f(t, ctx)
		}))
		<-over
	})
}

// beside runs f in another task of the loop, or another goroutine. The result waits for
// the end of f.
func beside(t *testing.T, ctx context.Context, f func(ctx context.Context)) (wait func()) {
	g := new(waitgroup.Group)
	g.Add(1)
	require.NoError(t, wake.Go(ctx, func(ctx context.Context) {
		defer g.Done()
		f(ctx)
	}))
	return func() { require.NoError(t, g.Wait(ctx)) }
}

// packetAddress returns an address to listen at.
func packetAddress(t *testing.T, network string) string {
	switch network {
	case "unixgram":
		return filepath.Join(t.TempDir(), "socket")
	case "udp6":
		return "[::1]:0"
	}
	return "127.0.0.1:0"
}

// eachPacket runs f for each network in a goroutine and in a task, with two sockets.
func eachPacket(t *testing.T, f func(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn)) {
	for _, network := range []string{"udp", "udp4", "udp6", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			skipWithoutIPv6(t, network)
			packetWorlds(t, func(t *testing.T, ctx context.Context) {
				f(t, ctx, listenPacket(t, ctx, network), listenPacket(t, ctx, network))
			})
		})
	}
}

func skipWithoutIPv6(t *testing.T, network string) {
	if network != "udp6" {
		return
	}
	c, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	c.Close()
}

// listenPacket returns a socket that is closed at the end of the test.
func listenPacket(t *testing.T, ctx context.Context, network string) *uringnet.PacketConn {
	return listenPacketAt(t, ctx, network, packetAddress(t, network))
}

func listenPacketAt(t *testing.T, ctx context.Context, network, address string) *uringnet.PacketConn {
	c, err := uringnet.ListenPacket(ctx, network, address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

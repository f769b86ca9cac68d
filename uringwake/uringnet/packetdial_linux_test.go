package uringnet_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// dialPacket returns a socket that is connected to an address, and is closed at the end of
// the test.
func dialPacket(t *testing.T, ctx context.Context, to net.Addr) *uringnet.Conn {
	c, err := uringnet.Dial(ctx, to.Network(), to.String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestDialPacketEcho(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, _ *uringnet.PacketConn) {
		c := dialPacket(t, ctx, a.LocalAddr())
		require.Equal(t, a.LocalAddr().String(), c.RemoteAddr().String())
		p := make([]byte, 100)
		for _, word := range []string{"one", "", "three"} {
			n, err := c.Write([]byte(word))
			require.NoError(t, err)
			require.Equal(t, len(word), n)
			n, from, err := a.ReadFrom(p)
			require.NoError(t, err)
			require.Equal(t, word, string(p[:n]))
			if from == nil { // a Unix socket without a name
				continue
			}
			require.Equal(t, c.LocalAddr().String(), from.String())
			_, err = a.WriteTo([]byte(word+word), from)
			require.NoError(t, err)
			n, err = c.Read(p[:4])
			require.NoError(t, err) // of an empty datagram too
			require.Equal(t, min(4, 2*len(word)), n)
		}
	})
}

// TestDialContextPacket: what a Dialer makes is both a net.Conn and a net.PacketConn, as
// net.Resolver needs it.
func TestDialContextPacket(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, _ *uringnet.PacketConn) {
		d := uringnet.Dialer{Timeout: time.Hour}
		dialed, err := d.DialContext(ctx, a.LocalAddr().Network(), a.LocalAddr().String())
		require.NoError(t, err)
		defer dialed.Close()
		c, p := dialed.(*uringnet.PacketConn), make([]byte, 10)
		require.Equal(t, a.LocalAddr().String(), c.RemoteAddr().String())
		_, err = c.Write([]byte("one"))
		require.NoError(t, err)
		n, from, err := a.ReadFrom(p)
		require.NoError(t, err)
		require.Equal(t, "one", string(p[:n]))
		if from != nil { // not a Unix socket without a name
			for range 2 {
				_, err = a.WriteTo([]byte("two"), from)
				require.NoError(t, err)
			}
			n, err = c.ReadContext(ctx, p)
			require.NoError(t, err)
			require.Equal(t, "two", string(p[:n]))
			_, from, err = c.ReadFrom(p)
			require.NoError(t, err)
			require.Equal(t, a.LocalAddr().String(), from.String())
		}
		for _, to := range []net.Addr{a.LocalAddr(), nil} {
			_, err = c.WriteTo(p, to)
			require.ErrorIs(t, err, net.ErrWriteToConnected)
		}
		_, err = c.WriteToUDPAddrPort(p, netip.MustParseAddrPort("127.0.0.1:1"))
		require.ErrorIs(t, err, net.ErrWriteToConnected)
		_, _, err = c.WriteMsgUDP([]byte("three"), nil, nil)
		require.NoError(t, err)
		n, _, err = a.ReadFrom(p)
		require.NoError(t, err)
		require.Equal(t, "three", string(p[:n]))

		require.Nil(t, a.RemoteAddr())
		_, err = a.Write(p)
		requireOpError(t, err, "write", a)
		_, err = c.WriteContext(ctx, p[:1])
		require.NoError(t, err)
		n, err = a.Read(p)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// TestDialPacketVector: several buffers are one datagram.
func TestDialPacketVector(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, _ *uringnet.PacketConn) {
		c := dialPacket(t, ctx, a.LocalAddr())
		n, err := c.Writev([][]byte{[]byte("one"), nil, []byte("two")})
		require.NoError(t, err)
		require.EqualValues(t, 6, n)
		p := make([]byte, 10)
		got, _, err := a.ReadFrom(p)
		require.NoError(t, err)
		require.Equal(t, "onetwo", string(p[:got]))
	})
}

// TestDialPacketRefused: that nobody receives at the address is the error of a later call,
// and the socket works on.
func TestDialPacketRefused(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a := listenPacket(t, ctx, "udp4")
		to := a.LocalAddr()
		c := dialPacket(t, ctx, to)
		require.NoError(t, a.Close())
		_, err := c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = c.Read(make([]byte, 10))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		var e *net.OpError
		require.ErrorAs(t, err, &e)
		require.Equal(t, "read", e.Op)

		a = listenPacketAt(t, ctx, "udp4", to.String())
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		_, from, err := a.ReadFrom(make([]byte, 10))
		require.NoError(t, err)
		_, err = a.WriteTo([]byte("y"), from)
		require.NoError(t, err)
		n, err := c.Read(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// TestDialPacketRefusedWhileWaiting has the error end a read that waits.
func TestDialPacketRefusedWhileWaiting(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a := listenPacket(t, ctx, "udp4")
		c := dialPacket(t, ctx, a.LocalAddr())
		require.NoError(t, a.Close())
		over := beside(t, ctx, func(context.Context) {
			_, err := c.Write([]byte("x"))
			require.NoError(t, err)
		})
		_, err := c.Read(make([]byte, 10))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		over()
	})
}

// TestPacketUnixRefused: nobody receives at a Unix socket's address.
func TestPacketUnixRefused(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a, b := listenPacket(t, ctx, "unixgram"), listenPacket(t, ctx, "unixgram")
		require.NoError(t, b.Close())
		_, err := a.WriteTo([]byte("x"), b.LocalAddr())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		_, err = a.WriteTo([]byte("x"), a.LocalAddr())
		require.NoError(t, err)
		n, _, err := a.ReadFrom(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

func TestDialPacketEnds(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, _ *uringnet.PacketConn) {
		c := dialPacket(t, ctx, a.LocalAddr())
		p := make([]byte, 10)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
		_, err := c.Read(p)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		ended, cancel := context.WithCancel(ctx)
		over := beside(t, ctx, func(context.Context) { cancel() })
		_, err = c.ReadContext(ended, p)
		require.ErrorIs(t, err, context.Canceled)
		over()
		over = beside(t, ctx, func(context.Context) { require.NoError(t, c.Close()) })
		_, err = c.Read(p)
		require.ErrorIs(t, err, net.ErrClosed)
		over()
	})
}

func TestDialPacketErrors(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		cause := errors.New("cause")
		ended, cancel := context.WithCancelCause(ctx)
		cancel(cause)
		for _, wrong := range []struct {
			ctx              context.Context
			network, address string
			local            net.Addr
			is               error
		}{
			{ctx, "udp4", "[::1]:1", nil, nil},
			{ctx, "udp4", "127.0.0.1", nil, nil},
			{ctx, "udp4", "127.0.0.1:1", &net.TCPAddr{}, nil},
			{ctx, "unixgram", "/nonexistent/socket", nil, os.ErrNotExist},
			{ended, "udp4", "127.0.0.1:1", nil, cause},
		} {
			d := uringnet.Dialer{LocalAddr: wrong.local}
			c, err := d.DialContext(wrong.ctx, wrong.network, wrong.address)
			require.Nil(t, c)
			var e *net.OpError
			require.ErrorAs(t, err, &e)
			require.Equal(t, "dial", e.Op)
			if wrong.is != nil {
				require.ErrorIs(t, err, wrong.is)
			}
		}
	})
}

// TestListenNoPackets: datagrams have no connections to accept.
func TestListenNoPackets(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		for _, network := range []string{"udp", "udp4", "udp6", "unixgram"} {
			l, err := uringnet.Listen(ctx, network, packetAddress(t, network))
			require.Nil(t, l)
			require.ErrorIs(t, err, net.UnknownNetworkError(network))
		}
	})
}

// TestDialPacketOptions calls the Control functions, and binds local addresses.
func TestDialPacketOptions(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		called := 0
		control := func(network, _ string, c syscall.RawConn) error {
			called++
			require.Equal(t, "udp4", network)
			return c.Control(func(fd uintptr) {
				require.NoError(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PRIORITY, 1))
			})
		}
		l := uringnet.ListenConfig{Control: control, ReusePort: true}
		a, err := l.ListenPacket(ctx, "udp4", "127.0.0.1:0")
		require.NoError(t, err)
		defer a.Close()
		shared, err := l.ListenPacket(ctx, "udp4", a.LocalAddr().String())
		require.NoError(t, err)
		defer shared.Close()
		d := uringnet.Dialer{Control: control, LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		c, err := d.DialContext(ctx, "udp", a.LocalAddr().String())
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, 3, called)
		require.Equal(t, "127.0.0.2", c.LocalAddr().(*net.UDPAddr).IP.String())

		refusal := errors.New("refused")
		l.Control = func(string, string, syscall.RawConn) error { return refusal }
		_, err = l.ListenPacket(ctx, "udp4", "127.0.0.1:0")
		require.ErrorIs(t, err, refusal)
	})
}

package uringnet_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

func TestPacketEcho(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn) {
		p := make([]byte, 100)
		for _, word := range []string{"one", "", "three", ""} {
			n, err := a.WriteTo([]byte(word), b.LocalAddr())
			require.NoError(t, err)
			require.Equal(t, len(word), n)
			n, from, err := b.ReadFrom(p)
			require.NoError(t, err)
			require.Equal(t, word, string(p[:n]))
			require.Equal(t, a.LocalAddr().String(), from.String())
			require.Equal(t, a.LocalAddr().Network(), from.Network())
			_, err = b.WriteToContext(ctx, p[:n], from)
			require.NoError(t, err)
			n, from, err = a.ReadFromContext(ctx, p)
			require.NoError(t, err)
			require.Equal(t, word, string(p[:n]))
			require.Equal(t, b.LocalAddr().String(), from.String())
		}
	})
}

// TestPacketWaits has each receive begin before the datagram is sent.
func TestPacketWaits(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn) {
		const rounds = 50
		echoed := beside(t, ctx, func(ctx context.Context) {
			p := make([]byte, 10)
			for range rounds {
				n, from, err := b.ReadFromContext(ctx, p)
				require.NoError(t, err)
				_, err = b.WriteToContext(ctx, p[:n], from)
				require.NoError(t, err)
			}
		})
		p := make([]byte, 10)
		for i := range rounds {
			_, err := a.WriteTo([]byte{byte(i)}, b.LocalAddr())
			require.NoError(t, err)
			n, _, err := a.ReadFrom(p)
			require.NoError(t, err)
			require.Equal(t, []byte{byte(i)}, p[:n])
		}
		echoed()
	})
}

// TestPacketTruncated: what does not fit is lost, and the next datagram is whole.
func TestPacketTruncated(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn) {
		for _, word := range []string{"first one", "second"} {
			_, err := a.WriteTo([]byte(word), b.LocalAddr())
			require.NoError(t, err)
		}
		p := make([]byte, 5)
		n, _, err := b.ReadFrom(p)
		require.NoError(t, err)
		require.Equal(t, "first", string(p[:n]))
		n, _, err = b.ReadFrom(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		requireDrained(t, b)
	})
}

// requireDrained checks that there is no datagram.
func requireDrained(t *testing.T, c *uringnet.PacketConn) {
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Read(func(fd uintptr) bool {
		_, _, err = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_DONTWAIT)
		return true
	}))
	require.ErrorIs(t, err, unix.EAGAIN)
}

func TestPacketUDPForms(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a, b := listenPacket(t, ctx, "udp4"), listenPacket(t, ctx, "udp4")
		addrOfA, addrOfB := a.LocalAddr().(*net.UDPAddr), b.LocalAddr().(*net.UDPAddr)
		p := make([]byte, 10)

		_, err := a.WriteToUDP([]byte("udp"), addrOfB)
		require.NoError(t, err)
		n, from, err := b.ReadFromUDP(p)
		require.NoError(t, err)
		require.Equal(t, "udp", string(p[:n]))
		require.Equal(t, addrOfA.String(), from.String())

		_, err = a.WriteToUDPAddrPort([]byte("port"), addrOfB.AddrPort())
		require.NoError(t, err)
		n, port, err := b.ReadFromUDPAddrPort(p)
		require.NoError(t, err)
		require.Equal(t, "port", string(p[:n]))
		require.Equal(t, addrOfA.AddrPort(), port)

		n, oobn, err := a.WriteMsgUDP([]byte("message"), nil, addrOfB)
		require.NoError(t, err)
		require.Equal(t, []int{7, 0}, []int{n, oobn})
		n, oobn, flags, from, err := b.ReadMsgUDP(p[:4], nil)
		require.NoError(t, err)
		require.Equal(t, "mess", string(p[:n]))
		require.Zero(t, oobn)
		require.EqualValues(t, unix.MSG_TRUNC, flags&unix.MSG_TRUNC)
		require.Equal(t, addrOfA.String(), from.String())
	})
}

// TestPacketControlMessages sends with a time to live, and receives it.
func TestPacketControlMessages(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a, b := listenPacket(t, ctx, "udp4"), listenPacket(t, ctx, "udp4")
		raw, err := b.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTTL, 1)
		}))
		require.NoError(t, err)
		sent := timeToLive(17)
		n, oobn, err := a.WriteMsgUDPAddrPort([]byte("x"), sent, addrPortOf(b))
		require.NoError(t, err)
		require.Equal(t, []int{1, len(sent)}, []int{n, oobn})
		p, oob := make([]byte, 10), make([]byte, 100)
		n, oobn, _, from, err := b.ReadMsgUDPAddrPort(p, oob)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, addrPortOf(a), from)
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		require.NoError(t, err)
		require.Len(t, messages, 1)
		require.EqualValues(t, unix.IP_TTL, messages[0].Header.Type)
		require.EqualValues(t, 17, messages[0].Data[0])
	})
}

// TestPacketFiles sends a descriptor to a Unix socket.
func TestPacketFiles(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a, b := listenPacket(t, ctx, "unixgram"), listenPacket(t, ctx, "unixgram")
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		sent := unix.UnixRights(int(w.Fd()))
		n, oobn, err := a.WriteMsgUnix([]byte("x"), sent, b.LocalAddr().(*net.UnixAddr))
		require.NoError(t, err)
		require.Equal(t, []int{1, len(sent)}, []int{n, oobn})
		require.NoError(t, w.Close())
		oob := make([]byte, 100)
		n, oobn, _, from, err := b.ReadMsgUnix(make([]byte, 10), oob)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, a.LocalAddr(), from)
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		require.NoError(t, err)
		fds, err := unix.ParseUnixRights(&messages[0])
		require.NoError(t, err)
		flags, err := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.Equal(t, unix.FD_CLOEXEC, flags)
		_, err = unix.Write(fds[0], []byte("y"))
		require.NoError(t, err)
		require.NoError(t, unix.Close(fds[0]))
		n, err = r.Read(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// timeToLive returns the control message that sets it.
func timeToLive(hops byte) []byte {
	oob := make([]byte, unix.CmsgSpace(4))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_TTL
	h.SetLen(unix.CmsgLen(4))
	oob[unix.CmsgLen(0)] = hops // of an int; the rest is zero on a little-endian machine
	return oob
}

func addrPortOf(c *uringnet.PacketConn) netip.AddrPort {
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestPacketMapped: an IPv6 socket exchanges datagrams with an IPv4 one.
func TestPacketMapped(t *testing.T) {
	skipWithoutIPv6(t, "udp6")
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		both := listenPacketAt(t, ctx, "udp", ":0")
		old := listenPacket(t, ctx, "udp4")
		port := uint16(both.LocalAddr().(*net.UDPAddr).Port)
		_, err := old.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), port))
		require.NoError(t, err)
		p := make([]byte, 10)
		n, from, err := both.ReadFromUDPAddrPort(p)
		require.NoError(t, err)
		require.Equal(t, "x", string(p[:n]))
		require.True(t, from.Addr().Is4In6())
		require.Equal(t, addrPortOf(old).Addr(), from.Addr().Unmap())

		for _, to := range []net.Addr{net.UDPAddrFromAddrPort(from), old.LocalAddr(), &net.UDPAddr{Port: int(from.Port())}} {
			if to.(*net.UDPAddr).IP == nil { // the host itself, by IPv6
				to = &net.UDPAddr{Port: int(port)}
				_, err = both.WriteTo([]byte("y"), to)
				require.NoError(t, err)
				_, _, err = both.ReadFrom(p)
				require.NoError(t, err)
				continue
			}
			_, err = both.WriteTo([]byte("y"), to)
			require.NoError(t, err)
			_, addr, err := old.ReadFromUDP(p)
			require.NoError(t, err)
			require.Equal(t, int(port), addr.Port)
		}
	})
}

func TestPacketUnixNames(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		short := listenPacketAt(t, ctx, "unixgram", abstractName(t))
		long := listenPacketAt(t, ctx, "unixgram", abstractName(t)+strings.Repeat("x", 50))
		path := listenPacket(t, ctx, "unixgram")
		p := make([]byte, 10)
		for _, from := range []*uringnet.PacketConn{short, long, path} {
			for _, to := range []*uringnet.PacketConn{short, long, path} {
				_, err := from.WriteTo([]byte("x"), to.LocalAddr())
				require.NoError(t, err)
				_, addr, err := to.ReadFrom(p)
				require.NoError(t, err)
				require.Equal(t, from.LocalAddr(), addr)
			}
		}
	})
}

func abstractName(t *testing.T) string { return "@vigil-" + filepath.Base(t.TempDir()) + t.Name() }

// TestPacketUnnamed receives from a Unix socket without a name.
func TestPacketUnnamed(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		c := listenPacket(t, ctx, "unixgram")
		other, err := net.DialUnix("unixgram", nil, c.LocalAddr().(*net.UnixAddr))
		require.NoError(t, err)
		defer other.Close()
		_, err = other.Write([]byte("x"))
		require.NoError(t, err)
		n, from, err := c.ReadFrom(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Nil(t, from)
	})
}

func TestPacketWrongAddresses(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		udp, unixgram := listenPacket(t, ctx, "udp4"), listenPacket(t, ctx, "unixgram")
		loopback := net.IPv4(127, 0, 0, 1)
		for _, wrong := range []struct {
			c  *uringnet.PacketConn
			to net.Addr
			is error
		}{
			{udp, nil, nil},
			{udp, (*net.UDPAddr)(nil), nil},
			{udp, &net.TCPAddr{IP: loopback, Port: 1}, syscall.EINVAL},
			{udp, &net.UDPAddr{IP: loopback, Port: 1 << 16}, syscall.EINVAL},
			{udp, &net.UDPAddr{IP: loopback, Port: -1}, syscall.EINVAL},
			{udp, &net.UDPAddr{IP: loopback[:3], Port: 1}, nil},
			{udp, &net.UDPAddr{IP: net.IPv6loopback, Port: 1}, nil},
			{udp, &net.UnixAddr{Name: "x", Net: "unixgram"}, syscall.EINVAL},
			{unixgram, (*net.UnixAddr)(nil), nil},
			{unixgram, &net.UDPAddr{IP: loopback, Port: 1}, syscall.EINVAL},
			{unixgram, &net.UnixAddr{Name: "x", Net: "unix"}, syscall.EAFNOSUPPORT},
			{unixgram, &net.UnixAddr{Name: strings.Repeat("x", 200), Net: "unixgram"}, syscall.EINVAL},
			{unixgram, &net.UnixAddr{Name: strings.Repeat("x", 108), Net: "unixgram"}, syscall.EINVAL},
			{unixgram, &net.UnixAddr{Name: "/nonexistent", Net: "unixgram"}, syscall.ENOENT},
		} {
			n, err := wrong.c.WriteTo([]byte("x"), wrong.to)
			require.Zero(t, n)
			requireOpError(t, err, "write", wrong.c)
			if wrong.is != nil {
				require.ErrorIs(t, err, wrong.is)
			}
		}
		_, err := udp.WriteToUDPAddrPort(nil, netip.AddrPort{})
		requireOpError(t, err, "write", udp)
		_, err = unixgram.WriteToUDPAddrPort(nil, netip.MustParseAddrPort("127.0.0.1:1"))
		require.ErrorIs(t, err, syscall.EINVAL)
	})
}

func requireOpError(t *testing.T, err error, op string, c *uringnet.PacketConn) {
	t.Helper()
	var e *net.OpError
	require.ErrorAs(t, err, &e)
	require.Equal(t, op, e.Op)
	require.Equal(t, c.LocalAddr(), e.Source)
	require.NotEmpty(t, e.Error())
}

// TestPacketTooLong: an error of one datagram is not the socket's.
func TestPacketTooLong(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a, b := listenPacket(t, ctx, "udp4"), listenPacket(t, ctx, "udp4")
		_, err := a.WriteTo(make([]byte, 1<<16), b.LocalAddr())
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		_, err = a.WriteTo([]byte("x"), b.LocalAddr())
		require.NoError(t, err)
		n, _, err := b.ReadFrom(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// TestPacketAllocations: the AddrPort forms allocate nothing.
func TestPacketAllocations(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		a, b := listenPacket(t, ctx, "udp4"), listenPacket(t, ctx, "udp4")
		to, p := addrPortOf(b), make([]byte, 10)
		require.Zero(t, testing.AllocsPerRun(200, func() {
			if _, err := a.WriteToUDPAddrPort(p, to); err != nil {
				panic(err)
			}
			if _, _, err := b.ReadFromUDPAddrPort(p); err != nil {
				panic(err)
			}
		}))
	})
}

func TestPacketOptions(t *testing.T) {
	eachPacket(t, func(t *testing.T, ctx context.Context, a, b *uringnet.PacketConn) {
		require.NoError(t, a.SetReadBuffer(1<<16))
		require.NoError(t, a.SetWriteBuffer(1<<16))
		f, err := a.File()
		require.NoError(t, err)
		defer f.Close()
		copied, err := net.FilePacketConn(f)
		require.NoError(t, err)
		defer copied.Close()
		require.Equal(t, a.LocalAddr().String(), copied.LocalAddr().String())
		require.NoError(t, a.Close())
		_, err = copied.WriteTo([]byte("x"), b.LocalAddr())
		require.NoError(t, err)
		n, _, err := b.ReadFrom(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

func TestListenPacketErrors(t *testing.T) {
	packetWorlds(t, func(t *testing.T, ctx context.Context) {
		taken := listenPacket(t, ctx, "udp4")
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for _, wrong := range []struct {
			ctx              context.Context
			network, address string
			is               error
		}{
			{ctx, "udp4", taken.LocalAddr().String(), syscall.EADDRINUSE},
			{ctx, "udp4", "[::1]:0", nil},
			{ctx, "udp4", "127.0.0.1", nil},
			{ctx, "tcp", "127.0.0.1:0", net.UnknownNetworkError("tcp")},
			{ctx, "ip4:icmp", "127.0.0.1", net.UnknownNetworkError("ip4:icmp")},
			{ctx, "unixgram", "/nonexistent/socket", os.ErrNotExist},
			{ended, "udp4", "127.0.0.1:0", context.Canceled},
		} {
			c, err := uringnet.ListenPacket(wrong.ctx, wrong.network, wrong.address)
			require.Nil(t, c)
			var e *net.OpError
			require.ErrorAs(t, err, &e, "%s %s", wrong.network, wrong.address)
			require.Equal(t, "listen", e.Op)
			if wrong.is != nil {
				require.ErrorIs(t, err, wrong.is)
			}
		}
	})
}

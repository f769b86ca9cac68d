package uringwake_test

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

var loopback = uringwake.IPSockAddr(netip.MustParseAddrPort("127.0.0.1:0"))

// listenOn is a listener that the test closes, and its address; mode is SOCK_NONBLOCK or 0.
func listenOn(t testing.TB, sa uringwake.SockAddr, mode int) (fd int, at uringwake.SockAddr) {
	t.Helper()
	ctx := context.Background()
	fd, err := uringwake.Socket(ctx, sa.Family(), unix.SOCK_STREAM|mode, 0)
	require.NoError(t, err)
	closing(t, fd)
	require.NoError(t, uringwake.Bind(ctx, fd, sa))
	require.NoError(t, uringwake.Listen(ctx, fd, 8))
	return fd, nameOf(t, fd)
}

func nameOf(t testing.TB, fd int) uringwake.SockAddr {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	require.NoError(t, err)
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uringwake.IPSockAddr(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)))
	case *unix.SockaddrInet6:
		return uringwake.IPSockAddr(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)))
	case *unix.SockaddrUnix:
		return uringwake.UnixSockAddr(sa.Name)
	}
	require.Fail(t, "of another family")
	return uringwake.SockAddr{}
}

// socketPair is a pair that the test closes.
func socketPair(t testing.TB, typ int) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closing(t, fds[:]...)
	return fds
}

// families are addresses to listen on.
func families() map[string]uringwake.SockAddr {
	all := map[string]uringwake.SockAddr{
		"IPv4":     loopback,
		"unix":     {}, // a path of the test's own
		"abstract": uringwake.UnixSockAddr(""),
	}
	six := uringwake.IPSockAddr(netip.MustParseAddrPort("[::1]:0"))
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		if unix.Bind(fd, &unix.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}) == nil {
			all["IPv6"] = six
		}
		unix.Close(fd)
	}
	return all
}

// A connection of each family lives through all operations, with sockets of either mode.
func TestLifeOfAConnection(t *testing.T) {
	for name, sa := range families() {
		t.Run(name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, ctx context.Context) {
				for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
					at := sa
					if name == "unix" {
						at = uringwake.UnixSockAddr(filepath.Join(t.TempDir(), "socket"))
					}
					connectionLives(t, ctx, at, mode)
				}
			})
		})
	}
}

func connectionLives(t *testing.T, ctx context.Context, sa uringwake.SockAddr, mode int) {
	listener, at := listenOn(t, sa, mode)
	client, err := uringwake.Socket(ctx, sa.Family(), unix.SOCK_STREAM|mode, 0)
	require.NoError(t, err)
	defer func() { assert.NoError(t, uringwake.Close(ctx, client)) }()
	require.NoError(t, uringwake.Connect(ctx, client, at))
	server, from, err := uringwake.Accept(ctx, listener, mode)
	require.NoError(t, err)
	defer func() { assert.NoError(t, uringwake.Close(ctx, server)) }()
	require.Equal(t, sa.Family(), from.Family())
	require.Equal(t, nameOf(t, client).AddrPort(), from.AddrPort())
	for _, fd := range []int{client, server} {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.Equal(t, unix.FD_CLOEXEC, flags)
		flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		require.NoError(t, err)
		require.Equal(t, mode&unix.SOCK_NONBLOCK, flags&unix.O_NONBLOCK)
	}

	n, err := uringwake.Send(ctx, client, []byte("hello"), 0)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	p := make([]byte, 10)
	n, err = uringwake.Recv(ctx, server, p, unix.MSG_PEEK|unix.MSG_WAITALL)
	require.NoError(t, err)
	require.Equal(t, "hello", string(p[:n]))
	n, err = uringwake.Recv(ctx, server, p, 0)
	require.NoError(t, err)
	require.Equal(t, "hello", string(p[:n]))
	require.NoError(t, uringwake.Shutdown(ctx, client, unix.SHUT_WR))
	n, err = uringwake.Recv(ctx, server, p, 0)
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, uringwake.Shutdown(ctx, server, unix.SHUT_RDWR))
	_, err = uringwake.Send(ctx, server, p, 0)
	require.ErrorIs(t, err, unix.EPIPE, "and no signal")
}

func TestConnectToNobody(t *testing.T) {
	deaf, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closing(t, deaf)
	require.NoError(t, unix.Bind(deaf, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	nobody := nameOf(t, deaf)
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
			fd, err := uringwake.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM|mode, 0)
			require.NoError(t, err)
			closing(t, fd)
			require.ErrorIs(t, uringwake.Connect(ctx, fd, uringwake.IPSockAddr(netip.MustParseAddrPort("[::1]:1"))), unix.EAFNOSUPPORT)
			require.ErrorIs(t, uringwake.Connect(ctx, fd, nobody), unix.ECONNREFUSED)
		}
	})
}

// A unix socket whose line is full is waited for, which poll does not help with.
func TestConnectWaitsInLine(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
			listener, at := listenOn(t, uringwake.UnixSockAddr(""), 0)
			require.NoError(t, unix.Listen(listener, 0))
			sockets := make([]int, 3)
			for i := range sockets {
				var err error
				sockets[i], err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|mode, 0)
				require.NoError(t, err)
			}
			closing(t, sockets...)
			c.run(t, func(ctx context.Context) {
				c.ctx = ctx
				assert.NoError(t, uringwake.Connect(ctx, sockets[0], at))
				assert.NoError(t, c.toTheEnd(func(ctx context.Context) error { return uringwake.Connect(ctx, sockets[1], at) }))
				assert.NoError(t, c.whenever(func() error { return uringwake.Connect(ctx, sockets[2], at) }, func() {
					fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
					if assert.NoError(t, err) {
						unix.Close(fd)
					}
				}))
			})
		}
	})
}

// What waits does so whatever the mode of the socket, and ends with its context, when
// nothing is done.
func TestSocketsWait(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
			listener, at := listenOn(t, loopback, mode)
			fds := socketPair(t, unix.SOCK_STREAM|mode)
			full := socketPair(t, unix.SOCK_STREAM|mode)
			fillSocket(t, full[0])
			waits := map[string]struct {
				op func(ctx context.Context) error
				do func()
			}{
				"accept": {func(ctx context.Context) error { return acceptOne(ctx, listener) }, func() { dial(t, at) }},
				"recv":   {func(ctx context.Context) error { return recvWord(ctx, fds[0]) }, func() { unix.Write(fds[1], []byte("word")) }},
				"recvmsg": {func(ctx context.Context) error {
					_, err := uringwake.Recvmsg(ctx, fds[0], &uringwake.Message{Buffers: [][]byte{make([]byte, 4)}}, 0)
					return err
				}, func() { unix.Write(fds[1], []byte("word")) }},
				"send": {func(ctx context.Context) error {
					_, err := uringwake.Send(ctx, full[0], []byte("word"), 0)
					return err
				}, func() { drainSocket(full[1]) }},
			}
			for name, w := range waits {
				t.Run(name, func(t *testing.T) {
					c.run(t, func(ctx context.Context) {
						c.ctx = ctx
						assert.NoError(t, c.toTheEnd(w.op))
						assert.NoError(t, c.whenever(func() error { return w.op(ctx) }, w.do))
					})
				})
			}
		}
	})
}

func acceptOne(ctx context.Context, listener int) error {
	fd, _, err := uringwake.Accept(ctx, listener, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func recvWord(ctx context.Context, fd int) error {
	p := make([]byte, 8)
	n, err := uringwake.Recv(ctx, fd, p, 0)
	if err == nil && string(p[:n]) != "word" {
		err = errors.New("received " + string(p[:n]))
	}
	return err
}

// dial connects to a TCP socket and disconnects.
func dial(t testing.TB, at uringwake.SockAddr) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if assert.NoError(t, err) {
		assert.NoError(t, unix.Connect(fd, &unix.SockaddrInet4{Addr: at.AddrPort().Addr().As4(), Port: int(at.AddrPort().Port())}))
		unix.Close(fd)
	}
}

func fillSocket(t testing.TB, fd int) {
	t.Helper()
	for p := make([]byte, 1<<16); ; {
		err := unix.Sendto(fd, p, unix.MSG_DONTWAIT, nil)
		if err == unix.EAGAIN {
			if p = p[:len(p)/2]; len(p) == 0 {
				return
			}
			continue
		}
		require.NoError(t, err)
	}
}

func drainSocket(fd int) {
	for p := make([]byte, 1<<16); ; {
		if n, _, err := unix.Recvfrom(fd, p, unix.MSG_DONTWAIT); n <= 0 || err != nil {
			return
		}
	}
}

// MSG_WAITALL receives and sends all of a stream, however it comes, or what there is when
// that ends or the context does; of datagrams one.
func TestWaitAll(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
			c.run(t, func(ctx context.Context) {
				c.ctx = ctx
				fds := socketPair(t, unix.SOCK_STREAM|mode)
				all := make([]byte, 1<<20)
				for i := range all {
					all[i] = byte(i % 251)
				}
				wait := aside(ctx, func() {
					n, err := uringwake.Send(context.Background(), fds[1], all, unix.MSG_WAITALL)
					assert.NoError(t, err)
					assert.Equal(t, len(all), n)
				})
				p := make([]byte, len(all))
				n, err := uringwake.Recv(ctx, fds[0], p, unix.MSG_WAITALL)
				assert.NoError(t, err)
				assert.Equal(t, len(all), n)
				assert.Equal(t, all, p)
				wait()
				waitAllInParts(t, c, fds)
			})
			datagrams := socketPair(t, unix.SOCK_DGRAM|mode)
			c.run(t, func(ctx context.Context) {
				unix.Write(datagrams[1], []byte("one"))
				unix.Write(datagrams[1], []byte("two"))
				n, err := uringwake.Recv(ctx, datagrams[0], make([]byte, 6), unix.MSG_WAITALL)
				assert.NoError(t, err)
				assert.Equal(t, 3, n)
			})
		}
	})
}

// waitAllInParts has contexts and streams end within a transfer.
func waitAllInParts(t *testing.T, c caller, fds [2]int) {
	recv := func(ctx context.Context) (string, error) {
		a, b := make([]byte, 3), make([]byte, 3)
		n, err := uringwake.Recvmsg(ctx, fds[0], &uringwake.Message{Buffers: [][]byte{a, b}}, unix.MSG_WAITALL)
		return (string(a) + string(b))[:n], err
	}
	unix.Write(fds[1], []byte("some"))
	var got string
	assert.NoError(t, c.whenever(func() (err error) { got, err = recv(c.ctx); return err }, func() { unix.Write(fds[1], []byte("more")) }))
	assert.Equal(t, "somemo", got)

	ctx, cancel := context.WithCancel(c.ctx)
	assert.NoError(t, c.whenever(func() (err error) { got, err = recv(ctx); return err }, cancel))
	assert.Equal(t, "re", got)

	unix.Write(fds[1], []byte("rest"))
	assert.NoError(t, c.whenever(func() (err error) { got, err = recv(c.ctx); return err }, func() { unix.Shutdown(fds[1], unix.SHUT_WR) }))
	assert.Equal(t, "rest", got)
}

func TestDontWait(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := socketPair(t, unix.SOCK_STREAM)
		_, err := uringwake.Recv(ctx, fds[0], make([]byte, 1), unix.MSG_DONTWAIT)
		require.ErrorIs(t, err, unix.EAGAIN)
		fillSocket(t, fds[0])
		_, err = uringwake.Send(ctx, fds[0], make([]byte, 1), unix.MSG_DONTWAIT)
		require.ErrorIs(t, err, unix.EAGAIN)
		_, err = uringwake.Send(ctx, fds[1], make([]byte, 1), unix.MSG_ZEROCOPY)
		require.ErrorIs(t, err, unix.EINVAL)
	})
}

// socketOperations are calls with this descriptor.
func socketOperations(ctx context.Context, fd int) map[string]func() error {
	return map[string]func() error{
		"bind":     func() error { return uringwake.Bind(ctx, fd, loopback) },
		"listen":   func() error { return uringwake.Listen(ctx, fd, 1) },
		"accept":   func() error { _, _, err := uringwake.Accept(ctx, fd, 0); return err },
		"connect":  func() error { return uringwake.Connect(ctx, fd, loopback) },
		"shutdown": func() error { return uringwake.Shutdown(ctx, fd, unix.SHUT_RD) },
		"recv":     func() error { _, err := uringwake.Recv(ctx, fd, make([]byte, 1), 0); return err },
		"send":     func() error { _, err := uringwake.Send(ctx, fd, make([]byte, 1), 0); return err },
		"recvmsg":  func() error { _, err := uringwake.Recvmsg(ctx, fd, new(uringwake.Message), 0); return err },
		"sendmsg":  func() error { _, err := uringwake.Sendmsg(ctx, fd, new(uringwake.Message), 0); return err },
	}
}

func TestSocketOperationsThatCannotBegin(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		stale := socketPair(t, unix.SOCK_STREAM)[0]
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for name, op := range socketOperations(ended, stale) {
			require.ErrorIs(t, op(), context.Canceled, name)
		}
		for _, fd := range []int{-1, math.MaxInt, math.MaxInt - math.MaxUint32 + stale} {
			if math.MaxInt == math.MaxInt32 && fd >= 0 {
				continue
			}
			for name, op := range socketOperations(ctx, fd) {
				require.ErrorIs(t, op(), unix.EBADF, name)
			}
		}
		file, err := os.Open(os.DevNull)
		require.NoError(t, err)
		defer file.Close()
		for name, op := range socketOperations(ctx, int(file.Fd())) {
			err := op()
			require.ErrorIs(t, err, unix.ENOTSOCK, name)
			require.ErrorContains(t, err, name)
		}
		_, err = uringwake.Socket(ctx, 1<<15, unix.SOCK_STREAM, 0)
		require.ErrorIs(t, err, unix.EAFNOSUPPORT)
		_, err = uringwake.Socket(ctx, -1, unix.SOCK_STREAM, 0)
		require.ErrorIs(t, err, unix.EINVAL)
		require.ErrorIs(t, uringwake.Connect(ctx, stale, uringwake.SockAddr{}), unix.EINVAL)
		require.ErrorIs(t, uringwake.Bind(ctx, stale, uringwake.SockAddr{}), unix.EINVAL)
		require.ErrorIs(t, uringwake.Shutdown(ctx, stale, 7), unix.EINVAL)
		_, _, err = uringwake.Accept(ctx, stale, 0)
		require.ErrorIs(t, err, unix.EINVAL, "it does not listen")
		require.NotErrorIs(t, err, errors.ErrUnsupported)
		require.PanicsWithValue(t, "uringwake: Recvmsg with a nil Message", func() { uringwake.Recvmsg(ctx, stale, nil, 0) })
		require.PanicsWithValue(t, "uringwake: Sendmsg with a nil Message", func() { uringwake.Sendmsg(ctx, stale, nil, 0) })
	})
}

// A TCP listener whose line is full does not answer. A connect waits then, and ends with
// its context.
func TestConnectIsCanceled(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
			listener, at := listenOn(t, loopback, 0)
			require.NoError(t, unix.Listen(listener, 0))
			to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(at.AddrPort().Port())}
			for range 4 {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
				require.NoError(t, err)
				closing(t, fd)
				unix.Connect(fd, to)
			}
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|mode, 0)
			require.NoError(t, err)
			closing(t, fd)
			c.run(t, func(ctx context.Context) {
				c.ctx = ctx
				assert.NoError(t, c.toTheEnd(func(ctx context.Context) error { return uringwake.Connect(ctx, fd, at) }))
			})
		}
	})
}

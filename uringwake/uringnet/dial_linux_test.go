package uringnet_test

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

func TestDialRefused(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		l := listen(t, "tcp")
		require.NoError(t, l.Close())
		w.do(func(ctx context.Context) {
			c, err := uringnet.Dial(ctx, "tcp", l.Addr().String())
			require.Nil(t, c)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			op, ok := err.(*net.OpError)
			require.True(t, ok)
			require.Equal(t, "dial", op.Op)
			require.Equal(t, l.Addr().String(), op.Addr.String())
			_, ok = op.Err.(*os.SyscallError)
			require.True(t, ok)
		})
	})
}

func TestDialMisuse(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		w.do(func(ctx context.Context) {
			for _, bad := range [][2]string{
				{"ip", "127.0.0.1"}, {"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:70000"},
				{"tcp4", "[::1]:1"}, {"tcp6", "127.0.0.1:1"}, {"unix", string(make([]byte, 200))},
			} {
				c, err := uringnet.Dial(ctx, bad[0], bad[1])
				require.IsType(t, (*net.OpError)(nil), err, bad)
				require.Nil(t, c)
				l, err := uringnet.Listen(ctx, bad[0], bad[1])
				require.IsType(t, (*net.OpError)(nil), err, bad)
				require.Nil(t, l)
			}
			d := uringnet.Dialer{LocalAddr: &net.UnixAddr{Name: "x", Net: "unix"}}
			c, err := d.Dial("tcp", "127.0.0.1:1")
			require.Error(t, err)
			require.Nil(t, c)
		})
	})
}

// full returns a listener that lets no more connections in, so that dials wait.
func full(t *testing.T) net.Addr {
	addr, shut := fullUntil(t)
	t.Cleanup(shut)
	return addr
}

// fullUntil is full until shut is called: then the kernel refuses connections.
func fullUntil(t *testing.T) (_ net.Addr, shut func()) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	addr := &net.TCPAddr{IP: net.IP{127, 0, 0, 1}, Port: name.(*syscall.SockaddrInet4).Port}
	var in []net.Conn
	for range 2 {
		d := net.Dialer{Timeout: 100 * time.Millisecond}
		c, err := d.Dial("tcp", addr.String())
		if err != nil {
			break
		}
		in = append(in, c)
	}
	return addr, func() {
		require.NoError(t, syscall.Close(fd))
		for _, c := range in {
			c.Close()
		}
	}
}

func TestDialEnds(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		addr := full(t).String()
		w.do(func(ctx context.Context) {
			d := uringnet.Dialer{Timeout: time.Millisecond}
			_, err := d.DialContext(ctx, "tcp", addr)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.True(t, err.(*net.OpError).Timeout())
			d = uringnet.Dialer{Deadline: past}
			_, err = d.DialContext(ctx, "tcp", addr)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cause := errors.New("the cause")
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(time.Millisecond, func() { cancel(cause) })
			_, err = uringnet.Dial(ctx, "tcp", addr)
			require.ErrorIs(t, err, cause)
			require.ErrorIs(t, err, context.Canceled)
		})
	})
}

// TestDialerOptions has a name looked up, a local address, and a Control function.
func TestDialerOptions(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		l := listen(t, "tcp")
		_, port, _ := net.SplitHostPort(l.Addr().String())
		w.do(func(ctx context.Context) {
			var networks []string
			d := uringnet.Dialer{
				LocalAddr:       &net.TCPAddr{IP: net.IP{127, 0, 0, 1}},
				Timeout:         time.Minute,
				KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 7 * time.Second, Interval: -1, Count: 3},
				Control: func(network, address string, c syscall.RawConn) error {
					networks = append(networks, network)
					return c.Control(func(fd uintptr) {
						syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1<<16)
					})
				},
			}
			nc, err := d.DialContext(ctx, "tcp", "localhost:"+port)
			require.NoError(t, err)
			c := nc.(*uringnet.Conn)
			require.Contains(t, networks, "tcp4")
			require.Equal(t, 1, option(t, c, syscall.IPPROTO_TCP, syscall.TCP_NODELAY))
			require.Equal(t, 1, option(t, c, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE))
			require.Equal(t, 7, option(t, c, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE))
			require.Equal(t, 3, option(t, c, syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT))
			require.Equal(t, 1<<17, option(t, c, syscall.SOL_SOCKET, syscall.SO_RCVBUF))
			require.NoError(t, c.Close())

			broken := errors.New("broken")
			d.Control = func(string, string, syscall.RawConn) error { return broken }
			nc, err = d.DialContext(ctx, "tcp", l.Addr().String())
			require.ErrorIs(t, err, broken)
			require.Nil(t, nc)
		})
	})
}

// option returns a socket option.
func option(t *testing.T, c *uringnet.Conn, level, name int) (value int) {
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { value, err = syscall.GetsockoptInt(int(fd), level, name) }))
	require.NoError(t, err)
	return value
}

// TestListenOnAll takes connections of both versions of IP.
func TestListenOnAll(t *testing.T) {
	skipWithoutRing(t)
	l, err := uringnet.Listen(bg, "tcp", ":0")
	require.NoError(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, to := range []string{"127.0.0.1:" + port, ":" + port} {
		c, err := uringnet.Dial(bg, "tcp", to)
		require.NoError(t, err)
		s, err := l.Accept()
		require.NoError(t, err)
		require.Equal(t, c.LocalAddr().String(), s.RemoteAddr().String())
		require.NoError(t, c.Close())
		require.NoError(t, s.Close())
	}
}

func TestReusePort(t *testing.T) {
	skipWithoutRing(t)
	c := uringnet.ListenConfig{ReusePort: true}
	first, err := c.Listen(bg, "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer first.Close()
	second, err := c.Listen(bg, "tcp", first.Addr().String())
	require.NoError(t, err)
	require.NoError(t, second.Close())
	_, err = uringnet.Listen(bg, "tcp", first.Addr().String())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.Equal(t, "listen", err.(*net.OpError).Op)
}

// TestAbstract is an address without a file.
func TestAbstract(t *testing.T) {
	skipWithoutRing(t)
	l, err := uringnet.Listen(bg, "unix", "@uringnet-test-"+time.Now().String())
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	s, err := l.Accept()
	require.NoError(t, err)
	require.Equal(t, c.RemoteAddr().String(), s.LocalAddr().String())
	require.NoError(t, s.Close())
}

package uringnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// The tests of this file do the same with package net and with this one, and compare the
// errors.

// A maker is one of the two packages.
type maker struct {
	t      *testing.T
	dial   func(ctx context.Context, network, address string, local net.Addr, timeout time.Duration) (net.Conn, error)
	listen func(network, address string) (net.Listener, error)
}

func fromNet(t *testing.T) *maker {
	return &maker{t,
		func(ctx context.Context, network, address string, local net.Addr, timeout time.Duration) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: local, Timeout: timeout}).DialContext(ctx, network, address)
		}, net.Listen}
}

func fromHere(t *testing.T) *maker {
	return &maker{t,
		func(ctx context.Context, network, address string, local net.Addr, timeout time.Duration) (net.Conn, error) {
			return (&uringnet.Dialer{LocalAddr: local, Timeout: timeout}).DialContext(ctx, network, address)
		},
		func(network, address string) (net.Listener, error) {
			return new(uringnet.ListenConfig).Listen(bg, network, address)
		}}
}

// fullConn is what TCPConn, UnixConn and Conn have.
type fullConn interface {
	net.Conn
	io.ReaderFrom
	CloseRead() error
	CloseWrite() error
	File() (*os.File, error)
	syscall.Conn
}

type fullListener interface {
	net.Listener
	SetDeadline(time.Time) error
	File() (*os.File, error)
	syscall.Conn
}

func (m *maker) listener(network string) fullListener {
	l, err := m.listen(network, address(m.t, network))
	require.NoError(m.t, err)
	m.t.Cleanup(func() { l.Close() })
	return l.(fullListener)
}

// pair returns a connection of the package, and the peer, which is one of package net.
func (m *maker) pair(network string) (fullConn, net.Conn) {
	l, err := net.Listen(network, address(m.t, network))
	require.NoError(m.t, err)
	defer l.Close()
	c, err := m.dial(bg, network, l.Addr().String(), nil, 0)
	require.NoError(m.t, err)
	peer, err := l.Accept()
	require.NoError(m.t, err)
	m.t.Cleanup(func() { c.Close(); peer.Close() })
	if u, ok := c.(*net.UnixConn); ok {
		return unixConn{u}, peer
	}
	return c.(fullConn), peer
}

// unixConn is a net.UnixConn that may be compared, and so has a ReadFrom of streams.
type unixConn struct{ *net.UnixConn }

func (c unixConn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.UnixConn, r) }

func closed(c io.Closer) { c.Close() }

// onConn are situations of a connection.
var onConn = map[string]func(c fullConn, peer net.Conn) error{
	"read at the end": func(c fullConn, peer net.Conn) error { closed(peer); return second(c.Read(make([]byte, 1))) },
	"read closed":     func(c fullConn, _ net.Conn) error { closed(c); return second(c.Read(make([]byte, 1))) },
	"read nothing from closed": func(c fullConn, _ net.Conn) error {
		closed(c)
		return second(c.Read(nil))
	},
	"write closed":    func(c fullConn, _ net.Conn) error { closed(c); return second(c.Write([]byte("x"))) },
	"close twice":     func(c fullConn, _ net.Conn) error { closed(c); return c.Close() },
	"deadline closed": func(c fullConn, _ net.Conn) error { closed(c); return c.SetDeadline(time.Time{}) },
	"half closed":     func(c fullConn, _ net.Conn) error { closed(c); return c.CloseWrite() },
	"file closed":     func(c fullConn, _ net.Conn) error { closed(c); return second(c.File()) },
	"raw closed":      func(c fullConn, _ net.Conn) error { closed(c); return second(c.SyscallConn()) },
	"control closed": func(c fullConn, _ net.Conn) error {
		raw, err := c.SyscallConn()
		closed(c)
		return errors.Join(err, raw.Control(func(uintptr) {}))
	},
	"raw read late": func(c fullConn, _ net.Conn) error {
		raw, err := c.SyscallConn()
		c.SetDeadline(past)
		return errors.Join(err, raw.Read(func(uintptr) bool { return false }))
	},
	"raw write closed": func(c fullConn, _ net.Conn) error {
		raw, err := c.SyscallConn()
		closed(c)
		return errors.Join(err, raw.Write(func(uintptr) bool { return false }))
	},
	"read late": func(c fullConn, peer net.Conn) error {
		c.SetReadDeadline(past)
		return second(c.Read(make([]byte, 1)))
	},
	"read times out": func(c fullConn, peer net.Conn) error {
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		return second(c.Read(make([]byte, 1)))
	},
	"write late": func(c fullConn, peer net.Conn) error {
		c.SetWriteDeadline(past)
		return second(c.Write([]byte("x")))
	},
	"write after the end": func(c fullConn, peer net.Conn) error {
		c.CloseWrite()
		return second(c.Write([]byte("x")))
	},
	"write to one who is gone": func(c fullConn, peer net.Conn) error {
		closed(peer)
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return err
			}
		}
	},
	"half close of one who is gone": func(c fullConn, peer net.Conn) error { closed(peer); return c.CloseWrite() },
	"copy from closed": func(c fullConn, peer net.Conn) error {
		f, err := os.Open(os.DevNull)
		closed(f)
		return errors.Join(err, second(c.ReadFrom(f)))
	},
	"copy to closed":       func(c fullConn, _ net.Conn) error { closed(c); return second(c.ReadFrom(strings.NewReader("x"))) },
	"copy file to closed":  func(c fullConn, _ net.Conn) error { closed(c); return copyFile(c) },
	"copy late":            func(c fullConn, _ net.Conn) error { c.SetDeadline(past); return copyFile(c) },
	"copy to half a close": func(c fullConn, _ net.Conn) error { c.CloseWrite(); return copyFile(c) },
	"copy from one that fails": func(c fullConn, _ net.Conn) error {
		return second(c.ReadFrom(io.MultiReader(strings.NewReader("x"), failing{})))
	},
	"write to closed writer": func(c fullConn, peer net.Conn) error {
		peer.Write([]byte("x"))
		return second(io.Copy(writer{}, c))
	},
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

type writer struct{}

func (writer) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func copyFile(c fullConn) error {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer f.Close()
	return second(c.ReadFrom(f))
}

func second[T any](_ T, err error) error { return err }

// onListener are situations of a listener.
var onListener = map[string]func(l fullListener) error{
	"accept closed":   func(l fullListener) error { closed(l); return second(l.Accept()) },
	"accept late":     func(l fullListener) error { l.SetDeadline(past); return second(l.Accept()) },
	"close twice":     func(l fullListener) error { closed(l); return l.Close() },
	"deadline closed": func(l fullListener) error { closed(l); return l.SetDeadline(past) },
	"file closed":     func(l fullListener) error { closed(l); return second(l.File()) },
	"raw closed":      func(l fullListener) error { closed(l); return second(l.SyscallConn()) },
	"raw read": func(l fullListener) error {
		raw, err := l.SyscallConn()
		return errors.Join(err, raw.Read(func(uintptr) bool { return true }))
	},
}

// onMaker are situations of the functions that make both.
var onMaker = map[string]func(m *maker) error{
	"dial refused": func(m *maker) error {
		l := m.listener("tcp")
		closed(l)
		return second(m.dial(bg, "tcp", l.Addr().String(), nil, 0))
	},
	"dial nobody":   func(m *maker) error { return second(m.dial(bg, "unix", filepath.Join(m.t.TempDir(), "x"), nil, 0)) },
	"dial too long": func(m *maker) error { return second(m.dial(bg, "unix", strings.Repeat("x", 200), nil, 0)) },
	"dial too slow": func(m *maker) error { return second(m.dial(bg, "tcp", full(m.t).String(), nil, time.Millisecond)) },
	"dial canceled": func(m *maker) error {
		ctx, cancel := context.WithCancel(bg)
		cancel()
		return second(m.dial(ctx, "tcp", "127.0.0.1:1", nil, 0))
	},
	"dial late": func(m *maker) error {
		ctx, cancel := context.WithDeadline(bg, past)
		defer cancel()
		return second(m.dial(ctx, "tcp", "127.0.0.1:1", nil, 0))
	},
	"dial unknown":       func(m *maker) error { return second(m.dial(bg, "tcp5", "127.0.0.1:1", nil, 0)) },
	"dial without port":  func(m *maker) error { return second(m.dial(bg, "tcp", "127.0.0.1", nil, 0)) },
	"dial no port":       func(m *maker) error { return second(m.dial(bg, "tcp", "127.0.0.1:70000", nil, 0)) },
	"dial no such port":  func(m *maker) error { return second(m.dial(bg, "tcp", "127.0.0.1:no-such-port", nil, 0)) },
	"dial other version": func(m *maker) error { return second(m.dial(bg, "tcp4", "[::1]:1", nil, 0)) },
	"dial from other": func(m *maker) error {
		return second(m.dial(bg, "tcp", "127.0.0.1:1", &net.UnixAddr{Name: "x", Net: "unix"}, 0))
	},
	"dial from used": func(m *maker) error {
		l := m.listener("tcp")
		return second(m.dial(bg, "tcp", l.Addr().String(), l.Addr(), 0))
	},
	"listen twice":       func(m *maker) error { return second(m.listen("tcp", m.listener("tcp").Addr().String())) },
	"listen twice, unix": func(m *maker) error { return second(m.listen("unix", m.listener("unix").Addr().String())) },
	"listen unknown":     func(m *maker) error { return second(m.listen("tcp5", "127.0.0.1:0")) },
	"listen nowhere":     func(m *maker) error { return second(m.listen("tcp", "127.0.0.1")) },
	"listen elsewhere":   func(m *maker) error { return second(m.listen("tcp", "192.0.2.1:0")) },
	"listen in no folder": func(m *maker) error {
		return second(m.listen("unix", filepath.Join(m.t.TempDir(), "no", "x")))
	},
}

// TestErrorsAreThoseOfNet compares all situations, in goroutines and tasks.
func TestErrorsAreThoseOfNet(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		for name, f := range onMaker {
			compare(t, w, name, f)
		}
		for _, network := range []string{"tcp", "unix"} {
			for name, f := range onConn {
				compare(t, w, network+", "+name, func(m *maker) error {
					c, peer := m.pair(network)
					return f(c, peer)
				})
			}
			for name, f := range onListener {
				compare(t, w, network+", listener, "+name, func(m *maker) error { return f(m.listener(network)) })
			}
		}
	})
}

func compare(t *testing.T, w world, name string, f func(m *maker) error) {
	if differs(name) {
		return
	}
	t.Run(name, func(t *testing.T) {
		want, matches := explain(f(fromNet(t)))
		w.do(func(context.Context) {
			got, also := explain(f(fromHere(t)))
			require.Equal(t, want, got)
			require.Subset(t, also, matches)
		})
	})
}

// differs reports whether package net has no such thing, or an error that is no OpError.
func differs(name string) bool {
	return strings.HasPrefix(name, "unix, copy") || name == "unix, write to closed writer" ||
		name == "tcp, listener, deadline closed" || name == "unix, listener, deadline closed"
}

// explain returns what code can find out about an error: the outermost OpError, the system
// call, the errno, and what it matches.
func explain(err error) (text string, matches []error) {
	var b strings.Builder
	if op, ok := errors.AsType[*net.OpError](err); ok {
		fmt.Fprintf(&b, "%s %s %T %T\n", op.Op, op.Net, op.Source, op.Addr)
	}
	if n, ok := errors.AsType[net.Error](err); ok {
		fmt.Fprintf(&b, "timeout %v, temporary %v\n", n.Timeout(), n.(interface{ Temporary() bool }).Temporary())
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		fmt.Fprintln(&b, call)
	}
	if a, ok := errors.AsType[*net.AddrError](err); ok {
		fmt.Fprintln(&b, a)
	}
	for _, target := range []error{io.EOF, net.ErrClosed, os.ErrClosed, os.ErrDeadlineExceeded, os.ErrNotExist,
		context.Canceled, context.DeadlineExceeded, syscall.EPIPE, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EINVAL} {
		if errors.Is(err, target) {
			matches = append(matches, target)
		}
	}
	return b.String(), matches
}

package uringnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// TestDialAndAccept is a connection from its beginning to its end, of every network.
func TestDialAndAccept(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			inWorlds(t, func(t *testing.T, w world) { dialAndAccept(t, w, network) })
		})
	}
}

func dialAndAccept(t *testing.T, w world, network string) {
	l, err := uringnet.Listen(bg, network, address(t, network))
	require.NoError(t, err)
	server := w.start(func(ctx context.Context) {
		c, err := l.Accept()
		require.NoError(t, err)
		p := make([]byte, 10)
		n, err := c.Read(p)
		require.NoError(t, err)
		_, err = c.Write(p[:n])
		require.NoError(t, err)
		_, err = c.Read(p)
		require.Equal(t, io.EOF, err)
		require.NoError(t, c.Close())
	})
	w.do(func(ctx context.Context) {
		c, err := uringnet.Dial(ctx, network, l.Addr().String())
		require.NoError(t, err)
		require.Equal(t, l.Addr().String(), c.RemoteAddr().String())
		n, err := c.Write([]byte("hello"))
		require.NoError(t, err)
		require.Equal(t, 5, n)
		p := make([]byte, 10)
		n, err = c.Read(p)
		require.NoError(t, err)
		require.Equal(t, "hello", string(p[:n]))
		require.NoError(t, c.Close())
		require.ErrorIs(t, c.Close(), net.ErrClosed)
	})
	<-server
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.Close(), net.ErrClosed)
	if _, ok := l.Addr().(*net.UnixAddr); ok {
		require.NoFileExists(t, l.Addr().String())
	}
}

func TestAddresses(t *testing.T) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			a, b := pair(t, network)
			require.Equal(t, a.LocalAddr(), b.RemoteAddr())
			require.Equal(t, a.RemoteAddr(), b.LocalAddr())
			switch addr := b.LocalAddr().(type) {
			case *net.TCPAddr:
				require.True(t, addr.IP.IsLoopback())
				require.NotZero(t, addr.Port)
			case *net.UnixAddr:
				require.Equal(t, network, addr.Network())
				require.NotEmpty(t, addr.Name)
				require.Equal(t, "@", b.RemoteAddr().String())
			}
		})
	}
}

// TestHalfClose writes after the end of what is read.
func TestHalfClose(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		inWorlds(t, func(t *testing.T, w world) {
			a, b := pair(t, network)
			w.do(func(context.Context) {
				require.NoError(t, a.CloseWrite())
				_, err := b.Read(make([]byte, 1))
				require.Equal(t, io.EOF, err)
				_, err = b.Write([]byte("x"))
				require.NoError(t, err)
				_, err = a.Read(make([]byte, 1))
				require.NoError(t, err)
				_, err = a.Write([]byte("x"))
				require.ErrorIs(t, err, syscall.EPIPE)
				require.NoError(t, a.CloseRead())
				_, err = a.Read(make([]byte, 1))
				require.Equal(t, io.EOF, err)
			})
		})
	}
}

func TestEmptyReadAndWrite(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, _ := pair(t, "tcp")
		w.do(func(context.Context) {
			n, err := a.Read(nil)
			require.NoError(t, err)
			require.Zero(t, n)
			n, err = a.Write(nil)
			require.NoError(t, err)
			require.Zero(t, n)
			m, err := a.Writev(nil)
			require.NoError(t, err)
			require.Zero(t, m)
		})
	})
}

// TestBulk sends more than the kernel's buffers hold, in both directions at once, while the
// other end reads little at a time.
func TestBulk(t *testing.T) {
	data := make([]byte, testkit.Scale(8<<20, 2<<20))
	random := rand.NewChaCha8([32]byte{})
	random.Read(data)
	for _, network := range []string{"tcp", "unix"} {
		inWorlds(t, func(t *testing.T, w world) {
			a, b := pair(t, network)
			var all []<-chan struct{}
			for _, c := range []*uringnet.Conn{a, b} {
				all = append(all, w.start(func(context.Context) {
					n, err := c.Write(data)
					require.NoError(t, err)
					require.Equal(t, len(data), n)
				}), w.start(func(context.Context) {
					got := make([]byte, len(data))
					_, err := io.ReadFull(c, got)
					require.NoError(t, err)
					require.True(t, bytes.Equal(data, got))
				}))
			}
			for _, done := range all {
				<-done
			}
		})
	}
}

// TestWritev sends many buffers, some of them empty.
func TestWritev(t *testing.T) {
	var buffers [][]byte
	var want []byte
	for i := range 3000 {
		p := bytes.Repeat([]byte{byte(i)}, i%700)
		buffers, want = append(buffers, p), append(want, p...)
	}
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		done := w.start(func(context.Context) {
			n, err := a.Writev(buffers)
			require.NoError(t, err)
			require.EqualValues(t, len(want), n)
			require.NoError(t, a.CloseWrite())
		})
		w.do(func(context.Context) {
			got, err := io.ReadAll(b)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))
		})
		<-done
	})
}

// TestReset is the error of a connection that the other end has reset.
func TestReset(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, b := pair(t, "tcp")
		w.do(func(context.Context) {
			require.NoError(t, b.SetLinger(0))
			require.NoError(t, b.Close())
			_, err := a.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			op, ok := errors.AsType[*net.OpError](err)
			require.True(t, ok)
			require.Equal(t, "read", op.Op)
			require.Equal(t, "tcp", op.Net)
			require.Equal(t, a.LocalAddr(), op.Source)
			require.Equal(t, a.RemoteAddr(), op.Addr)
			_, ok = op.Err.(*os.SyscallError)
			require.True(t, ok)
		})
	})
}

// TestWorldsShare has goroutines and tasks of two loops read and write one connection at
// the same time.
func TestWorldsShare(t *testing.T) {
	worlds := []world{{t, nil}, {t, newLoop(t)}, {t, newLoop(t)}}
	for _, network := range []string{"tcp", "unix"} {
		a, b := pair(t, network)
		const each = 300
		var got sync.Map
		var writers, readers []<-chan struct{}
		for i, w := range worlds {
			writers = append(writers, w.start(func(context.Context) {
				for j := range each {
					_, err := a.Write([]byte{byte(i), byte(j), byte(j >> 8)})
					require.NoError(t, err)
				}
			}))
			readers = append(readers, w.start(func(context.Context) {
				for p := make([]byte, 1); ; {
					n, err := b.Read(p)
					if err != nil {
						require.Equal(t, io.EOF, err)
						return
					}
					got.Store(new(int), string(p[:n]))
				}
			}))
		}
		for _, done := range writers {
			<-done
		}
		require.NoError(t, a.CloseWrite())
		for _, done := range readers {
			<-done
		}
		total := 0
		got.Range(func(any, any) bool { total++; return true })
		require.Equal(t, 3*each*len(worlds), total)
	}
}

package uringnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
	"github.com/vigil-go/vigil/wake"
)

func skipWithoutMultishot(t *testing.T) {
	var u unix.Utsname
	require.NoError(t, unix.Uname(&u))
	if u.Release[0] < '6' && u.Release[1] == '.' {
		t.Skip("multishot receives need Linux 6.0")
	}
}

// streaming has a's receive armed on w's loop.
func streaming(t *testing.T, w world, a, b *uringnet.Conn) {
	skipWithoutMultishot(t)
	w.do(func(context.Context) {
		p := make([]byte, 2)
		for range 4 {
			_, err := b.Write([]byte("x"))
			require.NoError(t, err)
			n, err := a.Read(p)
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
	})
	requireArmed(t, a, true)
}

func requireArmed(t *testing.T, c *uringnet.Conn, want bool) {
	t.Helper()
	armed, _ := uringnet.Streaming(c)
	require.Equal(t, want, armed)
}

// awaitState lets the loop turn until c is like that.
func awaitState(ctx context.Context, c *uringnet.Conn, like func(armed bool, unread int) bool) {
	for !like(uringnet.Streaming(c)) {
		uringwake.Sleep(ctx, 100*time.Microsecond)
	}
}

func onStream(t *testing.T, f func(t *testing.T, w world, a, b *uringnet.Conn)) {
	w := world{t, newLoop(t)}
	a, b := pair(t, "tcp")
	streaming(t, w, a, b)
	f(t, w, a, b)
}

// text returns bytes that are not the same anywhere.
func text(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

// piece returns the length of a message, of at most n bytes. Some are long.
func piece(n int) int {
	if rand.IntN(20) == 0 {
		return min(1+rand.IntN(3*uringnet.MostUnread/2), n)
	}
	return min(1+rand.IntN(100), n)
}

func sendInPieces(c *uringnet.Conn, data []byte) error {
	for len(data) > 0 {
		n := piece(len(data))
		if _, err := c.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// TestStreamKeepsOrder: readers take turns, in tasks of two loops and in goroutines, with
// buffers of all sizes. Some of them give up.
func TestStreamKeepsOrder(t *testing.T) {
	skipWithoutMultishot(t)
	worlds := []world{{t, newLoop(t)}, {t, nil}, {t, newLoop(t)}}
	a, b := pair(t, "tcp")
	require.NoError(t, b.SetWriteBuffer(200000)) // so that no write waits
	require.NoError(t, a.SetReadBuffer(200000))
	data, got, sent := text(2<<20), []byte(nil), 0
	exchange := func(ctx context.Context) {
		if under := sent - len(got); under == 0 || under < 1<<12 && rand.IntN(4) == 0 {
			n := piece(len(data) - sent)
			_, err := b.Write(data[sent : sent+n])
			require.NoError(t, err)
			sent += n
		}
		got = append(got, readSome(t, ctx, a)...)
	}
	armed, changes := false, 0
	for len(got) < len(data) {
		worlds[rand.IntN(3)].do(func(ctx context.Context) {
			for n := rand.IntN(30); n > 0 && len(got) < len(data); n-- {
				exchange(ctx)
			}
		})
		if now, _ := uringnet.Streaming(a); now != armed {
			armed, changes = now, changes+1
		}
	}
	require.True(t, bytes.Equal(data, got))
	require.Greater(t, changes, 1)
}

// readSome reads once, under a context and a deadline that may end at any time.
func readSome(t *testing.T, ctx context.Context, c *uringnet.Conn) []byte {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := make([]byte, 1+rand.IntN(1<<rand.IntN(16)))
	switch rand.IntN(10) {
	case 0:
		defer time.AfterFunc(10*time.Microsecond, cancel).Stop()
	case 1:
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Microsecond)))
		defer c.SetReadDeadline(time.Time{})
	}
	n, err := c.ReadContext(ctx, p)
	if err != nil {
		require.Zero(t, n)
		require.True(t, errors.Is(err, context.Canceled) || errors.Is(err, os.ErrDeadlineExceeded), err)
	}
	return p[:n]
}

// TestStreamHasManyReaders, at the same time, and deadlines that come and go.
func TestStreamHasManyReaders(t *testing.T) {
	onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
		var want, got [256]int
		data := text(200000)
		for _, c := range data {
			want[c]++
		}
		counts := make(chan [256]int, 6)
		for _, w := range []world{w, {t, nil}, {t, newLoop(t)}, w, {t, nil}, w} {
			w.start(func(ctx context.Context) { counts <- countUntilEOF(ctx, a) })
		}
		sent := make(chan error, 1)
		go func() { sent <- errors.Join(sendInPieces(b, data), b.CloseWrite()) }()
		for range 50 {
			require.NoError(t, a.SetReadDeadline(past))
			require.NoError(t, a.SetReadDeadline(time.Time{}))
		}
		require.NoError(t, <-sent)
		for range cap(counts) {
			for c, n := range <-counts {
				got[c] += n
			}
		}
		require.Equal(t, want, got)
	})
}

func countUntilEOF(ctx context.Context, c *uringnet.Conn) (counts [256]int) {
	p := make([]byte, 500)
	for {
		n, err := c.ReadContext(ctx, p)
		for _, b := range p[:n] {
			counts[b]++
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return counts // io.EOF; else bytes are missing
		}
	}
}

// TestStreamStops when too much is unread, and the sender has to wait.
func TestStreamStops(t *testing.T) {
	onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
		data := text(10 << 20)
		sent := make(chan error, 1)
		go func() {
			_, err := b.Write(data)
			sent <- errors.Join(err, b.CloseWrite())
		}()
		w.do(func(ctx context.Context) {
			awaitState(ctx, a, func(armed bool, _ int) bool { return !armed })
			_, unread := uringnet.Streaming(a)
			require.Greater(t, unread, uringnet.MostUnread)
			require.Less(t, unread, 2<<20)
			select {
			case <-sent:
				t.Error("the sender did not wait")
			default:
			}
			got := make([]byte, len(data))
			_, err := io.ReadFull(a, got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
			_, err = a.Read(got)
			require.ErrorIs(t, err, io.EOF)
		})
		require.NoError(t, <-sent)
	})
}

// TestStreamsRunOutOfBuffers, since many receive in one turn.
func TestStreamsRunOutOfBuffers(t *testing.T) {
	const conns, size = 24, 60 << 10
	w := world{t, newLoop(t)}
	var from, to [conns]*uringnet.Conn
	for i := range conns {
		to[i], from[i] = pair(t, "tcp")
		streaming(t, w, to[i], from[i])
	}
	data := text(size)
	written := make(chan struct{})
	require.NoError(t, w.loop.Post(func() { <-written }))
	for _, c := range from {
		_, err := c.Write(data)
		require.NoError(t, err)
	}
	close(written)
	w.do(func(context.Context) {
		for _, c := range to {
			got := make([]byte, size)
			_, err := io.ReadFull(c, got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
		}
	})
	for i := range conns { // each works as before
		exchange(t, w, from[i], to[i])
		streaming(t, w, to[i], from[i])
	}
}

// TestDeadlineEndsReadOfStream, and so does a context. The receive goes on.
func TestDeadlineEndsReadOfStream(t *testing.T) {
	onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
		for _, w := range []world{w, {t, nil}} {
			w.do(func(ctx context.Context) {
				p := make([]byte, 2)
				require.NoError(t, a.SetReadDeadline(time.Now().Add(time.Millisecond)))
				_, err := a.Read(p)
				requireTimeout(t, err)
				_, err = b.Write([]byte("x"))
				require.NoError(t, err)
				_, err = a.Read(p) // although there is data
				requireTimeout(t, err)
				require.NoError(t, a.SetReadDeadline(time.Time{}))
				n, err := a.Read(p)
				require.NoError(t, err)
				require.Equal(t, 1, n)
				ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				_, err = a.ReadContext(ctx, p)
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
			requireArmed(t, a, true)
			exchange(t, w, b, a)
		}
	})
}

// TestStreamEnds as reads without one do: at the end, by a reset, and by CloseRead.
func TestStreamEnds(t *testing.T) {
	end := func(name string, f func(t *testing.T, a, b *uringnet.Conn), want error) {
		t.Run(name, func(t *testing.T) {
			onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
				if _, ok := a.LocalAddr().(*net.UnixAddr); ok && want == unix.ECONNRESET {
					t.Skip("unix sockets are not reset")
				}
				_, err := b.Write([]byte("rest"))
				require.NoError(t, err)
				w.do(func(ctx context.Context) {
					awaitState(ctx, a, func(_ bool, unread int) bool { return unread == 4 })
					f(t, a, b)
					awaitState(ctx, a, func(armed bool, _ int) bool { return !armed })
					p := make([]byte, 4)
					n, err := io.ReadFull(a, p)
					require.NoError(t, err)
					require.Equal(t, "rest", string(p[:n]))
					_, err = a.Read(p)
					require.ErrorIs(t, err, want)
					_, err = a.Read(p)
					require.ErrorIs(t, err, io.EOF)
				})
				requireArmed(t, a, false)
			})
		})
	}
	end("CloseWrite", func(t *testing.T, a, b *uringnet.Conn) { require.NoError(t, b.CloseWrite()) }, io.EOF)
	end("CloseRead", func(t *testing.T, a, b *uringnet.Conn) { require.NoError(t, a.CloseRead()) }, io.EOF)
	end("reset", func(t *testing.T, a, b *uringnet.Conn) {
		require.NoError(t, b.SetLinger(0))
		require.NoError(t, b.Close())
	}, unix.ECONNRESET)
}

// TestCloseEndsStream, with readers that wait for it and without.
func TestCloseEndsStream(t *testing.T) {
	for range 5 {
		onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
			var all []<-chan struct{}
			for _, w := range []world{w, {t, nil}, w}[:rand.IntN(4)] {
				all = append(all, w.start(func(context.Context) {
					_, err := a.Read(make([]byte, 1))
					require.ErrorIs(t, err, net.ErrClosed)
				}))
			}
			[]world{w, {t, nil}}[rand.IntN(2)].do(func(context.Context) { require.NoError(t, a.Close()) })
			requireArmed(t, a, false)
			for _, done := range all {
				<-done
			}
		})
	}
}

// TestLoopClosesUnderStream: what has come is read elsewhere, and another loop streams.
func TestLoopClosesUnderStream(t *testing.T) {
	onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
		_, err := b.Write([]byte("one"))
		require.NoError(t, err)
		w.do(func(ctx context.Context) {
			awaitState(ctx, a, func(_ bool, unread int) bool { return unread == 3 })
		})
		require.NoError(t, w.loop.Close(bg))
		requireArmed(t, a, false)
		_, err = b.Write([]byte("two"))
		require.NoError(t, err)
		p := make([]byte, 6)
		_, err = io.ReadFull(a, p)
		require.NoError(t, err)
		require.Equal(t, "onetwo", string(p))
		streaming(t, world{t, newLoop(t)}, a, b)
	})
}

// rudeParker calls end when it is woken, once.
type rudeParker struct {
	wake.Parker
	end  func()
	once sync.Once
}

func (p *rudeParker) Wake() {
	p.Parker.Wake()
	p.once.Do(p.end)
}

// TestRudeReaderOfStream: the loop goes on.
func TestRudeReaderOfStream(t *testing.T) {
	onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
		ctx := wake.WithParker(bg, &rudeParker{Parker: wake.NewParker(), end: runtime.Goexit})
		read := world{t, nil}.start(func(context.Context) {
			_, err := a.ReadContext(ctx, make([]byte, 2))
			require.NoError(t, err)
		})
		w.do(func(ctx context.Context) {
			for asleep := false; !asleep; asleep, _ = uringnet.Asleep(a, false) {
				uringwake.Sleep(ctx, 100*time.Microsecond)
			}
		})
		_, err := b.Write([]byte("x"))
		require.NoError(t, err)
		<-read
		for range 3 {
			exchange(t, w, b, a)
		}
	})
}

// TestRudeReaderAndLeaver: the waiter for the end of the receive is woken all the same.
func TestRudeReaderAndLeaver(t *testing.T) {
	onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
		ctx := wake.WithParker(bg, &rudeParker{Parker: wake.NewParker(), end: runtime.Goexit})
		read := world{t, nil}.start(func(context.Context) {
			_, err := a.ReadContext(ctx, make([]byte, 2))
			require.NoError(t, err)
		})
		asleep(a, false)
		f, err := a.File()
		require.NoError(t, err)
		require.NoError(t, f.Close())
		_, err = b.Write([]byte("x"))
		require.NoError(t, err)
		<-read
	})
}

// TestRawReadEndsStream: the function is not called while it would miss bytes.
func TestRawReadEndsStream(t *testing.T) {
	onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
		_, err := b.Write([]byte("x"))
		require.NoError(t, err)
		w.do(func(ctx context.Context) {
			awaitState(ctx, a, func(_ bool, unread int) bool { return unread == 1 })
			raw, err := a.SyscallConn()
			require.NoError(t, err)
			require.Error(t, raw.Read(func(uintptr) bool { t.Error("called"); return true }))
			requireArmed(t, a, false)
			_, err = a.Read(make([]byte, 2))
			require.NoError(t, err)
			require.NoError(t, raw.Read(func(fd uintptr) bool {
				_, err := unix.Read(int(fd), make([]byte, 1))
				require.Equal(t, unix.EAGAIN, err)
				return true
			}))
			for range 5 {
				exchangeHere(t, b, a)
			}
			requireArmed(t, a, false)
		})
	})
}

func exchangeHere(t *testing.T, from, to *uringnet.Conn) {
	_, err := from.Write([]byte("x"))
	require.NoError(t, err)
	_, err = to.Read(make([]byte, 2))
	require.NoError(t, err)
}

// TestFileEndsStream, also while a reader waits.
func TestFileEndsStream(t *testing.T) {
	onStream(t, func(t *testing.T, w world, a, b *uringnet.Conn) {
		done := w.start(func(context.Context) {
			_, err := a.Read(make([]byte, 2))
			require.NoError(t, err)
		})
		f, err := a.File()
		require.NoError(t, err)
		defer f.Close()
		requireArmed(t, a, false)
		_, err = b.Write([]byte("x"))
		require.NoError(t, err)
		<-done
		_, err = b.Write([]byte("y"))
		require.NoError(t, err)
		n, err := f.Read(make([]byte, 2))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// TestNoStream for packets, for unix sockets, in goroutines, and where a read does not take one message.
func TestNoStream(t *testing.T) {
	w := world{t, newLoop(t)}
	for _, c := range []struct {
		network string
		world
		room int
	}{{"unixpacket", w, 2}, {"unix", w, 2}, {"tcp", world{t, nil}, 2}, {"tcp", w, 1}} {
		a, b := pair(t, c.network)
		c.do(func(context.Context) {
			for range 10 {
				_, err := b.Write([]byte("x"))
				require.NoError(t, err)
				_, err = a.Read(make([]byte, c.room))
				require.NoError(t, err)
			}
		})
		requireArmed(t, a, false)
	}
}

func TestReadWithoutPollFirst(t *testing.T) {
	defer uringnet.ForgetPollFirst()()
	w := world{t, newLoop(t)}
	a, b := pair(t, "tcp")
	for range 3 {
		exchange(t, w, b, a)
	}
}

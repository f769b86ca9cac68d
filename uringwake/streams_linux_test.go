package uringwake

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/wake"
)

// listening returns a socket that listens on the loopback device, and its address.
func listening(t *testing.T) (fd int, addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	t.Cleanup(func() { l.Close(); f.Close() })
	return int(f.Fd()), l.Addr().String()
}

// dial makes n connections and leaves them open.
func dial(t *testing.T, addr string, n int) (conns []net.Conn) {
	for range n {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		conns = append(conns, c)
	}
	return conns
}

// descriptors returns how many descriptors are open.
func descriptors(t *testing.T) int {
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

func TestAcceptAll(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		fd, addr := listening(t)
		dial(t, addr, 5)
		n := 0
		for c, err := range AcceptAll(ctx, fd) {
			require.NoError(t, err)
			require.NoError(t, unix.Close(c))
			if n++; n == 5 {
				break
			}
		}
		require.Equal(t, 5, n)
	})
}

// TestAcceptAllClosesWhatIsLeft: connections come after the body has left.
func TestAcceptAllClosesWhatIsLeft(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		fd, addr := listening(t)
		conns := dial(t, addr, 10)
		for c, err := range AcceptAll(ctx, fd) {
			require.NoError(t, err)
			unix.Close(c)
			break
		}
		require.NoError(t, unix.Shutdown(fd, unix.SHUT_RDWR)) // what was not accepted is reset
		for _, c := range conns {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
			Blocking(ctx, func() {
				_, err := c.Read(make([]byte, 1))
				require.Error(t, err)
				require.False(t, errors.Is(err, os.ErrDeadlineExceeded))
			})
		}
	})
}

// TestRecvAll gets all bytes and the end, of unix sockets and of TCP's.
func TestRecvAll(t *testing.T) {
	t.Run("unix", func(t *testing.T) { receiveAll(t, socketPair) })
	t.Run("tcp", func(t *testing.T) {
		receiveAll(t, func(t *testing.T) (a, b int) {
			a, b = tcpDescriptors(t)
			t.Cleanup(func() { unix.Close(a); unix.Close(b) })
			return a, b
		})
	})
}

func receiveAll(t *testing.T, connect func(t *testing.T) (a, b int)) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		a, b := connect(t)
		const n = 20000
		sent := make(chan error, 1)
		go func() {
			var err error
			for i := 0; i < n && err == nil; i++ {
				_, err = Write(background, b, []byte(strconv.Itoa(i)+" "), -1)
			}
			sent <- errors.Join(err, unix.Shutdown(b, unix.SHUT_WR))
		}()
		var got []byte
		for p, err := range RecvAll(ctx, a) {
			require.NoError(t, err)
			got = append(got, p...)
		}
		require.NoError(t, <-sent)
		var want []byte
		for i := range n {
			want = append(want, strconv.Itoa(i)+" "...)
		}
		require.Equal(t, string(want), string(got))
	})
}

// TestRecvAllPauses: a body that does not take what comes stops the peer, and gets all
// in the end.
func TestRecvAllPauses(t *testing.T) {
	const most = 8 << 20
	pauses := func(ctx context.Context, inFlight func() int) {
		a, b := socketPair(t)
		sent, got := fillWhile(b, 1, nil), 0
		for p, err := range RecvAll(ctx, a) {
			require.NoError(t, err)
			if sent == 1 {
				Blocking(ctx, func() { sent += fillWhile(b, most, inFlight) })
			}
			if got += len(p); got == sent {
				break
			}
		}
		require.Less(t, sent, most)
	}
	d := UseGoroutineDriver(t, 8, 64)
	pauses(background, d.InFlight)
	onTask(t, func(ctx context.Context, l *Loop) {
		pauses(ctx, func() (n int) {
			OnLoop(t, l, func() { n = l.InFlight() })
			return n
		})
	})
}

// fillWhile writes up to most bytes, and stops when nothing is in flight and there is no
// room. It returns how many it wrote.
func fillWhile(fd, most int, inFlight func() int) (n int) {
	for n < most {
		m, err := unix.Write(fd, make([]byte, min(most-n, 1<<12)))
		if err != nil && inFlight() == 0 {
			break
		}
		n += max(m, 0)
	}
	return n
}

func TestRecvAllDatagrams(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		require.NoError(t, err)
		defer unix.Close(p[0])
		defer unix.Close(p[1])
		want := []string{"a", "", "bc", "end"}
		for _, s := range want {
			require.NoError(t, unix.Sendto(p[1], []byte(s), 0, nil))
		}
		var got []string
		for d, err := range RecvAll(ctx, p[0]) {
			require.NoError(t, err)
			if got = append(got, string(d)); string(d) == "end" {
				break
			}
		}
		require.Equal(t, want, got)
	})
}

func TestPollAll(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		a, b := socketPair(t)
		_, err := unix.Write(b, []byte("x"))
		require.NoError(t, err)
		n := 0
		for events, err := range PollAll(ctx, a, unix.POLLIN) {
			require.NoError(t, err)
			require.NotZero(t, events&unix.POLLIN)
			for m := 1; m > 0; {
				m, _ = unix.Read(a, make([]byte, 8))
			}
			if n++; n == 100 {
				break
			}
			_, err = unix.Write(b, []byte("x"))
			require.NoError(t, err)
		}
	})
}

func TestTicks(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		begin, n := time.Now(), 0
		for m, err := range Ticks(ctx, time.Millisecond) {
			require.NoError(t, err)
			require.Positive(t, m)
			if n += m; n >= 5 {
				break
			}
		}
		require.GreaterOrEqual(t, time.Since(begin), 5*time.Millisecond)
		require.Panics(t, func() { Ticks(ctx, 0) })
	})
}

// TestStreamsEndWithTheirContext and with the error of what they wait for.
func TestStreamsEndWithTheirContext(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		listener, _ := listening(t)
		a, b := socketPair(t)
		fill(b)
		for name, last := range map[string]func(context.Context) error{
			"accept": func(ctx context.Context) (err error) {
				for _, err = range AcceptAll(ctx, listener) {
				}
				return err
			},
			"recv": func(ctx context.Context) (err error) {
				for _, err = range RecvAll(ctx, b) {
				}
				return err
			},
			"poll": func(ctx context.Context) (err error) {
				for _, err = range PollAll(ctx, b, unix.POLLIN) {
				}
				return err
			},
			"ticks": func(ctx context.Context) (err error) {
				for _, err = range Ticks(ctx, time.Hour) {
				}
				return err
			},
		} {
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			require.ErrorIs(t, last(short), context.DeadlineExceeded, name)
			require.ErrorIs(t, last(short), context.DeadlineExceeded, name)
			cancel()
		}
		for _, err := range AcceptAll(ctx, a) {
			require.ErrorIs(t, err, unix.EINVAL)
		}
		for _, err := range RecvAll(ctx, -1) {
			require.ErrorIs(t, err, unix.EBADF)
		}
	})
}

// fill writes until fd takes no more.
func fill(fd int) {
	for n := 1; n > 0; {
		n, _ = unix.Write(fd, make([]byte, 1<<16))
	}
}

// TestRudeBodies leave nothing armed.
func TestRudeBodies(t *testing.T) {
	for _, rude := range []func(){func() { panic("rude") }, runtime.Goexit} {
		testRudeBody(t, rude)
	}
}

func testRudeBody(t *testing.T, rude func()) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	l, err := NewLoop(&LoopOptions{OnPanic: func(any, []byte) {}})
	require.NoError(t, err)
	fd, addr := listening(t)
	conns := dial(t, addr, 3)
	body := func(ctx context.Context) {
		for c := range AcceptAll(ctx, fd) {
			unix.Close(c)
			rude()
		}
	}
	ended := make(wake.Chan, 1)
	require.NoError(t, l.Go(background, func(ctx context.Context) {
		defer ended.Wake()
		body(ctx)
	}))
	<-ended
	OnLoop(t, l, func() { require.Zero(t, l.InFlight()) })
	dial(t, addr, 1)
	go func() {
		defer ended.Wake()
		defer func() { recover() }()
		body(background)
	}()
	<-ended
	require.NoError(t, l.Close(background))
	require.NotEmpty(t, conns)
}

// TestStreamsWithoutMultishot repeat one operation.
func TestStreamsWithoutMultishot(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		fd, addr := listening(t)
		dial(t, addr, 3)
		s, n := acceptStream(ctx, fd), 0
		multishot := s.prepare
		s.prepare = func(o *op) {
			if multishot(o); !s.again {
				o.sqe.OpFlags = 1 << 30 // which the kernel refuses, as an older one does multishot
			}
		}
		three := func(int32, []byte) bool { n++; return n%3 > 0 }
		require.NoError(t, s.run(func(c int32, _ []byte) bool { unix.Close(int(c)); return three(c, nil) }))
		require.True(t, s.again)

		s = tickStream(ctx, time.Millisecond)
		s.repeat()
		require.NoError(t, s.run(three))

		a, b := socketPair(t)
		s = recvStream(ctx, a)
		s.repeat()
		_, err := unix.Write(b, []byte("x"))
		require.NoError(t, err)
		var got []byte
		require.NoError(t, s.run(func(_ int32, p []byte) bool {
			got = append(got, p...)
			_, err := unix.Write(b, []byte("x"))
			require.NoError(t, err)
			return len(got) < 100
		}))
	})
}

package uringwake

import (
	"context"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

var background = context.Background()

// inBoth runs f in a goroutine and in a task.
func inBoth(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	t.Run("goroutine", func(t *testing.T) { f(t, background) })
	t.Run("task", func(t *testing.T) {
		onTask(t, func(ctx context.Context, _ *Loop) { f(t, ctx) })
	})
}

func TestStartGivesTheBufferBack(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		a, b := socketPair(t)
		p := make([]byte, 8)
		s := Start(ctx, RecvOp(a, p, 0))
		_, done := s.Result()
		require.False(t, done)
		r, err := Start(ctx, SendOp(b, []byte("hello"), 0)).Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, 5, r.N)
		for range 2 {
			r, err = s.Wait(ctx)
			require.NoError(t, err)
			require.Same(t, &p[0], &r.Buf[0])
			require.Equal(t, "hello", string(r.Buf[:r.N]))
		}
		again, done := s.Result()
		require.True(t, done)
		require.Equal(t, r, again)
	})
}

func TestStartedKinds(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		run := func(op Op) Result {
			r, err := Start(ctx, op).Wait(ctx)
			require.NoError(t, err, calls[op.kind])
			return r
		}
		run(NopOp())
		run(TimeoutOp(time.Millisecond))
		run(TimeoutOp(-1))
		a, b := socketPair(t)
		require.Equal(t, 2, run(WriteOp(a, []byte("ab"), -1)).N)
		require.EqualValues(t, unix.POLLIN, run(PollOp(b, unix.POLLIN)).N)
		require.Equal(t, 2, run(ReadOp(b, make([]byte, 4), -1)).N)
	})
}

func TestStartedOperationsFail(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		p := make([]byte, 1)
		for _, op := range []Op{ReadOp(-1, p, 0), ReadOp(1<<20, p, 0), SendZCOp(1<<20, p, 0)} {
			r, err := Start(ctx, op).Wait(ctx)
			require.ErrorIs(t, err, unix.EBADF)
			require.Equal(t, Result{Buf: p, Err: err}, r)
		}
		_, err := Start(ctx, ReadOp(0, p, -2)).Wait(ctx)
		require.ErrorIs(t, err, unix.EINVAL)
		require.Panics(t, func() { Start(ctx, Op{}) })
		var none context.Context
		require.Panics(t, func() { Start(none, NopOp()) })
	})
}

// TestWaitThatFails leaves the operation in flight, and several may wait.
func TestWaitThatFails(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		a, b := socketPair(t)
		s := Start(ctx, RecvOp(a, make([]byte, 1), 0))
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		_, err := s.Wait(short)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		var g sync.WaitGroup
		for range 3 {
			g.Go(func() {
				r, err := s.Wait(background)
				if r.N != 1 || err != nil {
					t.Error(r, err)
				}
			})
		}
		_, err = unix.Write(b, []byte("x"))
		require.NoError(t, err)
		_, err = s.Wait(ctx)
		require.NoError(t, err)
		Blocking(ctx, g.Wait)
	})
}

func TestCancelReturnsAtOnce(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		a, _ := socketPair(t)
		for range 100 {
			s := Start(ctx, RecvOp(a, make([]byte, 1), 0))
			s.Cancel()
			_, err := s.Wait(ctx)
			require.ErrorIs(t, err, unix.ECANCELED)
			s.Cancel()
		}
	})
}

func TestRegister(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		a, b := socketPair(t)
		s := Start(ctx, RecvOp(a, make([]byte, 1), 0))
		woken, stopped := make(wake.Chan, 1), make(wake.Chan, 1)
		r := s.Register(woken)
		require.True(t, s.Register(stopped).Stop())
		s.Register(nil)
		_, err := unix.Write(b, []byte("x"))
		require.NoError(t, err)
		Blocking(ctx, func() { <-woken })
		require.False(t, r.Stop())
		require.Empty(t, stopped)
		_, done := s.Result()
		require.True(t, done)
		late := s.Register(stopped)
		require.Len(t, stopped, 1)
		require.False(t, late.Stop())
	})
}

// TestRudeWakersOfASubmission: one panics, one ends the goroutine, and the last is called.
func TestRudeWakersOfASubmission(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	panics := make(chan any, 1)
	l, err := NewLoop(&LoopOptions{OnPanic: func(v any, _ []byte) { panics <- v }})
	require.NoError(t, err)
	last := make(wake.Chan, 1)
	a, b := socketPair(t)
	require.NoError(t, l.Go(background, func(ctx context.Context) {
		s := Start(ctx, RecvOp(a, make([]byte, 1), 0))
		s.Register(wake.Func(func() { panic("rude") }))
		s.Register(wake.Func(runtime.Goexit))
		s.Register(last)
		unix.Write(b, []byte("x"))
		s.Wait(ctx)
	}))
	<-last
	require.NoError(t, l.Close(background))
}

func TestLoopEndsItsSubmissions(t *testing.T) {
	l := startedLoop(t)
	a, _ := socketPair(t)
	var s *Submission
	require.NoError(t, l.Go(background, func(ctx context.Context) {
		s = Start(ctx, RecvOp(a, make([]byte, 1), 0))
	}))
	require.NoError(t, l.Close(background))
	_, err := s.Wait(background)
	require.ErrorIs(t, err, ErrClosed)
}

// TestDroppedSubmission is canceled, its buffer freed and it is reported, and what it
// accepted is closed.
func TestDroppedSubmission(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	seen := make(chan string, 10)
	l, err := NewLoop(&LoopOptions{Logger: slog.New(slog.NewTextHandler(lines(seen), nil))})
	require.NoError(t, err)
	defer l.Close(background)
	a, _ := socketPair(t)
	freed := make(chan struct{})
	require.NoError(t, l.Go(background, func(ctx context.Context) {
		p := new([64]byte)
		runtime.AddCleanup(p, func(c chan struct{}) { close(c) }, freed)
		Start(ctx, RecvOp(a, p[:], 0))
		Start(ctx, RecvOp(a, make([]byte, 1), 0)).Cancel() // not reported
	}))
	collectUntil(freed)
	for inFlight := 1; inFlight > 0; {
		OnLoop(t, l, func() { inFlight = l.InFlight() })
	}
	require.Contains(t, <-seen, "dropped")
	require.Empty(t, seen)
}

// collectUntil collects garbage until there is something in c.
func collectUntil(c <-chan struct{}) {
	for {
		select {
		case <-c:
			return
		default:
			runtime.GC()
		}
	}
}

func TestDroppedAccept(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		old := slog.Default()
		slog.SetDefault(slog.New(slog.DiscardHandler))
		defer slog.SetDefault(old)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer listener.Close()
		f, err := listener.(*net.TCPListener).File()
		require.NoError(t, err)
		defer f.Close()
		c, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		func() {
			done := make(wake.Chan, 1)
			s := Start(ctx, AcceptOp(int(f.Fd())))
			s.Register(done)
			Blocking(ctx, func() { <-done })
			runtime.KeepAlive(s)
		}()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			c.Read(make([]byte, 1)) // until the peer has closed it
		}()
		Blocking(ctx, func() { collectUntil(closed) })
	})
}

func TestSendZC(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		if err := trials[ring.OpSendZC].ask(); err != nil {
			t.Skip(err)
		}
		a, b := tcpPair(t)
		p := []byte(strings.Repeat("x", 1<<14))
		s := Start(ctx, SendZCOp(a, p, unix.MSG_WAITALL))
		got := 0
		for q := make([]byte, 1<<15); got < len(p); {
			r, err := Start(ctx, RecvOp(b, q, 0)).Wait(ctx)
			require.NoError(t, err)
			got += r.N
		}
		r, err := s.Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, len(p), r.N)
		require.Same(t, &p[0], &r.Buf[0])
		require.True(t, r.Copied, "the loopback device copies")
	})
}

// TestNotificationGivesTheBufferBack, and the result that came before does not.
func TestNotificationGivesTheBufferBack(t *testing.T) {
	f := &flight{op: SendZCOp(0, make([]byte, 5), 0)}
	s := &Submission{submissionState{flight: f}}
	f.Completed(5, ring.CQEMore, nil)
	_, done := s.Result()
	require.False(t, done)
	f.Completed(-1<<31, ring.CQENotif, nil)
	r, done := s.Result()
	require.True(t, done)
	require.Equal(t, Result{N: 5, Buf: f.op.p, Copied: true}, r)
}

// tcpPair returns the two ends of a connection.
func tcpPair(t *testing.T) (a, b int) {
	a, b = tcpDescriptors(t)
	t.Cleanup(func() { unix.Close(a); unix.Close(b) })
	return a, b
}

// tcpDescriptors is tcpPair, and the caller closes them.
func tcpDescriptors(t *testing.T) (a, b int) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	x, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	y, err := l.Accept()
	require.NoError(t, err)
	end := func(c net.Conn) int {
		defer c.Close()
		f, err := c.(*net.TCPConn).File()
		require.NoError(t, err)
		defer f.Close()
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, unix.SetNonblock(fd, true))
		return fd
	}
	return end(x), end(y)
}

package uringwake_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// newLoop starts a loop that the test closes.
func newLoop(t testing.TB, o *uringwake.LoopOptions) *uringwake.Loop {
	t.Helper()
	if err := uringwake.Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	l, err := uringwake.NewLoop(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	return l
}

// run runs f as a task of l and waits for its end.
func run(t testing.TB, l *uringwake.Loop, f func(ctx context.Context)) {
	t.Helper()
	var done waitgroup.Group
	done.Add(1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		defer done.Done()
		f(ctx)
	}))
	require.NoError(t, done.Wait(context.Background()))
}

func TestTaskAwaitsThePrimitivesOfGoroutines(t *testing.T) {
	l := newLoop(t, nil)
	var m waitmap.Map[string, int]
	var n notify.Notify
	var done waitgroup.Group
	got := make(chan int, 1)
	done.Add(1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		defer done.Done()
		v, err := m.Wait(ctx, "answer")
		if err == nil {
			err = n.Wait(ctx)
		}
		if err != nil {
			v = -1
		}
		got <- v
	}))
	m.Store("answer", 42)
	n.NotifyOne()
	require.NoError(t, done.Wait(context.Background()))
	require.Equal(t, 42, <-got)
}

func TestTasksWakeEachOther(t *testing.T) {
	l := newLoop(t, nil)
	var m waitmap.Map[int, int]
	const rounds = 10_000
	var done waitgroup.Group
	done.Add(2)
	var bad atomic.Int64
	for side := range 2 {
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			defer done.Done()
			for i := side; i < rounds; i += 2 {
				if v, err := m.Take(ctx, i); err != nil || v != i {
					bad.Add(1)
				}
				m.Store(i+1, i+1)
			}
		}))
	}
	m.Store(0, 0)
	require.NoError(t, done.Wait(context.Background()))
	require.Zero(t, bad.Load())
}

func TestReadAndWriteInATaskAndInAGoroutine(t *testing.T) {
	l := newLoop(t, nil)
	both := func(ctx context.Context, fds [2]int) error {
		if n, err := uringwake.Write(ctx, fds[1], []byte("hello"), -1); n != 5 || err != nil {
			return errors.Join(err, errors.New("short"))
		}
		buf := make([]byte, 10)
		n, err := uringwake.Read(ctx, fds[0], buf, -1)
		if err == nil && string(buf[:n]) != "hello" {
			err = errors.New("read " + string(buf[:n]))
		}
		return errors.Join(err, uringwake.Close(ctx, fds[0]), uringwake.Close(ctx, fds[1]), uringwake.Nop(ctx))
	}
	fds := pipe(t)
	require.NoError(t, both(context.Background(), fds))
	fds = pipe(t)
	run(t, l, func(ctx context.Context) { require.NoError(t, both(ctx, fds)) })
}

func pipe(t testing.TB) [2]int {
	var fds [2]int
	require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
	return fds
}

func TestAGoexitEndsTheTaskOnly(t *testing.T) {
	l := newLoop(t, nil)
	for range 10 {
		run(t, l, func(context.Context) { runtime.Goexit() })
	}
	run(t, l, func(ctx context.Context) { require.NoError(t, uringwake.Nop(ctx)) })
}

func TestContextEndsAnOperation(t *testing.T) {
	l := newLoop(t, nil)
	fds := pipe(t)
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	cause := errors.New("cause")
	read := func(ctx context.Context) {
		ctx, cancel := context.WithCancelCause(ctx)
		context.AfterFunc(context.Background(), func() {})
		go cancel(cause)
		_, err := uringwake.Read(ctx, fds[0], make([]byte, 1), -1)
		require.ErrorIs(t, err, cause)
		require.ErrorIs(t, err, context.Canceled)
	}
	for range 100 {
		read(context.Background())
		run(t, l, read)
	}
}

func TestCloseEndsTasks(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	for _, parent := range []bool{false, true} {
		l, err := uringwake.NewLoop(nil)
		require.NoError(t, err)
		ctx, cancel := context.Background(), func() {}
		if parent {
			ctx, cancel = context.WithCancel(ctx)
		}
		var n notify.Notify
		errs := make(chan error, 100)
		for range 100 {
			require.NoError(t, l.Go(ctx, func(ctx context.Context) { errs <- n.Wait(ctx) }))
		}
		require.NoError(t, l.Close(context.Background()))
		for range 100 {
			require.ErrorIs(t, <-errs, uringwake.ErrClosed)
		}
		require.ErrorIs(t, l.Go(ctx, func(context.Context) {}), uringwake.ErrClosed)
		require.ErrorIs(t, l.Post(func() {}), uringwake.ErrClosed)
		cancel()
	}
}

func TestZeroValuesPanicWithThePackagesName(t *testing.T) {
	ctx := context.Background()
	for name, use := range map[string]func(){
		"Loop.Go":       func() { _ = new(uringwake.Loop).Go(ctx, func(context.Context) {}) },
		"Loop.Post":     func() { _ = new(uringwake.Loop).Post(func() {}) },
		"Loop.Close":    func() { _ = new(uringwake.Loop).Close(ctx) },
		"Loop.Stats":    func() { new(uringwake.Loop).Stats() },
		"Loop.FD":       func() { new(uringwake.Loop).FD() },
		"Runtime.Go":    func() { _ = new(uringwake.Runtime).Go(ctx, func(context.Context) {}) },
		"Runtime.Close": func() { _ = new(uringwake.Runtime).Close(ctx) },
	} {
		func() {
			defer func() { require.Contains(t, fmt.Sprint(recover()), "uringwake: a ", name) }()
			use()
		}()
	}
}

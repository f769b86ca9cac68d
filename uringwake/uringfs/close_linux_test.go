package uringfs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// A waiting is a call that waits for others: a read of an empty pipe, or a write to a
// full one.
type waiting struct {
	name   string
	writes bool
	call   func(ctx context.Context, f *uringfs.File) error
}

var waits = []waiting{
	{"Read", false, func(ctx context.Context, f *uringfs.File) error {
		_, err := f.ReadContext(ctx, make([]byte, 4))
		return err
	}},
	{"WriteTo", false, func(ctx context.Context, f *uringfs.File) error {
		_, err := f.WriteToContext(ctx, new(strings.Builder))
		return err
	}},
	{"Write", true, func(ctx context.Context, f *uringfs.File) error {
		_, err := f.WriteContext(ctx, []byte("more"))
		return err
	}},
	{"ReadFrom", true, func(ctx context.Context, f *uringfs.File) error {
		_, err := f.ReadFromContext(ctx, strings.NewReader("more"))
		return err
	}},
}

// An ending is a way in which a wait ends, with what its error matches. Without any it
// succeeds.
type ending struct {
	name string
	end  func(t testing.TB, w *world)
	want []error
}

var errCause = errors.New("cause")

var endings = []ending{
	{"completion", func(t testing.TB, w *world) { w.complete(t) }, nil},
	{"cancel", func(t testing.TB, w *world) { w.cancel(errCause) }, []error{context.Canceled, errCause}},
	{"Close", func(t testing.TB, w *world) { require.NoError(t, w.file.Close()) }, []error{os.ErrClosed}},
	{"Close in a task", func(t testing.TB, w *world) {
		inTask(t, func(ctx context.Context) { require.NoError(t, w.file.CloseContext(ctx)) })
	}, []error{os.ErrClosed}},
	{"Close in the same loop", func(t testing.TB, w *world) {
		closed := make(chan error, 1)
		require.NoError(t, w.loop.Go(context.Background(), func(ctx context.Context) { closed <- w.file.CloseContext(ctx) }))
		require.NoError(t, <-closed)
	}, []error{os.ErrClosed}},
	{"the loop's end", func(t testing.TB, w *world) { require.NoError(t, w.loop.Close(context.Background())) },
		[]error{uringwake.ErrClosed, context.Canceled}},
}

// A world is a pipe, and where a call waits for it.
type world struct {
	waiting
	loop        *uringwake.Loop // nil in a goroutine
	file, other *uringfs.File
	cancel      context.CancelCauseFunc // of the call
}

func newWorld(t testing.TB, c waiting, task bool) *world {
	r, w := pipe(t)
	v := &world{waiting: c, file: r, other: w}
	if c.writes {
		v.file, v.other = w, r
		fill(t, w)
	}
	if task {
		v.loop = newLoop(t)
	}
	return v
}

// fill writes until a pipe has no room.
func fill(t testing.TB, w *uringfs.File) {
	c, err := w.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, c.Control(func(fd uintptr) {
		size, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
		require.NoError(t, err)
		n, err := unix.Write(int(fd), make([]byte, size))
		require.NoError(t, err)
		require.Equal(t, size, n)
	}))
}

// complete lets the call succeed.
func (w *world) complete(t testing.TB) {
	if w.writes {
		_, err := io.ReadFull(w.other, make([]byte, 1<<12))
		require.NoError(t, err)
		return
	}
	_, err := w.other.WriteString("data")
	require.NoError(t, err)
	require.NoError(t, w.other.Close())
}

// start runs the call. Its result comes from the channel.
func (w *world) start(t testing.TB) <-chan error {
	ctx, cancel := context.WithCancelCause(context.Background())
	t.Cleanup(func() { cancel(nil) })
	w.cancel = cancel
	result := make(chan error, 1)
	f := func(ctx context.Context) { result <- w.call(ctx, w.file) }
	if w.loop == nil {
		go f(ctx)
	} else {
		require.NoError(t, w.loop.Go(ctx, f))
	}
	return result
}

// TestEndsOfAWait is about every call that waits, every state in which it may be, and
// every way to end it. No descriptor is left.
func TestEndsOfAWait(t *testing.T) {
	skipWithoutRing(t)
	newWorld(t, waits[0], true).complete(t) // the rings of the process
	before := descriptors(t)
	for _, c := range waits {
		for _, task := range []bool{false, true} {
			for _, e := range endings {
				if !task && (e.name == "the loop's end" || e.name == "Close in the same loop") {
					continue
				}
				name := fmt.Sprintf("%s, task %v, %s", c.name, task, e.name)
				t.Run(name+", starting", func(t *testing.T) { endStarting(t, newWorld(t, c, task), e) })
				t.Run(name+", waiting", func(t *testing.T) { endWaiting(t, newWorld(t, c, task), e) })
				if e.want != nil {
					t.Run(name+", in line", func(t *testing.T) { endInLine(t, newWorld(t, c, task), e) })
				}
			}
		}
	}
	require.Equal(t, before, descriptors(t))
}

func endStarting(t *testing.T, w *world, e ending) {
	result := w.start(t)
	e.end(t, w)
	requireEnd(t, e, <-result)
}

func endWaiting(t *testing.T, w *world, e ending) {
	result := w.start(t)
	testkit.SpinUntil(func() bool { held, _ := uringfs.HeldBy(w.file, w.writes); return held })
	if w.loop != nil {
		testkit.SpinUntil(func() bool { return w.loop.Stats().InFlight > 0 })
	}
	e.end(t, w)
	requireEnd(t, e, <-result)
}

// endInLine ends a call that waits behind another one.
func endInLine(t *testing.T, w *world, e ending) {
	first := *w
	first.loop = nil
	before := first.start(t)
	testkit.SpinUntil(func() bool { held, _ := uringfs.HeldBy(w.file, w.writes); return held })
	result := w.start(t)
	testkit.SpinUntil(func() bool { _, waiting := uringfs.HeldBy(w.file, w.writes); return waiting == 1 })
	e.end(t, w)
	requireEnd(t, e, <-result)
	if !errors.Is(e.want[0], os.ErrClosed) {
		first.complete(t)
		require.NoError(t, <-before)
		return
	}
	require.ErrorIs(t, <-before, os.ErrClosed)
}

func requireEnd(t testing.TB, e ending, err error) {
	t.Helper()
	if e.want == nil {
		require.NoError(t, err)
	}
	for _, want := range e.want {
		require.ErrorIs(t, err, want)
	}
	if err != nil {
		require.IsType(t, new(os.PathError), err)
	}
}

// TestCloseWaitsForTransfers of a regular file, which it does not cancel: each ends well,
// or does not begin.
func TestCloseWaitsForTransfers(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		name := tempFile(t, strings.Repeat("x", 1<<16))
		for range testkit.Scale(200, 30) {
			f, err := uringfs.Open(ctx, name)
			require.NoError(t, err)
			results := make(chan error, 4)
			for range cap(results) {
				go func() {
					_, err := f.ReadAtContext(context.Background(), make([]byte, 1<<16), 0)
					results <- err
				}()
			}
			require.NoError(t, f.CloseContext(ctx))
			for range cap(results) {
				if err := <-results; err != nil {
					require.ErrorIs(t, err, os.ErrClosed)
				}
			}
			require.ErrorIs(t, f.CloseContext(ctx), os.ErrClosed)
		}
	})
}

// TestCloseWhileInLine for the position of a regular file: the call does not begin.
func TestCloseWhileInLine(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		f := open(t, ctx, tempFile(t, "text"), os.O_RDONLY)
		release := uringfs.TakeTurn(f)
		closed := make(chan error, 1)
		go func() {
			testkit.SpinUntil(func() bool { _, waiting := uringfs.HeldBy(f, false); return waiting == 1 })
			go func() { closed <- f.Close() }()
			testkit.SpinUntil(func() bool { return uringfs.IsClosing(f) })
			release()
		}()
		_, err := f.ReadContext(ctx, make([]byte, 1))
		require.ErrorIs(t, err, os.ErrClosed)
		require.NoError(t, <-closed)
	})
}

// TestCloseWhileReadsBegin: each read ends, whatever it was about to do.
func TestCloseWhileReadsBegin(t *testing.T) {
	skipWithoutRing(t)
	before := descriptors(t)
	for range testkit.Scale(100, 20) {
		r, w := pipe(t)
		together(t, 5, func(ctx context.Context, i int) {
			if i == 4 {
				require.NoError(t, r.CloseContext(ctx))
				return
			}
			_, err := r.ReadContext(ctx, make([]byte, 4))
			require.ErrorIs(t, err, os.ErrClosed)
		})
		require.NoError(t, w.Close())
	}
	require.LessOrEqual(t, descriptors(t)-before, 3*testkit.Scale(100, 20)) // the loops'
}

// TestCloseWhoseContextEnds leaves the closing to the last user.
func TestCloseWhoseContextEnds(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		before := descriptors(t)
		f := open(t, ctx, tempFile(t, "x"), os.O_RDONLY)
		c, err := f.SyscallConn()
		require.NoError(t, err)
		over, cancel := context.WithCancelCause(ctx)
		cancel(errCause)
		require.NoError(t, c.Control(func(fd uintptr) {
			err := f.CloseContext(over)
			require.ErrorIs(t, err, errCause)
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, before+1, descriptors(t))
			_, err = f.Stat()
			require.ErrorIs(t, err, os.ErrClosed)
		}))
		require.Equal(t, before, descriptors(t))
	})
}

func TestForgottenFileIsClosed(t *testing.T) {
	skipWithoutRing(t)
	before := descriptors(t)
	for range 10 {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		fd, err := unix.FcntlInt(r.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		require.NotNil(t, uringfs.NewFile(fd, "forgotten"))
		require.NoError(t, r.Close())
		require.NoError(t, w.Close())
	}
	testkit.SpinUntil(func() bool { runtime.GC(); return descriptors(t) == before })
}

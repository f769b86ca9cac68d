package uringwake

import (
	"context"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// fixedBuffer registers p, or skips the test where that is not possible.
func fixedBuffer(t *testing.T, ctx context.Context, p []byte) *FixedBuffer {
	b, err := RegisterBuffer(ctx, p)
	if e := kernelErrno(err); e == unix.EINVAL || e == unix.ENOMEM {
		t.Skip(err) // before Linux 5.19, or by RLIMIT_MEMLOCK
	}
	require.NoError(t, err)
	return b
}

func TestRegisteredFileAndBuffer(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		a, err := unix.Dup(int(tempFile(t).Fd()))
		require.NoError(t, err)
		f, err := RegisterFile(ctx, a)
		require.NoError(t, err)
		require.NoError(t, unix.Close(a))
		mem := make([]byte, 1<<13)
		b := fixedBuffer(t, ctx, mem)
		copy(mem, "hello")
		run := func(op Op) Result {
			r, err := Start(ctx, op.On(f).In(b)).Wait(ctx)
			require.NoError(t, err)
			return r
		}
		require.Equal(t, 5, run(WriteOp(-1, mem[:5], 0)).N)
		r := run(ReadOp(-1, mem[5000:5010], 0))
		require.Equal(t, "hello", string(r.Buf[:r.N]))
		for range 2 {
			require.NoError(t, f.Close())
			require.NoError(t, b.Close())
		}
		_, err = Start(ctx, ReadOp(-1, mem, 0).On(f)).Wait(ctx)
		require.ErrorIs(t, err, os.ErrClosed)
		_, err = Start(ctx, ReadOp(0, mem, 0).In(b)).Wait(ctx)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

func tempFile(t *testing.T) *os.File {
	f, err := os.Create(t.TempDir() + "/f")
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func TestRegisteredBufferSendsZC(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		if err := trials[ring.OpSendZC].ask(); err != nil {
			t.Skip(err)
		}
		x, y := tcpPair(t)
		mem := []byte("hello")
		r, err := Start(ctx, SendZCOp(x, mem, 0).In(fixedBuffer(t, ctx, mem))).Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, 5, r.N)
		r, err = Start(ctx, RecvOp(y, make([]byte, 9), 0)).Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, "hello", string(r.Buf[:r.N]))
	})
}

func TestMisusedRegistrations(t *testing.T) {
	inBoth(t, func(t *testing.T, ctx context.Context) {
		a, _ := socketPair(t)
		_, err := RegisterFile(ctx, -1)
		require.ErrorIs(t, err, unix.EBADF)
		_, err = RegisterBuffer(ctx, nil)
		require.ErrorIs(t, err, unix.EINVAL)
		f, err := RegisterFile(ctx, a)
		require.NoError(t, err)
		defer f.Close()
		mem := make([]byte, 64)
		b := fixedBuffer(t, ctx, mem[:32])
		defer b.Close()
		fails := func(ctx context.Context, op Op, want error) {
			_, err := Start(ctx, op).Wait(ctx)
			require.ErrorIs(t, err, want)
		}
		fails(ctx, NopOp().On(f), unix.EINVAL)
		fails(ctx, RecvOp(a, mem[:1], 0).In(b), unix.EINVAL)
		fails(ctx, ReadOp(a, mem[16:48], -1).In(b), unix.EFAULT)
		fails(ctx, ReadOp(a, mem[40:], -1).In(b), unix.EFAULT)
		onTask(t, func(other context.Context, _ *Loop) { fails(other, RecvOp(0, mem, 0).On(f), unix.EINVAL) })
	})
}

// TestPlaceInUse is not given away before the last operation that names it has completed,
// which may not have been submitted yet.
func TestPlaceInUse(t *testing.T) {
	l := startedLoop(t)
	a, b := socketPair(t)
	onLoopTask(t, l, func(ctx context.Context) {
		f, err := RegisterFile(ctx, a)
		require.NoError(t, err)
		l.paused = true
		s := Start(ctx, RecvOp(-1, make([]byte, 8), 0).On(f))
		require.NoError(t, f.Close())
		for range 3 {
			TaskFrom(ctx).Yield() // the loop takes its mail
		}
		other, err := RegisterFile(ctx, b)
		require.NoError(t, err)
		require.NotEqual(t, f.fd, other.fd)
		_, err = unix.Write(b, []byte("for a"))
		require.NoError(t, err)
		l.paused = false
		r, err := s.Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, "for a", string(r.Buf[:r.N]))
		for len(l.files.free) < fixedPlaces-1 {
			TaskFrom(ctx).Yield()
		}
		again, err := RegisterFile(ctx, a)
		require.NoError(t, err)
		require.Equal(t, f.fd, again.fd)
	})
}

func TestNoPlaceLeft(t *testing.T) {
	l := startedLoop(t)
	a, _ := socketPair(t)
	onLoopTask(t, l, func(ctx context.Context) {
		var all []*FixedFile
		for range fixedPlaces {
			f, err := RegisterFile(ctx, a)
			require.NoError(t, err)
			all = append(all, f)
		}
		_, err := RegisterFile(ctx, a)
		require.ErrorIs(t, err, unix.ENOSPC)
		for _, f := range all[1:] {
			f.Close()
		}
		all = nil // the garbage collector closes the first
		for len(l.files.free) < fixedPlaces {
			Blocking(ctx, runtime.GC)
		}
	})
}

// TestFixedMisuse panics and says so.
func TestFixedMisuse(t *testing.T) {
	const file = "uringwake: a FixedFile that RegisterFile did not make"
	const buffer = "uringwake: a FixedBuffer that RegisterBuffer did not make"
	require.PanicsWithValue(t, file, func() { ReadOp(0, nil, 0).On(new(FixedFile)) })
	require.PanicsWithValue(t, file, func() { new(FixedFile).Close() })
	require.PanicsWithValue(t, buffer, func() { ReadOp(0, nil, 0).In(new(FixedBuffer)) })
	require.PanicsWithValue(t, buffer, func() { new(FixedBuffer).Close() })
}

package uringnet_test

import (
	"context"
	"io"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/uringnet"
	"github.com/vigil-go/vigil/wake"
)

// partway is a context that asks end for its error once something was written.
type partway struct {
	context.Context
	written func() bool
	end     func() error
}

func (p partway) Err() error {
	if p.written() {
		return p.end()
	}
	return p.Context.Err()
}

// deaf is a parker that does not look at contexts.
type deaf struct{ wake.Parker }

func (d deaf) Park(context.Context) error { return d.Parker.Park(bg) }

// partwayWrites write a lot in several pieces.
var partwayWrites = map[string]func(t *testing.T, ctx context.Context, c *uringnet.Conn) (n, all int64, err error){
	"Write": func(_ *testing.T, ctx context.Context, c *uringnet.Conn) (int64, int64, error) {
		n, err := c.WriteContext(ctx, make([]byte, manyBytes))
		return int64(n), manyBytes, err
	},
	"Writev": func(_ *testing.T, ctx context.Context, c *uringnet.Conn) (int64, int64, error) {
		n, err := c.WritevContext(ctx, [][]byte{make([]byte, manyBytes/2), make([]byte, manyBytes/2)})
		return n, manyBytes, err
	},
	"ReadFrom": func(t *testing.T, ctx context.Context, c *uringnet.Conn) (int64, int64, error) {
		f, err := os.CreateTemp(t.TempDir(), "")
		require.NoError(t, err)
		defer f.Close()
		require.NoError(t, f.Truncate(manyBytes))
		n, err := c.ReadFromContext(ctx, f)
		return n, manyBytes, err
	},
}

const manyBytes = 64 << 20

// TestEndPartway: a write in a goroutine ends when its context does, or at the deadline,
// though the other end reads all the time.
func TestEndPartway(t *testing.T) {
	skipWithoutRing(t)
	for name, write := range partwayWrites {
		eachPartwayEnd(t, name, world{t, nil}, func(ctx partway, a, b *uringnet.Conn) (n, all int64, err error) {
			var read atomic.Int64
			drained := make(chan struct{})
			go func() { defer close(drained); drain(b, &read) }()
			ctx.Context = wake.WithParker(ctx.Context, deaf{wake.NewParker()})
			ctx.written = func() bool { return read.Load() > 0 }
			n, all, err = write(t, ctx, a)
			require.NoError(t, a.Close())
			<-drained
			require.Equal(t, n, read.Load())
			return n, all, err
		})
	}
}

func drain(c *uringnet.Conn, read *atomic.Int64) {
	p := make([]byte, 1<<16)
	for {
		n, err := c.ReadContext(bg, p)
		read.Add(int64(n))
		if err == io.EOF {
			return
		}
	}
}

// TestEndBetweenPieces: an end is seen between two pieces, of which none has to wait.
func TestEndBetweenPieces(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		buffers := make([][]byte, 3000) // more than the kernel takes at once
		for i := range buffers {
			buffers[i] = []byte{1}
		}
		eachPartwayEnd(t, "Writev", w, func(ctx partway, a, b *uringnet.Conn) (n, all int64, err error) {
			ctx.written = func() bool { return unread(t, b) > 0 }
			n, err = a.WritevContext(ctx, buffers)
			require.EqualValues(t, n, unread(t, b))
			return n, int64(len(buffers)), err
		})
	})
}

func unread(t *testing.T, c *uringnet.Conn) (n int) {
	raw, err := c.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }))
	require.NoError(t, err)
	return n
}

// eachPartwayEnd has write end partway: by the context, and by a deadline.
func eachPartwayEnd(t *testing.T, name string, w world, write func(ctx partway, a, b *uringnet.Conn) (n, all int64, err error)) {
	for end, want := range map[string]error{"context": context.Canceled, "deadline": os.ErrDeadlineExceeded} {
		t.Run(name+" "+end, func(t *testing.T) {
			a, b := pair(t, "unix")
			stop := func() error { return context.Canceled }
			if end == "deadline" {
				stop = func() error { return a.SetWriteDeadline(past) }
			}
			w.do(func(ctx context.Context) {
				n, all, err := write(partway{ctx, nil, stop}, a, b)
				require.ErrorIs(t, err, want)
				require.Positive(t, n)
				require.Less(t, n, all)
			})
		})
	}
}

// TestReadFromThatMayNotWrite takes nothing of its source.
func TestReadFromThatMayNotWrite(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		a, _ := pair(t, "unix")
		from, to, err := os.Pipe()
		require.NoError(t, err)
		defer from.Close()
		defer to.Close()
		_, err = to.WriteString("x")
		require.NoError(t, err)
		w.do(func(ctx context.Context) {
			ended, cancel := context.WithCancel(ctx)
			cancel()
			_, err := a.ReadFromContext(ended, from)
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, a.SetWriteDeadline(past))
			_, err = a.ReadFromContext(ctx, from)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		})
		n, err := from.Read(make([]byte, 10))
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

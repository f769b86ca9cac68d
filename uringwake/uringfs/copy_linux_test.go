package uringfs_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// large returns contents that a copy takes several steps for.
func large() string { return strings.Repeat("0123456789abcdef", 270_000) } // more than copyStep

// TestCopies goes from every kind of source to every kind of destination.
func TestCopies(t *testing.T) {
	text := large()
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		name := tempFile(t, text)
		sources := map[string]func() io.Reader{
			"file": func() io.Reader { return open(t, ctx, name, os.O_RDONLY) },
			"limited file": func() io.Reader {
				return &io.LimitedReader{R: open(t, ctx, name, os.O_RDONLY), N: int64(len(text))}
			},
			"reader": func() io.Reader { return struct{ io.Reader }{strings.NewReader(text)} },
			"pipe": func() io.Reader {
				r, w := pipe(t)
				go func() {
					w.Write([]byte(text))
					w.Close()
				}()
				return r
			},
		}
		for what, source := range sources {
			for how, copy := range map[string]func(dst *uringfs.File, src io.Reader) (int64, error){
				"ReadFrom": func(dst *uringfs.File, src io.Reader) (int64, error) { return dst.ReadFromContext(ctx, src) },
				"io.Copy":  func(dst *uringfs.File, src io.Reader) (int64, error) { return io.Copy(dst, src) },
				"WriteTo": func(dst *uringfs.File, src io.Reader) (int64, error) {
					if f, ok := src.(*uringfs.File); ok {
						return f.WriteToContext(ctx, dst)
					}
					return dst.ReadFrom(src)
				},
			} {
				for _, flag := range []int{0, os.O_APPEND} {
					to := tempFile(t, "")
					dst := open(t, ctx, to, os.O_WRONLY|flag)
					_, err := dst.WriteContext(ctx, []byte("begin"))
					require.NoError(t, err)
					n, err := copy(dst, source())
					require.NoError(t, err, what, how)
					require.EqualValues(t, len(text), n, what, how)
					_, err = dst.WriteContext(ctx, []byte("end"))
					require.NoError(t, err)
					got, err := os.ReadFile(to)
					require.NoError(t, err)
					require.True(t, "begin"+text+"end" == string(got), "%s by %s", what, how)
				}
			}
		}
	})
}

func TestCopyToAWriter(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		f := open(t, ctx, tempFile(t, "0123456789"), os.O_RDONLY)
		_, err := f.SeekContext(ctx, 4, io.SeekStart)
		require.NoError(t, err)
		var b bytes.Buffer
		n, err := f.WriteToContext(ctx, &b)
		require.NoError(t, err)
		require.EqualValues(t, 6, n)
		require.Equal(t, "456789", b.String())
	})
}

// TestLargeCopyToAWriter writes all that a reader and a file have, in pieces that become
// larger.
func TestLargeCopyToAWriter(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		text := large()
		f := open(t, ctx, tempFile(t, text), os.O_RDONLY)
		var b strings.Builder // has no ReadFrom
		n, err := f.WriteToContext(ctx, &b)
		require.NoError(t, err)
		require.EqualValues(t, len(text), n)
		require.True(t, text == b.String())
	})
}

// takes is a writer whose ReadFrom is called.
type takes struct {
	io.Writer
	read func(r io.Reader) (int64, error)
}

func (w takes) ReadFrom(r io.Reader) (int64, error) { return w.read(r) }

// TestCopyToAReaderFrom gives it parts of the file, of which it also has the descriptor.
func TestCopyToAReaderFrom(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		text := large()
		name := tempFile(t, text)
		over, cancel := context.WithCancelCause(ctx)
		var b bytes.Buffer
		parts := 0
		w := takes{nil, func(r io.Reader) (int64, error) {
			parts++
			c, err := r.(*io.LimitedReader).R.(syscall.Conn).SyscallConn()
			require.NoError(t, err)
			require.NoError(t, c.Control(func(fd uintptr) {
				_, err := unix.Seek(int(fd), 0, io.SeekCurrent)
				require.NoError(t, err)
			}))
			return b.ReadFrom(r)
		}}
		n, err := open(t, ctx, name, os.O_RDONLY).WriteToContext(over, w)
		require.NoError(t, err)
		require.EqualValues(t, len(text), n)
		require.True(t, text == b.String())
		require.Equal(t, 2, parts)

		ends := takes{nil, func(r io.Reader) (int64, error) {
			defer cancel(errCause)
			return io.Copy(&b, r)
		}}
		n, err = open(t, ctx, name, os.O_RDONLY).WriteToContext(over, ends)
		require.ErrorIs(t, err, errCause)
		require.Less(t, n, int64(len(text)))
		require.Positive(t, n)
	})
}

// TestCopyStopsAtItsLimit and leaves both positions there.
func TestCopyStopsAtItsLimit(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		src := open(t, ctx, tempFile(t, "0123456789"), os.O_RDONLY)
		to := tempFile(t, "")
		dst := open(t, ctx, to, os.O_WRONLY)
		for _, limit := range []int64{3, 0, 4, 100, -1} {
			l := &io.LimitedReader{R: src, N: limit}
			n, err := dst.ReadFromContext(ctx, l)
			require.NoError(t, err)
			require.LessOrEqual(t, n, max(limit, 0))
			require.Equal(t, limit-n, l.N)
		}
		got, err := os.ReadFile(to)
		require.NoError(t, err)
		require.Equal(t, "0123456789", string(got))
	})
}

// TestCopyOfAFileWithoutASize reads it: copy_file_range(2) copies nothing.
func TestCopyOfAFileWithoutASize(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		want, err := os.ReadFile("/proc/self/cmdline")
		require.NoError(t, err)
		to := tempFile(t, "")
		_, err = open(t, ctx, to, os.O_WRONLY).ReadFromContext(ctx, open(t, ctx, "/proc/self/cmdline", os.O_RDONLY))
		require.NoError(t, err)
		got, err := os.ReadFile(to)
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// TestCopiesInOppositeDirections do not wait for each other for ever.
func TestCopiesInOppositeDirections(t *testing.T) {
	skipWithoutRing(t)
	ctx := context.Background()
	text := strings.Repeat("x", 1<<16)
	a, b := open(t, ctx, tempFile(t, text), os.O_RDWR), open(t, ctx, tempFile(t, text), os.O_RDWR)
	together(t, 4, func(ctx context.Context, i int) {
		dst, src := a, b
		if i >= 2 {
			dst, src = b, a
		}
		for range testkit.Scale(2000, 500) {
			_, err := dst.ReadFromContext(ctx, &io.LimitedReader{R: src, N: 1})
			require.NoError(t, err)
		}
	})
}

func TestCopyFromAFileToItself(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		name := tempFile(t, "0123456789")
		f := open(t, ctx, name, os.O_RDWR)
		n, err := f.ReadFromContext(ctx, &io.LimitedReader{R: f, N: 5})
		require.NoError(t, err)
		require.EqualValues(t, 5, n)
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, "0123401234", string(got))
	})
}

// endless is a reader that has no end.
type endless struct{ read func() }

func (e endless) Read(p []byte) (int, error) {
	e.read()
	return len(p), nil
}

func TestCanceledCopy(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		over, cancel := context.WithCancelCause(ctx)
		to := open(t, ctx, "/dev/null", os.O_WRONLY)
		reads := 0
		n, err := to.ReadFromContext(over, endless{func() {
			if reads++; reads == 3 {
				cancel(errCause)
			}
		}})
		require.ErrorIs(t, err, errCause)
		require.Positive(t, n)
		_, err = to.ReadFromContext(over, open(t, ctx, "/dev/zero", os.O_RDONLY))
		require.ErrorIs(t, err, errCause)
		a, b := open(t, ctx, tempFile(t, "x"), os.O_RDONLY), open(t, ctx, tempFile(t, ""), os.O_WRONLY)
		_, err = b.ReadFromContext(over, a)
		require.ErrorIs(t, err, errCause)
	})
}

// asked is a context whose method Done does something before.
type asked struct {
	context.Context
	before func()
}

func (c asked) Done() <-chan struct{} {
	c.before()
	return c.Context.Done()
}

// TestCopyEndsEarly when its context ends, or a file is closed, while the kernel copies:
// not before some of it is copied, and not after all of it.
func TestCopyEndsEarly(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		name := tempFile(t, large())
		for _, closed := range []string{"", "source", "destination"} {
			src, dst := open(t, ctx, name, os.O_RDONLY), open(t, ctx, tempFile(t, ""), os.O_WRONLY)
			over, cancel := context.WithCancelCause(ctx)
			want, end := errCause, func() { cancel(errCause) }
			if f := map[string]*uringfs.File{"source": src, "destination": dst}[closed]; f != nil {
				want, end = os.ErrClosed, sync.OnceFunc(func() { beginClose(f) })
			}
			n, err := dst.ReadFromContext(asked{over, end}, src)
			require.ErrorIs(t, err, want, closed)
			require.Positive(t, n, closed)
			require.Less(t, n, int64(len(large())), closed)
			cancel(nil)
		}
	})
}

// beginClose returns when f refuses new calls.
func beginClose(f *uringfs.File) {
	go f.Close()
	for {
		if _, err := f.SyscallConn(); err != nil {
			return
		}
		runtime.Gosched()
	}
}

// TestReaderThatLeaves panics or ends the goroutine: nothing is left locked, and the file
// can be closed.
func TestReaderThatLeaves(t *testing.T) {
	skipWithoutRing(t)
	f := open(t, context.Background(), tempFile(t, "x"), os.O_RDWR)
	var wg sync.WaitGroup
	for _, leave := range []func(){runtime.Goexit, func() { panic(errCause) }} {
		wg.Go(func() {
			defer func() { recover() }()
			f.ReadFrom(endless{leave})
		})
		wg.Go(func() {
			defer func() { recover() }()
			c, _ := f.SyscallConn()
			c.Control(func(uintptr) { leave() })
		})
	}
	wg.Wait()
	_, err := f.Write([]byte("y"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

package uringfs_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// TestStreamsAreThoseOfOS does the same to pipes and sockets of package os and to ours.
func TestStreamsAreThoseOfOS(t *testing.T) {
	ends := map[string]func(flags int) [2]int{
		"pipe": func(flags int) (fds [2]int) {
			require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC|flags))
			return fds
		},
		"socket": func(flags int) [2]int {
			kind := unix.SOCK_STREAM | unix.SOCK_CLOEXEC
			if flags != 0 {
				kind |= unix.SOCK_NONBLOCK
			}
			fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
			require.NoError(t, err)
			return fds
		},
	}
	toWriter := []step{writes("0123456789"), writes(""), writesAt("x", 3), writesString, seeks(0, io.SeekStart), syncs, truncates(1), sizes, controls}
	toReader := []step{reads(4), reads(0), reads(4), readsAt(4, 0), seeks(0, io.SeekCurrent), reads(99), controls}
	for name, make := range ends {
		for _, flags := range []int{0, unix.O_NONBLOCK} {
			t.Run(name, func(t *testing.T) {
				bothWorlds(t, func(t *testing.T, ctx context.Context) {
					std := make(flags)
					r, w := os.NewFile(uintptr(std[0]), "end"), os.NewFile(uintptr(std[1]), "end")
					defer r.Close()
					want := [][]result{results(w, toWriter), results(r, toReader)}
					require.NoError(t, w.Close())
					want = append(want, results(r, []step{reads(4), reads(0), reads(4)}))

					fds := make(flags)
					ours, to := uringfs.NewFile(fds[0], "end"), uringfs.NewFile(fds[1], "end")
					closeAtEnd(t, ours)
					got := [][]result{results(to, toWriter), results(ours, toReader)}
					require.NoError(t, to.Close())
					got = append(got, results(ours, []step{reads(4), reads(0), reads(4)}))
					require.Equal(t, want, got)
				})
			})
		}
	}
}

// TestReadWaits for what another goroutine writes, in both modes of the descriptor.
func TestReadWaits(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		for _, flags := range []int{0, unix.O_NONBLOCK} {
			var fds [2]int
			require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC|flags))
			r, w := uringfs.NewFile(fds[0], "r"), uringfs.NewFile(fds[1], "w")
			closeAtEnd(t, r, w)
			go func() {
				testkit.SpinUntil(func() bool { held, _ := uringfs.HeldBy(r, false); return held })
				w.Write([]byte("text"))
			}()
			p := make([]byte, 10)
			n, err := r.ReadContext(ctx, p)
			require.NoError(t, err)
			require.Equal(t, "text", string(p[:n]))
		}
	})
}

// TestReadAndWriteOfOneSocket do not wait for each other.
func TestReadAndWriteOfOneSocket(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		a, b := uringfs.NewFile(fds[0], "a"), uringfs.NewFile(fds[1], "b")
		closeAtEnd(t, a, b)
		over := make(chan error, 1)
		go func() {
			testkit.SpinUntil(func() bool { held, _ := uringfs.HeldBy(a, false); return held })
			_, err := a.Write([]byte("ping")) // while the Read below waits
			if err == nil {
				_, err = io.ReadFull(b, make([]byte, 4))
			}
			b.Write([]byte("pong"))
			over <- err
		}()
		p := make([]byte, 4)
		_, err = a.ReadContext(ctx, p)
		require.NoError(t, err)
		require.Equal(t, "pong", string(p))
		require.NoError(t, <-over)
	})
}

// TestWriteWritesAll to a pipe that has room for a part, and tells how much it wrote when
// its context ends.
func TestWriteWritesAll(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		r, w := pipe(t)
		over, cancel := context.WithCancelCause(ctx)
		const size = 1 << 20
		read := make(chan int)
		go func() {
			n, _ := io.ReadFull(r, make([]byte, size/2))
			cancel(errCause)
			rest, _ := io.Copy(io.Discard, r)
			read <- n + int(rest)
		}()
		n, err := w.WriteContext(over, make([]byte, size))
		require.NoError(t, w.Close())
		require.Equal(t, n, <-read)
		if err == nil {
			require.Equal(t, size, n)
		} else {
			require.ErrorIs(t, err, errCause)
			require.Less(t, n, size)
		}
	})
}

func TestBrokenPipe(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		r, w := pipe(t)
		require.NoError(t, r.CloseContext(ctx))
		_, err := w.WriteContext(ctx, []byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		_, err = w.ReadFromContext(ctx, strings.NewReader("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
	})
}

// TestTerminal reads a line that is typed later, and is closed while it waits for more.
func TestTerminal(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Skip("no terminals: ", err)
		}
		keyboard := uringfs.NewFile(m, "ptmx")
		closeAtEnd(t, keyboard)
		require.NoError(t, unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0))
		n, err := unix.IoctlGetInt(m, unix.TIOCGPTN)
		require.NoError(t, err)
		tty, err := uringfs.OpenFile(ctx, "/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Skip("no terminals: ", err)
		}
		closeAtEnd(t, tty)
		reads := func() bool { held, _ := uringfs.HeldBy(tty, false); return held }
		go func() {
			testkit.SpinUntil(reads)
			keyboard.Write([]byte("line\n"))
		}()
		p := make([]byte, 80)
		n, err = tty.ReadContext(ctx, p)
		require.NoError(t, err)
		require.Equal(t, "line\n", string(p[:n]))
		go func() {
			testkit.SpinUntil(reads)
			tty.Close()
		}()
		_, err = tty.ReadContext(ctx, p)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

// TestRawConn waits between two calls of its function, until data comes or the file is
// closed.
func TestRawConn(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		var fds [2]int
		require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
		r, w := uringfs.NewFile(fds[0], "r"), uringfs.NewFile(fds[1], "w")
		closeAtEnd(t, r, w)
		c, err := r.SyscallConn()
		require.NoError(t, err)
		calls := 0
		p := make([]byte, 4)
		read := func(fd uintptr) bool {
			if calls++; calls == 1 {
				go w.Write([]byte("data"))
			}
			_, err := unix.Read(int(fd), p)
			return err != unix.EAGAIN
		}
		require.NoError(t, c.Read(read))
		require.Equal(t, "data", string(p))
		require.LessOrEqual(t, calls, 2)

		closed := make(chan error, 1)
		calls = 0
		err = c.Read(func(uintptr) bool {
			if calls++; calls == 1 {
				go func() { closed <- r.Close() }()
			}
			return false
		})
		require.ErrorIs(t, err, os.ErrClosed)
		require.NoError(t, <-closed)

		c, err = w.SyscallConn()
		require.NoError(t, err)
		calls = 0
		require.NoError(t, c.Write(func(uintptr) bool { calls++; return calls == 3 }))
	})
}

// TestATasksContextIsForTheTask: another task that uses it panics, whether the file has to
// be waited for or not, and nothing is left locked.
func TestATasksContextIsForTheTask(t *testing.T) {
	skipWithoutRing(t)
	f := open(t, context.Background(), tempFile(t, "text"), os.O_RDONLY)
	r, w := pipe(t)
	l := newLoop(t)
	var first context.Context // one thread needs no lock
	done := make(chan error, 2)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		first = ctx
		_, err := r.ReadContext(ctx, make([]byte, 1))
		done <- err
	}))
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		for _, f := range []*uringfs.File{f, w} {
			require.Panics(t, func() { f.ReadContext(first, make([]byte, 1)) })
		}
		_, err := f.ReadContext(ctx, make([]byte, 1))
		require.NoError(t, err)
		_, err = w.WriteContext(ctx, []byte("x"))
		done <- err
	}))
	require.NoError(t, <-done)
	require.NoError(t, <-done)
}

// TestStandardStreams are those of a child process.
func TestStandardStreams(t *testing.T) {
	skipWithoutRing(t)
	if os.Getenv("URINGFS_CHILD") != "" {
		_, err := uringfs.Stdout.ReadFrom(uringfs.Stdin)
		require.NoError(t, err)
		_, err = uringfs.Stderr.WriteString("errors")
		require.NoError(t, err)
		os.Exit(0)
	}
	c := exec.Command(os.Args[0], "-test.run=^TestStandardStreams$")
	c.Env = append(os.Environ(), "URINGFS_CHILD=1", "GORACE=atexit_sleep_ms=0")
	var out, errors strings.Builder
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader("text"), &out, &errors
	require.NoError(t, c.Run())
	require.Equal(t, "text", out.String())
	require.Equal(t, "errors", errors.String())
	for name, f := range map[string]*uringfs.File{"/dev/stdin": uringfs.Stdin, "/dev/stdout": uringfs.Stdout, "/dev/stderr": uringfs.Stderr} {
		require.Equal(t, name, f.Name())
	}
}

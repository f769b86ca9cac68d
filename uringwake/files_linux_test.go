package uringwake_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// openDir is the descriptor of a new directory, and its path.
func openDir(t testing.TB) (fd int, path string) {
	t.Helper()
	path = t.TempDir()
	fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	closing(t, fd)
	return fd, path
}

func contentOf(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

// A file lives through all operations, by paths that begin in a directory.
func TestLifeOfAFile(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		dir, path := openDir(t)
		require.NoError(t, uringwake.Mkdirat(ctx, dir, "sub", 0o700))
		fd, err := uringwake.Openat(ctx, dir, "sub/a", unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
		require.NoError(t, err)
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.Equal(t, unix.FD_CLOEXEC, flags)

		n, err := uringwake.Writev(ctx, fd, [][]byte{[]byte("hel"), nil, []byte("lo")}, 1)
		require.NoError(t, err)
		require.Equal(t, 5, n)
		require.NoError(t, uringwake.Ftruncate(ctx, fd, 10))
		require.NoError(t, uringwake.Fsync(ctx, fd))
		require.NoError(t, uringwake.Fdatasync(ctx, fd))
		p, q := make([]byte, 2), make([]byte, 20)
		n, err = uringwake.Readv(ctx, fd, [][]byte{p, {}, q}, 0)
		require.NoError(t, err)
		require.Equal(t, "\x00h", string(p))
		require.Equal(t, "ello\x00\x00\x00\x00", string(q[:n-2]))

		require.NoError(t, uringwake.Linkat(ctx, dir, "sub/a", dir, "b", 0))
		require.NoError(t, uringwake.Symlinkat(ctx, "b", dir, "c"))
		require.Equal(t, contentOf(t, path+"/sub/a"), contentOf(t, path+"/c"))
		require.NoError(t, uringwake.Renameat(ctx, dir, "b", dir, "c", unix.RENAME_EXCHANGE))
		require.ErrorIs(t, uringwake.Renameat(ctx, dir, "b", dir, "c", unix.RENAME_NOREPLACE), unix.EEXIST)
		requireStat(t, ctx, dir, fd)

		require.ErrorIs(t, uringwake.Unlinkat(ctx, dir, "sub", unix.AT_REMOVEDIR), unix.ENOTEMPTY)
		for _, name := range []string{"sub/a", "b", "c"} {
			require.NoError(t, uringwake.Unlinkat(ctx, dir, name, 0))
		}
		require.NoError(t, uringwake.Unlinkat(ctx, dir, "sub", unix.AT_REMOVEDIR))
		require.NoError(t, uringwake.Close(ctx, fd))
		left, err := os.ReadDir(path)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// requireStat looks at the file, which has two names, by one and by its descriptor, and
// at the symbolic link.
func requireStat(t *testing.T, ctx context.Context, dir, fd int) {
	var want unix.Stat_t
	require.NoError(t, unix.Fstat(fd, &want))
	for path, dirFD := range map[string]int{"c": dir, "": fd} {
		var st uringwake.FileStat
		require.NoError(t, uringwake.Statx(ctx, dirFD, path, unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st))
		require.EqualValues(t, want.Ino, st.Ino)
		require.EqualValues(t, 2, st.Nlink)
		require.EqualValues(t, 10, st.Size)
		require.EqualValues(t, want.Mode, st.Mode)
		require.EqualValues(t, want.Uid, st.UID)
		require.EqualValues(t, want.Dev, unix.Mkdev(st.DevMajor, st.DevMinor))
		require.Equal(t, time.Unix(want.Mtim.Unix()), st.Mtime.Time())
	}
	var st uringwake.FileStat
	require.NoError(t, uringwake.Statx(ctx, dir, "b", unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st))
	require.EqualValues(t, unix.S_IFLNK, st.Mode&unix.S_IFMT)
}

func TestFallocate(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fd, err := unix.MemfdCreate("file", unix.MFD_CLOEXEC)
		require.NoError(t, err)
		closing(t, fd)
		require.NoError(t, uringwake.Fallocate(ctx, fd, 0, 1, 4095))
		var st unix.Stat_t
		require.NoError(t, unix.Fstat(fd, &st))
		require.EqualValues(t, 4096, st.Size)
		require.ErrorIs(t, uringwake.Fallocate(ctx, fd, 0, 0, 0), unix.EINVAL)
		require.ErrorIs(t, uringwake.Fallocate(ctx, fd, 0, -1, 1), unix.EINVAL)
		require.ErrorIs(t, uringwake.Ftruncate(ctx, fd, -1), unix.EINVAL)
	})
}

// fileOperations are calls with these descriptors and paths.
func fileOperations(ctx context.Context, fd int, path string) map[string]func() error {
	return map[string]func() error{
		"readv":     func() error { _, err := uringwake.Readv(ctx, fd, [][]byte{{1}}, 0); return err },
		"writev":    func() error { _, err := uringwake.Writev(ctx, fd, [][]byte{{1}}, 0); return err },
		"fsync":     func() error { return uringwake.Fsync(ctx, fd) },
		"fdatasync": func() error { return uringwake.Fdatasync(ctx, fd) },
		"fallocate": func() error { return uringwake.Fallocate(ctx, fd, 0, 0, 1) },
		"ftruncate": func() error { return uringwake.Ftruncate(ctx, fd, 1) },
		"splice":    func() error { _, err := uringwake.Splice(ctx, fd, -1, fd, -1, 1, 0); return err },
		"openat":    func() error { _, err := uringwake.Openat(ctx, fd, path, unix.O_RDONLY, 0); return err },
		"statx":     func() error { return uringwake.Statx(ctx, fd, path, 0, 0, new(uringwake.FileStat)) },
		"renameat":  func() error { return uringwake.Renameat(ctx, fd, path, fd, path, 0) },
		"unlinkat":  func() error { return uringwake.Unlinkat(ctx, fd, path, 0) },
		"mkdirat":   func() error { return uringwake.Mkdirat(ctx, fd, path, 0) },
		"linkat":    func() error { return uringwake.Linkat(ctx, fd, path, fd, path, 0) },
		"symlinkat": func() error { return uringwake.Symlinkat(ctx, path, fd, path) },
	}
}

// Descriptors that are none, numbers that would be another file's if they were cut, and
// contexts that have ended are errors, and nothing is done.
func TestFileOperationsThatCannotBegin(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		dir, _ := openDir(t)
		for _, fd := range []int{-1, math.MaxInt, math.MinInt, math.MaxInt - math.MaxUint32 + dir} {
			if math.MaxInt == math.MaxInt32 && fd >= 0 {
				continue
			}
			for name, op := range fileOperations(ctx, fd, "path") {
				err := op()
				require.ErrorIs(t, err, unix.EBADF, "%s %d", name, fd)
				require.ErrorContains(t, err, name)
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for name, op := range fileOperations(ended, dir, "path") {
			require.ErrorIs(t, op(), context.Canceled, name)
		}
	})
}

func TestPathsThatAreNone(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		dir, path := openDir(t)
		all := fileOperations(ctx, dir, "a\x00b")
		for _, name := range []string{"openat", "statx", "renameat", "unlinkat", "mkdirat", "linkat", "symlinkat"} {
			require.ErrorIs(t, all[name](), unix.EINVAL, name)
		}
		all = fileOperations(ctx, dir, strings.Repeat("a", 300))
		for _, name := range []string{"openat", "statx", "renameat", "unlinkat", "mkdirat", "linkat", "symlinkat"} {
			require.ErrorIs(t, all[name](), unix.ENAMETOOLONG, name)
		}
		require.ErrorIs(t, uringwake.Renameat(ctx, dir, "a", dir, "b\x00", 0), unix.EINVAL)
		fd, err := uringwake.Openat(ctx, -1, filepath.Join(path, "."), unix.O_DIRECTORY, 0)
		require.NoError(t, err, "an absolute path needs no directory")
		require.NoError(t, uringwake.Close(ctx, fd))
		require.PanicsWithValue(t, "uringwake: Statx with a nil FileStat", func() { uringwake.Statx(ctx, dir, "a", 0, 0, nil) })
	})
}

// A relative path without a directory begins where the process is.
func TestPathFromTheWorkingDirectory(t *testing.T) {
	_, path := openDir(t)
	t.Chdir(path)
	old := unix.Umask(0o77)
	defer unix.Umask(old)
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		require.NoError(t, uringwake.Mkdirat(ctx, unix.AT_FDCWD, "here", 0o777))
		st, err := os.Stat(path + "/here")
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o700), st.Mode().Perm())
		require.NoError(t, uringwake.Unlinkat(ctx, unix.AT_FDCWD, "here", unix.AT_REMOVEDIR))
	})
}

// Vectors without bytes, without buffers, and with too many.
func TestVectorsAtTheLimits(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := openPipe(t, 0)
		file, err := unix.MemfdCreate("file", unix.MFD_CLOEXEC)
		require.NoError(t, err)
		closing(t, file)
		for _, fd := range []int{fds[1], file} {
			for _, v := range [][][]byte{nil, {}, {nil}, {{}, nil, {}}} {
				n, err := uringwake.Writev(ctx, fd, v, -1)
				require.NoError(t, err)
				require.Zero(t, n)
			}
			_, err := uringwake.Writev(ctx, fd, make([][]byte, 1025), -1)
			require.ErrorIs(t, err, unix.EINVAL)
			require.NotErrorIs(t, err, errors.ErrUnsupported)
		}
		n, err := uringwake.Readv(ctx, file, nil, 0)
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

// Readv waits whatever the mode of the file, fills buffers beyond the first, and can be
// canceled.
func TestReadvWaits(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, flags := range []int{0, unix.O_NONBLOCK} {
			fds := openPipe(t, flags)
			c.run(t, func(ctx context.Context) {
				c.ctx = ctx
				p, q := make([]byte, 3), make([]byte, 9)
				err := c.whenever(func() error {
					n, err := uringwake.Readv(ctx, fds[0], [][]byte{p, q}, -1)
					assert.Equal(t, 5, n)
					return err
				}, func() { unix.Write(fds[1], []byte("hello")) })
				assert.NoError(t, err)
				assert.Equal(t, "hello", string(p)+string(q[:2]))
				assert.NoError(t, c.toTheEnd(func(ctx context.Context) error {
					_, err := uringwake.Readv(ctx, fds[0], [][]byte{p, q}, -1)
					return err
				}))
			})
		}
	})
}

// A vector that is written in parts continues in the middle of a buffer.
func TestWritevBehindAFullPipe(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := openPipe(t, 0)
		size, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, 4096)
		require.NoError(t, err)
		var got []byte
		wait := aside(ctx, func() {
			for p := make([]byte, 1000); len(got) < 3*size; {
				n, err := unix.Read(fds[0], p)
				if !assert.NoError(t, err) || n == 0 {
					return
				}
				got = append(got, p[:n]...)
			}
		})
		a, b := strings.Repeat("a", size+size/2), strings.Repeat("b", size+size/2)
		for rest := [][]byte{[]byte(a), []byte(b)}; len(rest) > 0; {
			n, err := uringwake.Writev(ctx, fds[1], rest, -1)
			require.NoError(t, err)
			for len(rest) > 0 && n >= len(rest[0]) {
				n -= len(rest[0])
				rest = rest[1:]
			}
			if n > 0 {
				rest[0] = rest[0][n:]
			}
		}
		wait()
		require.Equal(t, a+b, string(got))
	})
}

// A FIFO waits for its other end, in a task until the context ends.
func TestOpenatOfAFIFO(t *testing.T) {
	dir, path := openDir(t)
	require.NoError(t, unix.Mkfifo(path+"/fifo", 0o600))
	eachCaller(t, func(t *testing.T, c caller) {
		c.run(t, func(ctx context.Context) {
			c.ctx = ctx
			wait := aside(ctx, func() {
				fd, err := unix.Open(path+"/fifo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if assert.NoError(t, err) {
					unix.Close(fd)
				}
			})
			fd, err := uringwake.Openat(ctx, dir, "fifo", unix.O_WRONLY, 0)
			if assert.NoError(t, err) {
				unix.Close(fd)
			}
			wait()
			_, err = uringwake.Openat(ctx, dir, "fifo", unix.O_WRONLY|unix.O_NONBLOCK, 0)
			assert.ErrorIs(t, err, unix.ENXIO)
			if uringwake.TaskFrom(ctx) == nil {
				return
			}
			before := descriptors(t)
			assert.NoError(t, c.toTheEnd(func(ctx context.Context) error {
				_, err := uringwake.Openat(ctx, dir, "fifo", unix.O_WRONLY, 0)
				return err
			}))
			assert.Equal(t, before, descriptors(t))
		})
	})
}

// descriptors counts the open ones of this process.
func descriptors(t testing.TB) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(all)
}

// A file that was opened before a cancel reached the kernel is the caller's: the call
// returns either a descriptor or an error.
func TestCanceledOpenatLeaksNothing(t *testing.T) {
	dir, _ := openDir(t)
	l := newLoop(t, nil)
	run(t, l, func(ctx context.Context) {
		before := descriptors(t)
		opened := 0
		for range scaled(500) {
			own, cancel := context.WithCancel(ctx)
			wait := aside(ctx, cancel)
			fd, err := uringwake.Openat(own, dir, "file", unix.O_RDWR|unix.O_CREAT, 0o600) // by a worker
			if err == nil {
				opened++
				assert.NoError(t, unix.Close(fd))
			} else {
				assert.ErrorIs(t, err, context.Canceled)
			}
			wait()
		}
		t.Log(opened, "were opened")
		assert.Equal(t, before, descriptors(t))
	})
}

func TestSplice(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, flags := range []int{0, unix.O_NONBLOCK} {
			in, out := openPipe(t, flags), openPipe(t, flags)
			file, err := unix.MemfdCreate("file", unix.MFD_CLOEXEC)
			require.NoError(t, err)
			closing(t, file)
			c.run(t, func(ctx context.Context) {
				c.ctx = ctx
				splice := func(ctx context.Context, flags uint32) error {
					n, err := uringwake.Splice(ctx, in[0], -1, out[1], -1, math.MaxInt, flags)
					if err == nil {
						assert.Equal(t, 5, n)
					}
					return err
				}
				assert.NoError(t, c.whenever(func() error { return splice(ctx, 0) }, func() { unix.Write(in[1], []byte("hello")) }))
				assert.NoError(t, c.toTheEnd(func(ctx context.Context) error { return splice(ctx, 0) }))
				assert.ErrorIs(t, splice(ctx, unix.SPLICE_F_NONBLOCK), unix.EAGAIN)

				n, err := uringwake.Splice(ctx, out[0], -1, file, 3, 100, 0)
				assert.NoError(t, err)
				assert.Equal(t, 5, n)
				n, err = uringwake.Splice(ctx, file, 3, out[1], -1, 4, unix.SPLICE_F_MOVE)
				assert.NoError(t, err)
				assert.Equal(t, 4, n)
				p := make([]byte, 8)
				n, err = uringwake.Read(ctx, out[0], p, -1)
				assert.NoError(t, err)
				assert.Equal(t, "hell", string(p[:n]))
				n, err = uringwake.Splice(ctx, file, 8, out[1], -1, 4, 0)
				assert.NoError(t, err)
				assert.Zero(t, n, "at the end")
			})
		}
	})
}

func TestSpliceThatCannotBe(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := openPipe(t, 0)
		splice := func(in int, offIn int64, out, n int, flags uint32) error {
			_, err := uringwake.Splice(ctx, in, offIn, out, -1, n, flags)
			return err
		}
		require.ErrorIs(t, splice(fds[0], -1, fds[1], -1, 0), unix.EINVAL)
		require.ErrorIs(t, splice(fds[0], -1, fds[1], 1, 1<<31), unix.EINVAL)
		require.ErrorIs(t, splice(fds[0], -1, fds[1], 1, 0), unix.EINVAL, "the same pipe")
		require.ErrorIs(t, splice(fds[0], 7, openPipe(t, 0)[1], 1, 0), unix.ESPIPE)
		runtime.KeepAlive(fds)
	})
}

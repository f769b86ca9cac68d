package uringwake_test

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// A transfer at the file's own position moves it, also past the page cache.
func TestPositionOfAFilePastThePageCache(t *testing.T) {
	type transfer func(ctx context.Context, fd int, p []byte) (int, error)
	writes := map[string]transfer{
		"write": func(ctx context.Context, fd int, p []byte) (int, error) { return uringwake.Write(ctx, fd, p, -1) },
		"writev": func(ctx context.Context, fd int, p []byte) (int, error) {
			return uringwake.Writev(ctx, fd, [][]byte{p}, -1)
		},
	}
	reads := map[string]transfer{
		"read": func(ctx context.Context, fd int, p []byte) (int, error) { return uringwake.Read(ctx, fd, p, -1) },
		"readv": func(ctx context.Context, fd int, p []byte) (int, error) {
			return uringwake.Readv(ctx, fd, [][]byte{p}, -1)
		},
	}
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		for name, write := range writes {
			for _, flag := range []int{0, unix.O_APPEND} {
				fd, p := openDirect(t, flag)
				pieces(t, fd, p, func(p []byte) (int, error) {
					if flag == unix.O_APPEND { // it is written to the end all the same
						seek(t, fd, 0, io.SeekStart)
					}
					return write(ctx, fd, p)
				})
				require.EqualValues(t, 3*len(p), seek(t, fd, 0, io.SeekEnd), name)
			}
		}
		for _, read := range reads {
			fd, p := openDirect(t, 0)
			require.NoError(t, unix.Ftruncate(fd, int64(3*len(p))))
			pieces(t, fd, p, func(p []byte) (int, error) { return read(ctx, fd, p) })
			n, err := read(ctx, fd, p)
			require.NoError(t, err)
			require.Zero(t, n, "at the end")
		}
	})
}

// pieces transfers three, and looks at the position after each.
func pieces(t *testing.T, fd int, p []byte, transfer func(p []byte) (int, error)) {
	for i := range 3 {
		n, err := transfer(p)
		require.NoError(t, err)
		require.Equal(t, len(p), n)
		require.EqualValues(t, (i+1)*len(p), seek(t, fd, 0, io.SeekCurrent))
	}
}

func seek(t *testing.T, fd int, off int64, whence int) int64 {
	pos, err := unix.Seek(fd, off, whence)
	require.NoError(t, err)
	return pos
}

// openDirect returns an empty file with O_DIRECT, and pages to transfer.
func openDirect(t *testing.T, flag int) (fd int, p []byte) {
	fd, err := unix.Open(t.TempDir()+"/direct", unix.O_RDWR|unix.O_CREAT|unix.O_DIRECT|unix.O_CLOEXEC|flag, 0o600)
	if err != nil {
		t.Skip("no O_DIRECT here:", err)
	}
	closing(t, fd)
	p, err = unix.Mmap(-1, 0, 1<<13, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, unix.Munmap(p)) })
	return fd, p
}

// A goroutine writes to a regular file by itself, and so it reads one if nothing can end
// that; otherwise what has to wait waits on the ring.
func TestGoroutinesWaitForRegularFiles(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fd, err := unix.Open(t.TempDir()+"/file", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	require.NoError(t, err)
	closing(t, fd)
	for _, off := range []int64{0, -1} {
		n, err := uringwake.Write(ctx, fd, []byte("word"), off)
		require.NoError(t, err)
		require.Equal(t, 4, n)
		n, err = uringwake.Writev(ctx, fd, [][]byte{make([]byte, os.Getpagesize()), []byte("word")}, off)
		require.NoError(t, err)
		require.Equal(t, os.Getpagesize()+4, n)
	}
	readAll := func(ctx context.Context) {
		const pages = 64 // of which making the file cold has brought in some
		f, p := newColdFile(t, pages), make([]byte, 8)
		for page := range pages {
			_, err := uringwake.Read(ctx, f.fd, p, f.offset(page))
			require.NoError(t, err)
			require.Equal(t, f.content(page), string(p))
		}
	}
	readAll(context.Background())
	require.Zero(t, d.Submitted())
	for n := 0; n < 100 && d.Submitted() == 0; n++ { // or all of them
		readAll(ctx)
	}
	require.NotZero(t, d.Submitted())
}

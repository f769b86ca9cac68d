package uringwake_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// A cold read succeeds though the thread that submitted it has exited.
func TestColdReadsOutliveTheirThread(t *testing.T) {
	newLoop(t, nil)
	f := newColdFile(t, 512)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // who is started last runs next, on the thread that is left
	over := make(chan struct{})
	defer close(over)
	for i, page := range rand.Perm(f.pages) {
		go endThread(over)
		p := make([]byte, 8)
		n, err := uringwake.Read(context.Background(), f.fd, p, f.offset(page))
		require.NoError(t, err, "read %d", i)
		require.Equal(t, f.content(page), string(p[:n]))
	}
}

// endThread ends the thread that it runs on; or keeps it, if that is the main
// one, which never ends.
func endThread(over <-chan struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		<-over
	}
}

// A coldFile has pages that are not in memory.
type coldFile struct{ fd, pages int }

func (coldFile) offset(page int) int64 { return int64(page * os.Getpagesize()) }

func (coldFile) content(page int) string { return fmt.Sprintf("%8d", page) }

// newColdFile skips where files are always in memory.
func newColdFile(t testing.TB, pages int) coldFile {
	t.Helper()
	file, err := os.Create(t.TempDir() + "/cold")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	f := coldFile{int(file.Fd()), pages}
	require.NoError(t, unix.Fallocate(f.fd, 0, 0, f.offset(pages)))
	for i := range pages {
		_, err := file.WriteAt([]byte(f.content(i)), f.offset(i))
		require.NoError(t, err)
	}
	require.NoError(t, file.Sync())
	require.NoError(t, unix.Fadvise(f.fd, 0, 0, unix.FADV_RANDOM)) // no readahead
	require.NoError(t, unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED))
	if _, err := unix.Preadv2(f.fd, [][]byte{make([]byte, 1)}, 0, unix.RWF_NOWAIT); err != unix.EAGAIN {
		t.Skip("this file system reads nothing anew:", err)
	}
	return f
}

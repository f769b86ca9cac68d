package uringfs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

func skipWithoutRing(t testing.TB) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
}

// bothWorlds runs f in a goroutine, also under a context that can end, and in a task.
func bothWorlds(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	skipWithoutRing(t)
	t.Run("goroutine", func(t *testing.T) { f(t, context.Background()) })
	t.Run("goroutine that can be canceled", func(t *testing.T) { f(t, t.Context()) })
	t.Run("task", func(t *testing.T) { inTask(t, func(ctx context.Context) { f(t, ctx) }) })
}

// inTask runs f in a task of a loop of its own, and returns when f has.
func inTask(t testing.TB, f func(ctx context.Context)) {
	l := newLoop(t)
	over := make(chan struct{})
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		defer close(over)
		f(ctx)
	}))
	<-over
}

func newLoop(t testing.TB) *uringwake.Loop {
	l, err := uringwake.NewLoop(nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	return l
}

// pipe returns the ends of a pipe.
func pipe(t testing.TB) (r, w *uringfs.File) {
	var fds [2]int
	require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
	r, w = uringfs.NewFile(fds[0], "|0"), uringfs.NewFile(fds[1], "|1")
	closeAtEnd(t, r, w)
	return r, w
}

func closeAtEnd(t testing.TB, files ...*uringfs.File) {
	t.Cleanup(func() {
		for _, f := range files {
			if err := f.Close(); !errors.Is(err, os.ErrClosed) {
				require.NoError(t, err)
			}
		}
	})
}

// tempFile returns the name of a file with these contents.
func tempFile(t testing.TB, contents string) string {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, []byte(contents), 0o644))
	return name
}

// open opens a file until the end of the test.
func open(t testing.TB, ctx context.Context, name string, flag int) *uringfs.File {
	f, err := uringfs.OpenFile(ctx, name, flag, 0o644)
	require.NoError(t, err)
	closeAtEnd(t, f)
	return f
}

// descriptors returns how many files the process has open.
func descriptors(t testing.TB) int {
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

// failsAs requires that err is what package os returns.
func failsAs(t testing.TB, want, err error) {
	t.Helper()
	require.Equal(t, fmt.Sprint(want), fmt.Sprint(err))
	if want != nil {
		require.IsType(t, want, err)
		require.Equal(t, want, err)
	}
}

package uringfs_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// TestWithoutRings: what opens a file says why it does not, and a File that was made of a
// descriptor closes it.
func TestWithoutRings(t *testing.T) {
	if !refuse.Child(t, refuse.NoRing(unix.EPERM)) {
		return
	}
	ctx := context.Background()
	name := tempFile(t, "text")
	for what, call := range map[string]func() error{
		"Open":      func() error { _, err := uringfs.Open(ctx, name); return err },
		"ReadFile":  func() error { _, err := uringfs.ReadFile(ctx, name); return err },
		"WriteFile": func() error { return uringfs.WriteFile(ctx, name, nil, 0o644) },
		"Stat":      func() error { _, err := uringfs.Stat(ctx, name); return err },
		"Mkdir":     func() error { return uringfs.Mkdir(ctx, name, 0o755) },
		"Remove":    func() error { return uringfs.Remove(ctx, name) },
		"DirFS":     func() error { _, err := uringfs.DirFS("/").Open("tmp"); return err },
	} {
		err := call()
		require.ErrorIs(t, err, errors.ErrUnsupported, what)
		require.IsType(t, new(os.PathError), err)
	}
	before := descriptors(t)
	r, w := pipe(t)
	_, err := w.Write([]byte("text"))
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.NoError(t, r.Close())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Close(), os.ErrClosed)
	require.Equal(t, before, descriptors(t))
}

// TestWithoutOperations that the kernel refuses, the system calls do the same.
func TestWithoutOperations(t *testing.T) {
	if refuse.Child(t, refuse.NoOpcodes(ring.OpRead, ring.OpWrite, ring.OpOpenat, ring.OpStatx, ring.OpFsync, ring.OpFtruncate,
		ring.OpFallocate, ring.OpRenameat, ring.OpUnlinkat, ring.OpMkdirat, ring.OpClose)) {
		workout(t, pipesKnowNowait(t)) // before Linux 6.12 it may take the ring to read and write them
	}
}

// TestWithoutNowait: the kernel does not know transfers that do not wait.
func TestWithoutNowait(t *testing.T) {
	if refuse.Child(t, refuse.NoNowait(unix.EOPNOTSUPP)) {
		workout(t, true)
	}
}

// TestWithoutSystemCalls: a filter refuses those that are newer than the others.
func TestWithoutSystemCalls(t *testing.T) {
	if refuse.Child(t, refuse.NoCall(unix.SYS_PREADV2, 5, 0, unix.ENOSYS), refuse.NoCall(unix.SYS_PWRITEV2, 5, 0, unix.EPERM)) {
		workout(t, true)
	}
}

// workout uses files and, if pipes is true, a pipe.
func workout(t *testing.T, pipes bool) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		dir := t.TempDir()
		require.NoError(t, uringfs.Mkdir(ctx, dir+"/d", 0o755))
		require.NoError(t, uringfs.WriteFile(ctx, dir+"/d/f", []byte("0123456789"), 0o644))
		require.NoError(t, uringfs.Rename(ctx, dir+"/d/f", dir+"/d/g"))
		f := open(t, ctx, dir+"/d/g", os.O_RDWR)
		_, err := f.SeekContext(ctx, -3, io.SeekEnd)
		require.NoError(t, err)
		n, err := f.WriteContext(ctx, []byte("end"))
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.NoError(t, f.SyncContext(ctx))
		require.NoError(t, f.TruncateContext(ctx, 9))
		text, err := uringfs.ReadFile(ctx, dir+"/d/g")
		require.NoError(t, err)
		require.Equal(t, "0123456en", string(text))
		require.NoError(t, uringfs.Remove(ctx, dir+"/d/g"))
		require.NoError(t, uringfs.Remove(ctx, dir+"/d"))

		if !pipes {
			return
		}
		r, w := pipe(t)
		go func() {
			testkit.SpinUntil(func() bool { held, _ := uringfs.HeldBy(r, false); return held })
			w.Write([]byte("text"))
		}()
		p := make([]byte, 4)
		_, err = r.ReadContext(ctx, p)
		require.NoError(t, err)
		require.Equal(t, "text", string(p))
		go func() {
			testkit.SpinUntil(func() bool { held, _ := uringfs.HeldBy(r, false); return held })
			r.Close()
		}()
		_, err = r.ReadContext(ctx, p)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

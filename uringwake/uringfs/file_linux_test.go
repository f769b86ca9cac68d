package uringfs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// A file is what os.File and uringfs.File have in common.
type file interface {
	io.ReadWriteSeeker
	io.ReaderAt
	io.WriterAt
	io.StringWriter
	io.Closer
	Name() string
	Truncate(size int64) error
	Sync() error
	Stat() (os.FileInfo, error)
	ReadDir(n int) ([]os.DirEntry, error)
	SyscallConn() (syscall.RawConn, error)
}

// A step is a call of a method. It returns what the method did.
type step struct {
	name string
	do   func(f file) (any, error)
}

func reads(n int) step {
	return step{"Read", func(f file) (any, error) {
		p := make([]byte, n)
		n, err := f.Read(p)
		return string(p[:n]), err
	}}
}

func readsAt(n int, off int64) step {
	return step{"ReadAt", func(f file) (any, error) {
		p := make([]byte, n)
		n, err := f.ReadAt(p, off)
		return string(p[:n]), err
	}}
}

func writes(s string) step {
	return step{"Write", func(f file) (any, error) { return f.Write([]byte(s)) }}
}

func writesAt(s string, off int64) step {
	return step{"WriteAt", func(f file) (any, error) { return f.WriteAt([]byte(s), off) }}
}

func seeks(off int64, whence int) step {
	return step{"Seek", func(f file) (any, error) { return f.Seek(off, whence) }}
}

func truncates(size int64) step {
	return step{"Truncate", func(f file) (any, error) { return nil, f.Truncate(size) }}
}

var (
	writesString = step{"WriteString", func(f file) (any, error) { return f.WriteString("string") }}
	syncs        = step{"Sync", func(f file) (any, error) { return nil, f.Sync() }}
	closes       = step{"Close", func(f file) (any, error) { return nil, f.Close() }}
	sizes        = step{"Stat", func(f file) (any, error) {
		i, err := f.Stat()
		if err != nil {
			return nil, err
		}
		return i.Size(), nil
	}}
	lists = step{"ReadDir", func(f file) (any, error) {
		l, err := f.ReadDir(-1)
		return len(l), err
	}}
	controls = step{"SyscallConn", func(f file) (any, error) {
		c, err := f.SyscallConn()
		if err == nil {
			err = c.Control(func(uintptr) {})
		}
		return nil, err
	}}
)

// everything is one call of each method.
var everything = []step{reads(4), reads(0), readsAt(4, 2), writes("w"), writes(""), writesAt("at", 7), writesString,
	seeks(1, io.SeekStart), truncates(5), syncs, sizes, lists, controls, closes}

// TestFileIsThatOfOS does the same to a file of package os and to one of ours.
func TestFileIsThatOfOS(t *testing.T) {
	const contents = "0123456789"
	for name, c := range map[string]struct {
		flag  int
		path  string // of a file of the system, else one with contents
		steps []step
	}{
		"reading": {os.O_RDONLY, "", []step{reads(4), reads(0), reads(4), reads(4), reads(4), reads(0), readsAt(4, 3), readsAt(4, 8), readsAt(1, 10),
			readsAt(0, 100), readsAt(4, -1), seeks(-3, io.SeekEnd), reads(9), seeks(-1, io.SeekStart), seeks(2, io.SeekStart), seeks(3, io.SeekCurrent),
			reads(2), seeks(0, 9), writes("x"), writesAt("x", 0), truncates(3), lists}},
		"writing": {os.O_RDWR, "", []step{writes("ab"), reads(3), writesAt("cd", 8), writesAt("", 3), writesAt("x", -1), writesString, sizes, seeks(0, io.SeekStart),
			reads(99), truncates(4), sizes, truncates(-1), writes("far"), sizes, seeks(0, io.SeekStart), reads(99), syncs}},
		"appending":        {os.O_RDWR | os.O_APPEND, "", []step{writes("ab"), reads(3), seeks(0, io.SeekStart), writes("cd"), reads(3), writesAt("x", 0), seeks(0, io.SeekStart), reads(99)}},
		"only writing":     {os.O_WRONLY, "", everything},
		"a directory":      {os.O_RDONLY, ".", append([]step{reads(4), readsAt(4, 0), writes("x"), seeks(0, io.SeekStart)}, everything...)},
		"/dev/full":        {os.O_WRONLY, "/dev/full", []step{writes("x"), writesAt("x", 9), writesString}},
		"/dev/null":        {os.O_RDWR, "/dev/null", []step{reads(4), writes("x"), readsAt(4, 7), writesAt("y", 3), seeks(5, io.SeekStart)}},
		"/dev/zero":        {os.O_RDWR, "/dev/zero", []step{reads(4), writes("x"), readsAt(4, 7), writesAt("y", 3), truncates(1)}},
		"/proc":            {os.O_RDONLY, "/proc/self/comm", []step{reads(3), reads(99), reads(4), readsAt(2, 1), seeks(0, io.SeekStart), reads(99)}},
		"a closed file":    {os.O_RDWR, "", append([]step{closes}, everything[:len(everything)-3]...)},
		"a file, all done": {os.O_RDWR, "", everything},
	} {
		t.Run(name, func(t *testing.T) {
			bothWorlds(t, func(t *testing.T, ctx context.Context) {
				path := c.path
				if path == "" {
					path = tempFile(t, contents)
				}
				std, err := os.OpenFile(path, c.flag, 0)
				require.NoError(t, err)
				defer std.Close()
				want := results(std, c.steps)
				if c.path == "" {
					require.NoError(t, os.WriteFile(path, []byte(contents), 0o644))
				}
				ours := open(t, ctx, path, c.flag)
				require.Equal(t, std.Name(), ours.Name())
				require.Equal(t, want, results(ours, c.steps))
			})
		})
	}
}

// A result is what a step did. Errors are compared as they are, but for those that
// package os does not export.
type result struct {
	step string
	did  any
	err  string
	like [3]bool
}

func results(f file, steps []step) (list []result) {
	for _, s := range steps {
		r := result{step: s.name}
		did, err := s.do(f)
		r.did = did
		if err != nil {
			r.err = strings.Replace(err.Error(), "uringfs:", "os:", 1)
			r.err = strings.Replace(r.err, "on a file opened", "on file opened", 1)
		}
		_, path := errors.AsType[*os.PathError](err)
		r.like = [3]bool{path, errors.Is(err, os.ErrClosed), err == io.EOF}
		list = append(list, r)
	}
	return list
}

// TestClosedFile covers what package os does otherwise.
func TestClosedFile(t *testing.T) {
	skipWithoutRing(t)
	f := open(t, context.Background(), tempFile(t, "x"), os.O_RDWR)
	c, err := f.SyscallConn()
	require.NoError(t, err)
	require.NoError(t, f.Close())
	for _, s := range []step{lists, controls, closes} {
		_, err := s.do(f)
		require.ErrorIs(t, err, os.ErrClosed, s.name)
	}
	never := func(uintptr) { t.Error("called") }
	require.ErrorIs(t, c.Control(never), os.ErrClosed)
	require.ErrorIs(t, c.Read(func(uintptr) bool { never(0); return true }), os.ErrClosed)
	require.ErrorIs(t, c.Write(func(uintptr) bool { never(0); return true }), os.ErrClosed)
	_, err = f.ReadFrom(strings.NewReader("x"))
	require.ErrorIs(t, err, os.ErrClosed)
	_, err = f.WriteTo(io.Discard)
	require.ErrorIs(t, err, os.ErrClosed)
	require.ErrorIs(t, f.Allocate(0, 1), os.ErrClosed)
}

func TestErrorsOfOpenAreThoseOfOS(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		file := tempFile(t, "")
		for _, c := range []struct {
			name string
			flag int
		}{
			{"", os.O_RDONLY}, {"none", os.O_RDONLY}, {"a\x00b", os.O_RDONLY}, {"/", os.O_RDWR}, {file + "/x", os.O_RDONLY},
			{file, os.O_CREATE | os.O_EXCL}, {strings.Repeat("x", 300), os.O_RDONLY}, {file, unix.O_DIRECTORY}, {strings.Repeat("x/", 3000), os.O_RDONLY},
		} {
			std, want := os.OpenFile(c.name, c.flag, 0)
			require.Nil(t, std)
			f, err := uringfs.OpenFile(ctx, c.name, c.flag, 0)
			require.Nil(t, f)
			failsAs(t, want, err)
		}
	})
}

func TestModeOfACreatedFile(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		for _, mode := range []os.FileMode{0o600, 0o444, 0o755 | os.ModeSetuid, 0o700 | os.ModeSetgid | os.ModeSticky} {
			dir := t.TempDir()
			std, err := os.OpenFile(dir+"/std", os.O_CREATE|os.O_WRONLY, mode)
			require.NoError(t, err)
			defer std.Close()
			want, err := std.Stat()
			require.NoError(t, err)
			f, err := uringfs.OpenFile(ctx, dir+"/ours", os.O_CREATE|os.O_WRONLY, mode)
			require.NoError(t, err)
			closeAtEnd(t, f)
			got, err := f.Stat()
			require.NoError(t, err)
			require.Equal(t, want.Mode(), got.Mode())
		}
	})
}

func TestDescriptorIsCloseOnExec(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		f := open(t, ctx, "/dev/null", os.O_RDONLY)
		c, err := f.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, c.Control(func(fd uintptr) {
			flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
			require.NoError(t, err)
			require.Equal(t, unix.FD_CLOEXEC, flags)
		}))
	})
}

func TestNilFile(t *testing.T) {
	var f *uringfs.File
	for _, s := range everything {
		if s.name == "SyscallConn" {
			continue
		}
		_, err := s.do(f)
		require.Equal(t, os.ErrInvalid, err, s.name)
	}
	_, err := f.SyscallConn()
	require.Equal(t, os.ErrInvalid, err)
	_, err = f.ReadFrom(strings.NewReader(""))
	require.Equal(t, os.ErrInvalid, err)
	_, err = f.WriteTo(io.Discard)
	require.Equal(t, os.ErrInvalid, err)
	require.Nil(t, uringfs.NewFile(-1, "none"))
}

func TestNilContextPanics(t *testing.T) {
	skipWithoutRing(t)
	f := open(t, context.Background(), "/dev/null", os.O_RDWR)
	var none context.Context
	for name, call := range map[string]func(){
		"Open":    func() { uringfs.Open(none, "x") },
		"Read":    func() { f.ReadContext(none, nil) },
		"WriteAt": func() { f.WriteAtContext(none, nil, 0) },
		"Sync":    func() { f.SyncContext(none) },
		"Close":   func() { f.CloseContext(none) },
		"Stat":    func() { uringfs.Stat(none, "x") },
	} {
		require.PanicsWithValue(t, "uringfs: nil context", call, name)
	}
}

func TestEndedContext(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		name := tempFile(t, "text")
		f := open(t, ctx, name, os.O_RDWR)
		cause := errors.New("cause")
		over, cancel := context.WithCancelCause(ctx)
		cancel(cause)
		for what, call := range map[string]func() error{
			"Open":     func() error { _, err := uringfs.Open(over, name); return err },
			"Stat":     func() error { _, err := uringfs.Stat(over, name); return err },
			"Mkdir":    func() error { return uringfs.Mkdir(over, name, 0) },
			"Rename":   func() error { return uringfs.Rename(over, name, name+"x") },
			"Read":     func() error { _, err := f.ReadContext(over, make([]byte, 1)); return err },
			"ReadAt":   func() error { _, err := f.ReadAtContext(over, make([]byte, 1), 0); return err },
			"Write":    func() error { _, err := f.WriteContext(over, make([]byte, 1)); return err },
			"WriteAt":  func() error { _, err := f.WriteAtContext(over, make([]byte, 1), 0); return err },
			"Seek":     func() error { _, err := f.SeekContext(over, 0, 0); return err },
			"Sync":     func() error { return f.SyncContext(over) },
			"Truncate": func() error { return f.TruncateContext(over, 0) },
			"Allocate": func() error { return f.AllocateContext(over, 0, 1) },
			"ReadFrom": func() error { _, err := f.ReadFromContext(over, strings.NewReader("x")); return err },
			"WriteTo":  func() error { _, err := f.WriteToContext(over, io.Discard); return err },
		} {
			err := call()
			require.ErrorIs(t, err, context.Canceled, what)
			require.ErrorIs(t, err, cause, what)
		}
		text, err := uringfs.ReadFile(ctx, name)
		require.NoError(t, err)
		require.Equal(t, "text", string(text))
	})
}

// TestFarOffsets writes beyond 2 and 4 GiB: a sparse file.
func TestFarOffsets(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		f := open(t, ctx, tempFile(t, ""), os.O_RDWR)
		for _, off := range []int64{1<<31 - 2, 1<<32 - 2, 1 << 40} {
			_, err := f.WriteAtContext(ctx, []byte("far"), off)
			require.NoError(t, err)
			p := make([]byte, 5)
			n, err := f.ReadAtContext(ctx, p, off-1)
			require.Equal(t, io.EOF, err)
			require.Equal(t, "\x00far", string(p[:n]))
			pos, err := f.SeekContext(ctx, off, io.SeekStart)
			require.NoError(t, err)
			require.Equal(t, off, pos)
			n, err = f.ReadContext(ctx, p)
			require.NoError(t, err)
			require.Equal(t, "far", string(p[:n]))
			info, err := f.StatContext(ctx)
			require.NoError(t, err)
			require.Equal(t, off+3, info.Size())
		}
		require.NoError(t, f.TruncateContext(ctx, 1<<33))
	})
}

func TestAllocate(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		f := open(t, ctx, tempFile(t, "text"), os.O_RDWR)
		err := f.AllocateContext(ctx, 2, 1<<16)
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		require.NoError(t, err)
		info, err := f.StatContext(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 2+1<<16, info.Size())
		require.ErrorIs(t, f.AllocateContext(ctx, 0, -1), syscall.EINVAL)
	})
}

// TestDirectIO reads and writes a file that bypasses the page cache.
func TestDirectIO(t *testing.T) {
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		const block = 4096
		f, err := uringfs.OpenFile(ctx, tempFile(t, ""), os.O_RDWR|unix.O_DIRECT, 0)
		if errors.Is(err, syscall.EINVAL) {
			t.Skip("the file system has no O_DIRECT: ", err)
		}
		require.NoError(t, err)
		closeAtEnd(t, f)
		p, err := unix.Mmap(-1, 0, 4*block, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		require.NoError(t, err)
		defer unix.Munmap(p)
		for i := range p {
			p[i] = byte(i / block)
		}
		_, err = f.WriteAtContext(ctx, p, block)
		require.NoError(t, err)
		q, want := p[:2*block], bytes.Clone(p[block:3*block])
		n, err := f.ReadAtContext(ctx, q, 2*block)
		require.NoError(t, err)
		require.Equal(t, len(q), n)
		require.Equal(t, want, q)
		n, err = f.ReadAtContext(ctx, q, 4*block)
		require.Equal(t, io.EOF, err)
		require.Equal(t, block, n)
		_, err = f.SeekContext(ctx, 4*block, io.SeekStart)
		require.NoError(t, err)
		n, err = f.ReadContext(ctx, q)
		require.NoError(t, err)
		require.Equal(t, block, n)
		_, err = f.ReadContext(ctx, q)
		require.Equal(t, io.EOF, err)
	})
}

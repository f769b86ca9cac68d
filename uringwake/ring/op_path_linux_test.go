package ring_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func opOpen(g *rig) {
	path := filepath.Join(g.TempDir(), "new")
	name := cstring(g, path)
	fd := g.ok(func(s *ring.SQE) {
		s.PrepOpenat(unix.AT_FDCWD, name, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o640)
	})
	requireCloexec(g, fd)
	st, err := os.Stat(path)
	require.NoError(g, err)
	require.Equal(g, os.FileMode(0o640), st.Mode().Perm())
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepClose(fd) }))
	require.Equal(g, unix.EBADF, errno(g.do(func(s *ring.SQE) { s.PrepClose(fd) })))
}

func opOpenat2(g *rig) {
	dir := g.TempDir()
	name, how := cstring(g, filepath.Join(dir, "new")), &unix.OpenHow{Flags: unix.O_CREAT | unix.O_RDWR | unix.O_CLOEXEC, Mode: 0o600}
	fd := closed(g, g.ok(func(s *ring.SQE) { s.PrepOpenat2(unix.AT_FDCWD, name, how) }))
	require.Zero(g, size(g, fd))
	outside := cstring(g, "../new")
	dirFD, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	require.NoError(g, err)
	closed(g, dirFD)
	how = &unix.OpenHow{Resolve: unix.RESOLVE_BENEATH}
	require.Equal(g, unix.EXDEV, errno(g.do(func(s *ring.SQE) { s.PrepOpenat2(dirFD, outside, how) })))
}

func opStatx(g *rig) {
	path := filepath.Join(g.TempDir(), "file")
	require.NoError(g, os.WriteFile(path, []byte("12345"), 0o600))
	name, st := cstring(g, path), new(unix.Statx_t)
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepStatx(unix.AT_FDCWD, name, 0, unix.STATX_SIZE, st) }))
	require.EqualValues(g, 5, st.Size)
}

// opLinks makes a directory, and links in it.
func opLinks(g *rig) {
	root := g.TempDir()
	at := func(name string) *byte { return cstring(g, filepath.Join(root, name)) }
	const here = unix.AT_FDCWD
	dir, file, link, sym, target := at("dir"), at("dir/file"), at("dir/link"), at("sym"), cstring(g, "dir/link")

	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepMkdirat(here, dir, 0o700) }))
	require.NoError(g, os.WriteFile(filepath.Join(root, "dir/file"), []byte("text"), 0o600))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepSymlinkat(target, here, sym) }))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepLinkat(here, file, here, link, 0) }))
	text, err := os.ReadFile(filepath.Join(root, "sym"))
	require.NoError(g, err)
	require.Equal(g, "text", string(text))
}

// opNames renames a file, and removes it and its directory.
func opNames(g *rig) {
	root := filepath.Join(g.TempDir(), "dir")
	at := func(name string) *byte { return cstring(g, filepath.Join(root, name)) }
	const here = unix.AT_FDCWD
	dir, file, other, moved := at(""), at("file"), at("other"), at("moved")
	require.NoError(g, os.Mkdir(root, 0o700))
	for _, name := range []string{"file", "other"} {
		require.NoError(g, os.WriteFile(filepath.Join(root, name), []byte(name), 0o600))
	}

	require.Equal(g, unix.EEXIST, errno(g.do(func(s *ring.SQE) { s.PrepRenameat(here, file, here, other, unix.RENAME_NOREPLACE) })))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepRenameat(here, other, here, moved, 0) }))
	require.NoFileExists(g, filepath.Join(root, "other"))
	for _, name := range []*byte{file, moved} {
		require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepUnlinkat(here, name, 0) }))
	}
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepUnlinkat(here, dir, unix.AT_REMOVEDIR) }))
	require.NoDirExists(g, root)
}

func TestDirectDescriptors(t *testing.T) {
	g := newRig(t, nil)
	require.NoError(t, g.r.Registrar().RegisterFiles([]int32{-1, -1, -1, -1, -1, -1}))
	name := cstring(t, filepath.Join(t.TempDir(), "new"))
	const flags = unix.O_CREAT | unix.O_RDWR
	before := len(descriptors())

	opened := g.do(func(s *ring.SQE) { s.PrepOpenatDirect(unix.AT_FDCWD, name, flags, 0o600, 5) })
	if errno(opened) == unix.EINVAL {
		t.Skip("before Linux 5.15")
	}
	require.Zero(t, opened.Res)
	p := []byte("direct")
	require.Equal(t, 6, g.ok(func(s *ring.SQE) { s.PrepWrite(5, p, 0); s.SetFlags(ring.SQEFixedFile) }))
	how := &unix.OpenHow{Flags: unix.O_RDONLY}
	require.Zero(t, g.ok(func(s *ring.SQE) { s.PrepOpenat2Direct(unix.AT_FDCWD, name, how, 0) }))
	q := make([]byte, 8)
	require.Equal(t, 6, g.ok(func(s *ring.SQE) { s.PrepRead(0, q, 0); s.SetFixedFile() }))
	require.Equal(t, "direct", string(q[:6]))
	require.Equal(t, before, len(descriptors()), "direct descriptors take no file descriptor")

	require.Zero(t, g.ok(func(s *ring.SQE) { s.PrepCloseDirect(5) }))
	require.Equal(t, unix.EBADF, errno(g.do(func(s *ring.SQE) { s.PrepRead(5, q, 0); s.SetFixedFile() })))
}

func TestDirectDescriptorsInFreeSlots(t *testing.T) {
	g := newRig(t, nil)
	err := g.r.Registrar().RegisterFilesSparse(2)
	skipUnsupported(t, err)
	require.NoError(t, err)
	name, how := cstring(t, os.DevNull), &unix.OpenHow{Flags: unix.O_RDONLY}
	slot := func() int {
		return g.ok(func(s *ring.SQE) { s.PrepOpenat2Direct(unix.AT_FDCWD, name, how, ring.FileIndexAlloc) })
	}
	require.ElementsMatch(t, []int{0, 1}, []int{slot(), slot()})
}

func opFilesUpdate(g *rig) {
	require.NoError(g, g.r.Registrar().RegisterFiles([]int32{-1, -1, -1}))
	fds := []int32{int32(tempFile(g, "registered"))}
	require.Equal(g, 1, g.ok(func(s *ring.SQE) { s.PrepFilesUpdate(fds, 1) }))
	p := make([]byte, 16)
	require.Equal(g, 10, g.ok(func(s *ring.SQE) { s.PrepRead(1, p, 0); s.SetFixedFile() }))
}

func TestFilesUpdateFindsFreeSlots(t *testing.T) {
	g := newRig(t, nil)
	fds := []int32{int32(tempFile(t, "registered"))}
	require.NoError(t, g.r.Registrar().RegisterFiles([]int32{-1, fds[0], -1}))
	needOp(t, ring.OpSocket) // of the same kernel
	require.Equal(t, 1, g.ok(func(s *ring.SQE) { s.PrepFilesUpdate(fds, ring.FileIndexAlloc) }))
	require.Contains(t, []int32{0, 2}, fds[0])
}

func opInstall(g *rig) {
	require.NoError(g, g.r.Registrar().RegisterFiles([]int32{int32(tempFile(g, "here"))}))
	fd := closed(g, g.ok(func(s *ring.SQE) { s.PrepFixedFDInstall(0, 0) }))
	require.Equal(g, "here", content(g, fd))
	requireCloexec(g, fd)
	fd = closed(g, g.ok(func(s *ring.SQE) { s.PrepFixedFDInstall(0, ring.FixedFDNoCloexec) }))
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(g, err)
	require.Zero(g, flags&unix.FD_CLOEXEC)
}

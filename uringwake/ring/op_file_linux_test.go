package ring_test

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func opReadWrite(g *rig) {
	fd := tempFile(g, "")
	p := []byte("hello, ring")
	require.Equal(g, len(p), g.ok(func(s *ring.SQE) { s.PrepWrite(fd, p, 0) }))
	q := make([]byte, 32)
	require.Equal(g, len(p)-7, g.ok(func(s *ring.SQE) { s.PrepRead(fd, q, 7) }))
	require.Equal(g, "ring", string(q[:4]))
	require.Equal(g, unix.EBADF, errno(g.do(func(s *ring.SQE) { s.PrepRead(-1, q, 0) })))
}

// An offset of -1 is the file's position, which moves.
func TestReadAtFilePosition(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatRWCurPos)
	fd := tempFile(t, "abcdef")
	const here = ^uint64(0)
	p := make([]byte, 3)
	for _, want := range []string{"abc", "def"} {
		require.Equal(t, 3, g.ok(func(s *ring.SQE) { s.PrepRead(fd, p, here) }))
		require.Equal(t, want, string(p))
	}
}

func iovec(parts ...[]byte) []unix.Iovec {
	v := make([]unix.Iovec, len(parts))
	for i, p := range parts {
		v[i].Base = &p[0]
		v[i].SetLen(len(p))
	}
	return v
}

func opVectors(g *rig) {
	fd := tempFile(g, "")
	v := iovec([]byte("one "), []byte("two"))
	require.Equal(g, 7, g.ok(func(s *ring.SQE) { s.PrepWritev(fd, v, 0, 0) }))
	a, b := make([]byte, 3), make([]byte, 4)
	v = iovec(a, b)
	require.Equal(g, 7, g.ok(func(s *ring.SQE) { s.PrepReadv(fd, v, 0, 0) }))
	require.Equal(g, "one two", string(a)+string(b))
	v = iovec([]byte("!"))
	require.Equal(g, 1, g.ok(func(s *ring.SQE) { s.PrepWritev(fd, v, 0, unix.RWF_APPEND) }), "flags")
	require.Equal(g, "one two!", content(g, fd))
	runtime.KeepAlive(v)
}

func opFixed(g *rig) {
	fd := tempFile(g, "")
	buf := make([]byte, 4096)
	require.NoError(g, g.r.Registrar().RegisterBuffers([][]byte{make([]byte, 16), buf}))
	copy(buf[100:], "fixed")
	require.Equal(g, 5, g.ok(func(s *ring.SQE) { s.PrepWriteFixed(fd, buf[100:105], 0, 1) }))
	require.Equal(g, 5, g.ok(func(s *ring.SQE) { s.PrepReadFixed(fd, buf[200:205], 0, 1) }))
	require.Equal(g, "fixed", string(buf[200:205]))
	outside := make([]byte, 5)
	require.Equal(g, unix.EFAULT, errno(g.do(func(s *ring.SQE) { s.PrepReadFixed(fd, outside, 0, 1) })))
	require.NoError(g, g.r.Registrar().UnregisterBuffers())
}

func opFixedVectors(g *rig) {
	fd := tempFile(g, "")
	buf := make([]byte, 4096)
	copy(buf, "leftright")
	require.NoError(g, g.r.Registrar().RegisterBuffers([][]byte{buf}))
	v := iovec(buf[4:9], buf[:4])
	require.Equal(g, 9, g.ok(func(s *ring.SQE) { s.PrepWritevFixed(fd, v, 0, 0, 0) }))
	require.Equal(g, "rightleft", content(g, fd))
	v = iovec(buf[100:105], buf[200:204])
	require.Equal(g, 9, g.ok(func(s *ring.SQE) { s.PrepReadvFixed(fd, v, 0, 0, 0) }))
	require.Equal(g, "left", string(buf[200:204]))
	runtime.KeepAlive(v)
}

func opFsync(g *rig) {
	fd := tempFile(g, "x")
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepFsync(fd, 0) }))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepFsync(fd, ring.FsyncDatasync) }))
}

func opSyncFileRange(g *rig) {
	fd := tempFile(g, "x")
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepSyncFileRange(fd, 1, 0, unix.SYNC_FILE_RANGE_WRITE) }))
}

func opFallocate(g *rig) {
	fd := tempFile(g, "abc")
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepFallocate(fd, 0, 0, 100) }))
	require.EqualValues(g, 100, size(g, fd))
}

func opFtruncate(g *rig) {
	fd := tempFile(g, "abc")
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepFtruncate(fd, 2) }))
	require.EqualValues(g, 2, size(g, fd))
}

func size(t testing.TB, fd int) int64 {
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(fd, &st))
	return st.Size
}

func opAdvise(g *rig) {
	fd := tempFile(g, "abc")
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepFadvise(fd, 0, 3, unix.FADV_WILLNEED) }))
	m, err := unix.Mmap(-1, 0, 2*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(g, err)
	defer unix.Munmap(m)
	m[0] = 1
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepMadvise(m, unix.MADV_DONTNEED) }))
	require.Zero(g, m[0], "the kernel was told that it is not needed")
}

// The lengths of 64 bits came later than the operations.
func TestAdvise64(t *testing.T) {
	g := newRig(t, nil)
	m, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	defer unix.Munmap(m)
	m[0] = 1
	c := g.do(func(s *ring.SQE) { s.PrepMadvise64(m, unix.MADV_DONTNEED) })
	if errno(c) == unix.EINVAL {
		t.Skip("before Linux 6.11")
	}
	require.NoError(t, c.Err())
	require.Zero(t, m[0])
	fd := tempFile(t, "abc")
	require.Zero(t, g.ok(func(s *ring.SQE) { s.PrepFadvise64(fd, 0, 3, unix.FADV_DONTNEED) }))
}

func opSpliceTee(g *rig) {
	fd := tempFile(g, "spliced")
	fromA, toA := pipe(g)
	fromB, toB := pipe(g)
	require.Equal(g, 6, g.ok(func(s *ring.SQE) { s.PrepSplice(fd, 1, toA, -1, 6, 0) }))
	require.Equal(g, 6, g.ok(func(s *ring.SQE) { s.PrepTee(fromA, toB, 6, 0) }))
	for _, from := range []int{fromA, fromB} {
		p := make([]byte, 16)
		n, err := unix.Read(from, p)
		require.NoError(g, err)
		require.Equal(g, "pliced", string(p[:n]))
	}
}

func opPipe(g *rig) {
	var fds [2]int32
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepPipe(&fds, unix.O_CLOEXEC) }))
	r, w := closed(g, int(fds[0])), closed(g, int(fds[1]))
	requireCloexec(g, r)
	_, err := unix.Write(w, []byte("x"))
	require.NoError(g, err)
	n, err := unix.Read(r, make([]byte, 8))
	require.NoError(g, err)
	require.Equal(g, 1, n)

	require.NoError(g, g.r.Registrar().RegisterFilesSparse(4))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepPipeDirect(&fds, 0, 2) }))
	p := []byte("direct")
	require.Equal(g, len(p), g.ok(func(s *ring.SQE) { s.PrepWrite(3, p, 0); s.SetFixedFile() }))
	q := make([]byte, 8)
	require.Equal(g, len(p), g.ok(func(s *ring.SQE) { s.PrepRead(2, q, 0); s.SetFixedFile() }))
}

func requireCloexec(t testing.TB, fd int) {
	t.Helper()
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err)
	require.NotZero(t, flags&unix.FD_CLOEXEC, "close-on-exec")
}

// xattrs is a directory whose files have user attributes, or a skip.
func xattrs(g *rig) (path string) {
	path = g.TempDir() + "/file"
	require.NoError(g, os.WriteFile(path, nil, 0o600))
	if err := unix.Setxattr(path, "user.test", []byte("x"), 0); err != nil {
		g.Skip("no user attributes on this file system:", err)
	}
	return path
}

func opXattr(g *rig) {
	path := xattrs(g)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(g, err)
	closed(g, fd)
	name, cpath, value, got := cstring(g, "user.a"), cstring(g, path), []byte("value"), make([]byte, 16)
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepFsetxattr(fd, name, value, unix.XATTR_CREATE) }))
	require.Equal(g, unix.EEXIST, errno(g.do(func(s *ring.SQE) { s.PrepSetxattr(name, value, cpath, unix.XATTR_CREATE) })))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepSetxattr(name, value[:3], cpath, 0) }))
	require.Equal(g, 3, g.ok(func(s *ring.SQE) { s.PrepFgetxattr(fd, name, got) }))
	require.Equal(g, "val", string(got[:3]))
	require.Equal(g, 3, g.ok(func(s *ring.SQE) { s.PrepGetxattr(name, got, cpath) }))
}

func opReadMultishot(g *rig) {
	b := provide(g, 4, 8, 7)
	r, w := pipe(g)
	data := g.prep(func(s *ring.SQE) { s.PrepReadMultishot(r, 0, 0, 7) })
	g.submit()
	for _, want := range []string{"first", "second"} {
		_, err := unix.Write(w, []byte(want))
		require.NoError(g, err)
		c := g.waitFor(data)
		require.NoError(g, c.Err())
		require.True(g, c.More())
		require.Equal(g, want, b.taken(g, c))
	}
	require.NoError(g, unix.Close(w))
	c := g.waitFor(data)
	require.Zero(g, c.Res)
	require.False(g, c.More(), "the last of a multishot read")
}

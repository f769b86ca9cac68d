package uringfs

import (
	"context"
	"io/fs"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// info implements fs.FileInfo.
type info struct {
	name string
	st   *uringwake.FileStat
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(i.st.Size) }
func (i info) Mode() fs.FileMode  { return fileMode(i.st.Mode) }
func (i info) ModTime() time.Time { return i.st.Mtime.Time() }
func (i info) IsDir() bool        { return i.Mode().IsDir() }
func (i info) String() string     { return fs.FormatFileInfo(i) }

// Sys returns a *syscall.Stat_t, as the FileInfo of package os does.
func (i info) Sys() any {
	s := new(syscall.Stat_t)
	set(&s.Dev, unix.Mkdev(i.st.DevMajor, i.st.DevMinor))
	set(&s.Rdev, unix.Mkdev(i.st.RdevMajor, i.st.RdevMinor))
	set(&s.Ino, i.st.Ino)
	setShortIno(s, i.st.Ino)
	set(&s.Nlink, i.st.Nlink)
	set(&s.Mode, i.st.Mode)
	set(&s.Uid, i.st.UID)
	set(&s.Gid, i.st.GID)
	set(&s.Size, i.st.Size)
	set(&s.Blksize, i.st.Blksize)
	set(&s.Blocks, i.st.Blocks)
	s.Atim, s.Mtim, s.Ctim = timespec(i.st.Atime), timespec(i.st.Mtime), timespec(i.st.Ctime)
	return s
}

type integer interface {
	~int32 | ~int64 | ~uint16 | ~uint32 | ~uint64
}

// set assigns a number to a field whose type depends on the architecture.
func set[T, V integer](field *T, value V) { *field = T(value) }

func timespec(t uringwake.FileTime) (s syscall.Timespec) {
	set(&s.Sec, t.Sec)
	set(&s.Nsec, t.Nsec)
	return s
}

func fileMode(bits uint16) fs.FileMode {
	mode := fs.FileMode(bits&0o777) | typeOf(bits&unix.S_IFMT)
	if bits&unix.S_ISUID != 0 {
		mode |= fs.ModeSetuid
	}
	if bits&unix.S_ISGID != 0 {
		mode |= fs.ModeSetgid
	}
	if bits&unix.S_ISVTX != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

func typeOf(kind uint16) fs.FileMode {
	switch kind {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	case unix.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return fs.ModeDevice
	}
	return fs.ModeIrregular // as that of an eventfd
}

func statName(ctx context.Context, name string, follow bool) (fs.FileInfo, error) {
	flags := 0
	if !follow {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	return stat(ctx, unix.AT_FDCWD, name, flags, name)
}

func statFile(ctx context.Context, fd int, name string) (fs.FileInfo, error) {
	return stat(ctx, fd, "", unix.AT_EMPTY_PATH, name)
}

func stat(ctx context.Context, dirFD int, file string, flags int, name string) (fs.FileInfo, error) {
	st := new(uringwake.FileStat)
	if err := uringwake.Statx(ctx, dirFD, file, flags, unix.STATX_BASIC_STATS, st); err != nil {
		return nil, err
	}
	return info{path.Base(name), st}, nil
}

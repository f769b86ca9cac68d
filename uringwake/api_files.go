package uringwake

import (
	"context"
	"time"
)

// This file declares the operations on files and paths. In a goroutine each of them is
// the system call of its name, on the goroutine's own thread, which waits for the
// device as package os does; the end of ctx only prevents a call that has not begun.
// Where the kernel refuses the operation on a ring, a task has a goroutine make the
// system call, by [Blocking].
//
// A dirFD is the directory in which a relative path begins, or unix.AT_FDCWD, the
// working directory. A path that contains a NUL byte is EINVAL.
//
// When ctx ends while a task waits for an operation that changes a file or a name, the
// error is the context's, and the operation may have been done or not. If the kernel
// stops the operation for another reason, Openat, Renameat, Unlinkat, Mkdirat, Linkat and
// Symlinkat in a task do not repeat it: the error matches unix.EINTR or unix.ECANCELED,
// and again the operation may have been done or not.

// Readv is [Read] into several buffers, one after the other, as preadv(2) does. With more
// than 1024 buffers the error matches unix.EINVAL. It corresponds to io_uring_prep_readv;
// Linux 5.1.
func Readv(ctx context.Context, fd int, v [][]byte, off int64) (int, error) {
	return readv(ctx, fd, v, off)
}

// Writev is [Write] of several buffers, one after the other, as pwritev(2) does. With more
// than 1024 buffers the error matches unix.EINVAL. It corresponds to
// io_uring_prep_writev; Linux 5.1.
func Writev(ctx context.Context, fd int, v [][]byte, off int64) (int, error) {
	return writev(ctx, fd, v, off)
}

// Fsync has the device store what was written to a file, and the file's attributes, as
// fsync(2) does. It corresponds to io_uring_prep_fsync; Linux 5.1.
func Fsync(ctx context.Context, fd int) error { return fsync(ctx, fd) }

// Fdatasync is [Fsync] without the attributes that are not needed to read the data, as
// fdatasync(2) does. It corresponds to io_uring_prep_fsync with IORING_FSYNC_DATASYNC;
// Linux 5.1.
func Fdatasync(ctx context.Context, fd int) error { return fdatasync(ctx, fd) }

// Fallocate allocates or frees n bytes of a file from offset off, as fallocate(2) does;
// mode is unix.FALLOC_FL_... It corresponds to io_uring_prep_fallocate; Linux 5.6.
func Fallocate(ctx context.Context, fd int, mode uint32, off, n int64) error {
	return fallocate(ctx, fd, mode, off, n)
}

// Ftruncate sets the size of a file, in bytes, as ftruncate(2) does. It corresponds to
// io_uring_prep_ftruncate; Linux 6.9.
func Ftruncate(ctx context.Context, fd int, size int64) error { return ftruncate(ctx, fd, size) }

// Openat opens a file as openat(2) does, and returns its descriptor, which is always
// close-on-exec. flags are unix.O_..., and mode has the permissions of a file that is
// created, which the umask reduces. If ctx ends and the file was opened all the same,
// Openat returns the descriptor and no error. It corresponds to io_uring_prep_openat;
// Linux 5.6.
//
// Without O_NONBLOCK, openat(2) of a FIFO waits for the other end. In a goroutine that wait
// blocks a thread, and does not end with ctx. In a task the wait is canceled like others;
// but the kernel opens a FIFO for reading without waiting, and Read then returns 0 until
// there is a writer.
func Openat(ctx context.Context, dirFD int, path string, flags int, mode uint32) (fd int, err error) {
	return openat(ctx, dirFD, path, flags, mode)
}

// Statx stores the attributes of a file in st, as statx(2) does. flags are unix.AT_...:
// with AT_EMPTY_PATH and an empty path, dirFD is the file itself. mask has the
// attributes that are wanted, unix.STATX_...; st.Mask has those that the file system
// has. st must not be used until Statx returns, and Statx panics if it is nil. It
// corresponds to io_uring_prep_statx; Linux 5.6.
func Statx(ctx context.Context, dirFD int, path string, flags int, mask uint32, st *FileStat) error {
	if st == nil {
		panic("uringwake: Statx with a nil FileStat")
	}
	return statx(ctx, dirFD, path, flags, mask, st)
}

// Renameat renames a file as renameat2(2) does; flags are unix.RENAME_... It
// corresponds to io_uring_prep_renameat; Linux 5.11.
func Renameat(ctx context.Context, oldDirFD int, oldPath string, newDirFD int, newPath string, flags uint32) error {
	return renameat(ctx, oldDirFD, oldPath, newDirFD, newPath, flags)
}

// Unlinkat removes a name of a file or, with unix.AT_REMOVEDIR in flags, an empty
// directory, as unlinkat(2) does. It corresponds to io_uring_prep_unlinkat; Linux 5.11.
func Unlinkat(ctx context.Context, dirFD int, path string, flags int) error {
	return unlinkat(ctx, dirFD, path, flags)
}

// Mkdirat makes a directory as mkdirat(2) does; the umask reduces mode. It corresponds
// to io_uring_prep_mkdirat; Linux 5.15.
func Mkdirat(ctx context.Context, dirFD int, path string, mode uint32) error {
	return mkdirat(ctx, dirFD, path, mode)
}

// Linkat makes newPath another name of the file oldPath, as linkat(2) does; flags are
// unix.AT_... It corresponds to io_uring_prep_linkat; Linux 5.15.
func Linkat(ctx context.Context, oldDirFD int, oldPath string, newDirFD int, newPath string, flags int) error {
	return linkat(ctx, oldDirFD, oldPath, newDirFD, newPath, flags)
}

// Symlinkat makes path a symbolic link to target, as symlinkat(2) does. It corresponds
// to io_uring_prep_symlinkat; Linux 5.15.
func Symlinkat(ctx context.Context, target string, dirFD int, path string) error {
	return symlinkat(ctx, target, dirFD, path)
}

// Splice moves up to n bytes from one file to another, one of which is a pipe, without
// a copy in the program, as splice(2) does. It returns the number of bytes moved: 0 at
// the end of fdIn. The offset of a pipe is -1; that of another file may be -1, which is
// the file's own position. flags are unix.SPLICE_F_... Splice also waits if a descriptor
// has O_NONBLOCK, but not with SPLICE_F_NONBLOCK: then the error matches unix.EAGAIN.
// It corresponds to io_uring_prep_splice; Linux 5.7.
//
// In a goroutine, and where the kernel refuses the operation, Splice uses poll(2) and
// splice(2) for regular files, for pipes, and for other files with O_NONBLOCK. The rest is
// left to the kernel's workers, or fails where the kernel refuses the operation.
func Splice(ctx context.Context, fdIn int, offIn int64, fdOut int, offOut int64, n int, flags uint32) (int, error) {
	return splice(ctx, fdIn, offIn, fdOut, offOut, n, flags)
}

// A FileStat has the attributes of a file, as [Statx] stores them: struct statx. Fields
// whose bits are not set in Mask may have no meaning.
type FileStat struct {
	Mask           uint32 // unix.STATX_...
	Blksize        uint32
	Attributes     uint64 // unix.STATX_ATTR_...
	Nlink          uint32
	UID            uint32
	GID            uint32
	Mode           uint16 // type and permissions, unix.S_...
	_              uint16
	Ino            uint64
	Size           uint64 // bytes
	Blocks         uint64 // of 512 bytes
	AttributesMask uint64 // the bits of Attributes that the file system has
	Atime          FileTime
	Btime          FileTime // of the file's creation
	Ctime          FileTime
	Mtime          FileTime
	RdevMajor      uint32
	RdevMinor      uint32
	DevMajor       uint32
	DevMinor       uint32
	MntID          uint64
	DioMemAlign    uint32
	DioOffsetAlign uint32
	_              [12]uint64 // newer fields
}

// A FileTime is a point in time in a [FileStat]: struct statx_timestamp.
type FileTime struct {
	Sec  int64 // since 1970
	Nsec uint32
	_    int32
}

// Time returns t in local time.
func (t FileTime) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)) }

package uringfs

import (
	"context"
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// This file has what the rest of the package asks of the system. The other systems have
// none of it.

// onlyDirectory has OpenFile refuse what is not a directory.
const onlyDirectory = unix.O_DIRECTORY

// plain returns the errno of what the kernel refused, as package os has it in its errors.
// An error that says more than its errno is returned as it is.
func plain(err error) error {
	e, ok := err.(*ring.Error)
	if ok && (!e.Unsupported || errors.Is(e.Errno, errors.ErrUnsupported)) {
		return e.Errno
	}
	return err
}

// waitsForOthers reports whether a transfer may wait for another process, or for a person.
// It must not wait itself, as fstat(2) would for the server of some file systems.
func waitsForOthers(fd int) bool {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st)
	if err != nil {
		return true
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFBLK:
		return false
	}
	return true
}

func flagsOf(fd int) (append, direct bool) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_APPEND != 0, err == nil && flags&unix.O_DIRECT != 0
}

// closeFD closes a descriptor, which NewFile may have got where there is no ring.
func closeFD(ctx context.Context, fd int) error {
	if uringwake.Supported() != nil {
		return unix.Close(fd)
	}
	return uringwake.Close(ctx, fd)
}

func seek(fd int, offset int64, whence int) (int64, error) { return unix.Seek(fd, offset, whence) }

// seekFrom is seek where the server of a file system may have to be asked.
func seekFrom(ctx context.Context, fd int, offset int64, whence int) (pos int64, err error) {
	uringwake.Blocking(ctx, func() { pos, err = seek(fd, offset, whence) })
	return pos, err
}

// again calls f until it is not interrupted by a signal.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// byCall makes a system call that may wait for a device.
func byCall(ctx context.Context, f func() error) (err error) {
	uringwake.Blocking(ctx, func() { err = again(f) })
	return err
}

func openFile(ctx context.Context, name string, flag int, perm fs.FileMode) (fd int, err error) {
	return uringwake.Openat(ctx, unix.AT_FDCWD, name, flag, modeBits(perm))
}

func syncFile(ctx context.Context, fd int) error { return uringwake.Fsync(ctx, fd) }

func truncate(ctx context.Context, fd int, size int64) error {
	return uringwake.Ftruncate(ctx, fd, size)
}

func allocate(ctx context.Context, fd int, off, size int64) error {
	return uringwake.Fallocate(ctx, fd, 0, off, size)
}

func rename(ctx context.Context, from, to string) error {
	return uringwake.Renameat(ctx, unix.AT_FDCWD, from, unix.AT_FDCWD, to, 0)
}

func mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	return uringwake.Mkdirat(ctx, unix.AT_FDCWD, name, modeBits(perm))
}

// remove removes a file or an empty directory. If both ways fail, the error is that of
// the way that fits.
func remove(ctx context.Context, name string) error {
	file := uringwake.Unlinkat(ctx, unix.AT_FDCWD, name, 0)
	if file == nil || !errors.Is(file, unix.EISDIR) && !errors.Is(file, unix.EPERM) {
		return file
	}
	dir := uringwake.Unlinkat(ctx, unix.AT_FDCWD, name, unix.AT_REMOVEDIR)
	if errors.Is(dir, unix.ENOTDIR) {
		return file
	}
	return dir
}

func readLink(ctx context.Context, name string) (to string, err error) {
	buf := make([]byte, unix.PathMax) // no link is longer
	n := 0
	err = byCall(ctx, func() (err error) {
		n, err = unix.Readlink(name, buf)
		return err
	})
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// copyRange copies up to n bytes from one position to the other, within the kernel. When
// ctx ends or a file is closed, it stops after the step at hand. It copies none if src
// ends.
func (f *File) copyRange(ctx context.Context, src *File, n int64) (done int64, err error) {
	over := ctx.Done()
	err = byCall(ctx, func() error {
		for {
			m, err := unix.CopyFileRange(src.fd, nil, f.fd, nil, int(min(n-done, copyStep)), 0)
			done += int64(max(m, 0))
			if err != nil || m == 0 || done == n || isClosed(over) || f.isClosing() || src.isClosing() {
				return err
			}
		}
	})
	return done, err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// modeBits returns the bits that the kernel has for a mode.
func modeBits(perm fs.FileMode) (bits uint32) {
	bits = uint32(perm.Perm())
	if perm&fs.ModeSetuid != 0 {
		bits |= unix.S_ISUID
	}
	if perm&fs.ModeSetgid != 0 {
		bits |= unix.S_ISGID
	}
	if perm&fs.ModeSticky != 0 {
		bits |= unix.S_ISVTX
	}
	return bits
}

// isFallback reports whether copy_file_range(2) does not work for these files, and reads
// and writes may.
func isFallback(err error) bool {
	switch err {
	case unix.ENOSYS, unix.EXDEV, unix.EINVAL, unix.EIO, unix.EOPNOTSUPP, unix.EPERM, unix.EBADF, unix.ETXTBSY:
		return true
	}
	return false
}

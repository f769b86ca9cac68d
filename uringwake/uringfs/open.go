package uringfs

import (
	"context"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Open opens a file for reading. See [OpenFile].
func Open(ctx context.Context, name string) (*File, error) {
	return OpenFile(ctx, name, os.O_RDONLY, 0)
}

// Create creates a file with mode 0666 (before umask), or truncates it, and opens it for
// reading and writing. See [OpenFile].
func Create(ctx context.Context, name string) (*File, error) {
	return OpenFile(ctx, name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile opens a file with the flags of package os, such as os.O_RDWR, and others of
// open(2). If the file is created, its mode is perm, before umask. The descriptor is
// close-on-exec. An error is a *fs.PathError, and then no file is left open. Opening a
// FIFO waits for its other end; in a goroutine that wait does not end with ctx. OpenFile
// corresponds to io_uring_prep_openat; Linux 5.6.
func OpenFile(ctx context.Context, name string, flag int, perm fs.FileMode) (*File, error) {
	fd, err := openName(ctx, name, flag, perm)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	return NewFile(fd, name), nil
}

func openName(ctx context.Context, name string, flag int, perm fs.FileMode) (int, error) {
	if err := begin(ctx); err != nil {
		return -1, err
	}
	return openFile(ctx, name, flag, perm)
}

// ReadFile returns the contents of a file.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	f, err := Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.CloseContext(context.WithoutCancel(ctx))
	return f.readAll(ctx)
}

// readAll reads to the end. A file may tell a size that is too small, as those of /proc
// do.
func (f *File) readAll(ctx context.Context) ([]byte, error) {
	size := 512
	if i, err := f.StatContext(ctx); err == nil && i.Size() < 1<<30 {
		size = max(size, int(i.Size())+1) // one more, to see the end without growing
	}
	data := make([]byte, 0, size)
	for {
		n, err := f.ReadContext(ctx, data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case err == io.EOF:
			return data, nil
		case err != nil:
			return nil, err
		case len(data) == cap(data):
			data = slices.Grow(data, len(data))
		}
	}
}

// WriteFile writes data to a file, which it creates with mode perm (before umask), or
// truncates. If WriteFile fails, the file may have a part of data.
func WriteFile(ctx context.Context, name string, data []byte, perm fs.FileMode) error {
	f, err := OpenFile(ctx, name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	_, err = f.WriteContext(ctx, data)
	if bad := f.CloseContext(context.WithoutCancel(ctx)); err == nil {
		err = bad
	}
	return err
}

// Stat describes a file; if it is a symbolic link, the file to which the link leads. Sys
// of the result returns a *syscall.Stat_t. os.SameFile returns false for the result. Stat
// corresponds to io_uring_prep_statx; Linux 5.6.
func Stat(ctx context.Context, name string) (fs.FileInfo, error) {
	return statOf(ctx, "stat", name, true)
}

// Lstat is [Stat], but does not follow a symbolic link.
func Lstat(ctx context.Context, name string) (fs.FileInfo, error) {
	return statOf(ctx, "lstat", name, false)
}

func statOf(ctx context.Context, op, name string, follow bool) (fs.FileInfo, error) {
	err := begin(ctx)
	if err == nil {
		var i fs.FileInfo
		if i, err = statName(ctx, name, follow); err == nil {
			return i, nil
		}
	}
	return nil, pathError(op, name, err)
}

// ReadDir returns the entries of a directory, sorted by name. If it fails, it returns the
// entries that it has read.
func ReadDir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	f, err := OpenFile(ctx, name, onlyDirectory, 0)
	if err != nil {
		return nil, err
	}
	defer f.CloseContext(context.WithoutCancel(ctx))
	list, err := f.ReadDirContext(ctx, -1)
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// Readlink returns the destination of a symbolic link. It is a system call.
func Readlink(ctx context.Context, name string) (string, error) {
	err := begin(ctx)
	if err == nil {
		var to string
		if to, err = readLink(ctx, name); err == nil {
			return to, nil
		}
	}
	return "", pathError("readlink", name, err)
}

// Rename renames a file or a directory, and replaces a file, or an empty directory, that
// has the name to. An error is an *os.LinkError. Rename corresponds to
// io_uring_prep_renameat; Linux 5.11.
func Rename(ctx context.Context, from, to string) error {
	err := begin(ctx)
	if err == nil {
		err = rename(ctx, from, to)
	}
	return linkError("rename", from, to, err)
}

// Remove removes a file or an empty directory. It corresponds to io_uring_prep_unlinkat;
// Linux 5.11.
func Remove(ctx context.Context, name string) error {
	err := begin(ctx)
	if err == nil {
		err = remove(ctx, name)
	}
	return pathError("remove", name, err)
}

// Mkdir makes a directory with mode perm, before umask. It corresponds to
// io_uring_prep_mkdirat; Linux 5.15.
func Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	err := begin(ctx)
	if err == nil {
		err = mkdir(ctx, name, perm)
	}
	return pathError("mkdir", name, err)
}

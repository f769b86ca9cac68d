package uringfs

import (
	"context"
	"io"
	"io/fs"
)

// Seek is [File.SeekContext] without a context.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	return f.SeekContext(current(), offset, whence)
}

// SeekContext sets the file's position, as io.Seeker says, and returns it. It waits for
// its turn to use the position. After SeekContext, ReadDir of a directory continues at the
// new position.
func (f *File) SeekContext(ctx context.Context, offset int64, whence int) (pos int64, err error) {
	if err := f.begin(ctx, "seek"); err != nil {
		return 0, err
	}
	defer f.end()
	if f.waits == nil { // else it has no position, or one that means nothing
		if err := f.lock(ctx, f.reader); err != nil {
			return 0, f.fail("seek", err)
		}
		defer f.reader.Unlock()
	}
	if whence == io.SeekStart || whence == io.SeekCurrent {
		pos, err = seek(f.fd, offset, whence)
	} else {
		pos, err = seekFrom(ctx, f.fd, offset, whence)
	}
	if err != nil {
		return 0, f.fail("seek", err)
	}
	if f.waits == nil {
		f.dir = directory{}
	}
	return pos, nil
}

// do begins a use, calls g and wraps its error.
func (f *File) do(ctx context.Context, op string, g func() error) error {
	if err := f.begin(ctx, op); err != nil {
		return err
	}
	defer f.end()
	err := ended(ctx)
	if err == nil {
		err = g()
	}
	return f.fail(op, err)
}

// Stat is [File.StatContext] without a context.
func (f *File) Stat() (fs.FileInfo, error) { return f.StatContext(current()) }

// StatContext describes the file, as [Stat] does. It corresponds to io_uring_prep_statx;
// Linux 5.6.
func (f *File) StatContext(ctx context.Context) (i fs.FileInfo, err error) {
	err = f.do(ctx, "stat", func() (err error) {
		i, err = statFile(ctx, f.fd, f.name)
		return err
	})
	return i, err
}

// Sync is [File.SyncContext] without a context.
func (f *File) Sync() error { return f.SyncContext(current()) }

// SyncContext waits until what was written is on the device. It corresponds to
// io_uring_prep_fsync; Linux 5.1.
func (f *File) SyncContext(ctx context.Context) error {
	return f.do(ctx, "sync", func() error { return syncFile(ctx, f.fd) })
}

// Truncate is [File.TruncateContext] without a context.
func (f *File) Truncate(size int64) error { return f.TruncateContext(current(), size) }

// TruncateContext changes the size of the file, in bytes, and not its position. It
// corresponds to io_uring_prep_ftruncate; Linux 6.9.
func (f *File) TruncateContext(ctx context.Context, size int64) error {
	return f.do(ctx, "truncate", func() error { return truncate(ctx, f.fd, size) })
}

// Allocate is [File.AllocateContext] without a context.
func (f *File) Allocate(off, size int64) error { return f.AllocateContext(current(), off, size) }

// AllocateContext reserves space on the device for size bytes at off, so that writes there
// do not fail for lack of space. A file that ends before off+size grows to that size, in
// bytes. If the file system cannot allocate, the error matches errors.ErrUnsupported.
// AllocateContext corresponds to io_uring_prep_fallocate; Linux 5.6.
func (f *File) AllocateContext(ctx context.Context, off, size int64) error {
	return f.do(ctx, "allocate", func() error { return allocate(ctx, f.fd, off, size) })
}

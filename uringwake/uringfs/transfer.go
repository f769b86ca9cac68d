package uringfs

import (
	"context"
	"io"
	"os"

	"github.com/vigil-go/vigil/uringwake"
)

// own is the offset of a transfer that uses the file's own position.
const own = -1

// read reads at off, or at the file's own position.
func (f *File) read(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case f.open != nil:
		return f.untilClosed(ctx, func(ctx context.Context) (int, error) { return uringwake.Read(ctx, f.fd, p, off) })
	case off == own:
		return f.moving(func(pos int64) (int, error) { return uringwake.Read(ctx, f.fd, p, pos) })
	}
	return uringwake.Read(ctx, f.fd, p, off)
}

// write writes at off, or at the file's own position. It may write less than p. The kernel
// ignores off for a file opened with O_APPEND, and knows the position afterwards.
func (f *File) write(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case f.open != nil:
		return f.untilClosed(ctx, func(ctx context.Context) (int, error) { return uringwake.Write(ctx, f.fd, p, off) })
	case off == own && !f.append:
		return f.moving(func(pos int64) (int, error) { return uringwake.Write(ctx, f.fd, p, pos) })
	}
	return uringwake.Write(ctx, f.fd, p, off)
}

// moving transfers at the file's position and moves it. The ring does not move it when the
// device completes a transfer later, as with O_DIRECT (Linux 6.18).
func (f *File) moving(transfer func(pos int64) (int, error)) (int, error) {
	pos, err := seek(f.fd, 0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	n, err := transfer(pos)
	if n > 0 {
		if _, bad := seek(f.fd, pos+int64(n), io.SeekStart); err == nil {
			err = bad
		}
	}
	return n, err
}

// untilClosed transfers under a context that also ends when the file is closed.
func (f *File) untilClosed(ctx context.Context, transfer func(ctx context.Context) (int, error)) (int, error) {
	both, stop := f.until(ctx)
	defer stop()
	n, err := transfer(both)
	if err != nil && ctx.Err() == nil && f.isClosing() {
		err = os.ErrClosed
	}
	return n, err
}

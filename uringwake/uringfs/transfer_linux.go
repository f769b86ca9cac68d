package uringfs

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// read reads at off, or at the file's own position.
func (f *File) read(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case f.waits != nil:
		n, err := bridge.Read(ctx, f.fd, p, off, &f.waits.read)
		return n, interrupted(err)
	case f.direct:
		return f.readRing(ctx, p, off)
	}
	return f.readCached(ctx, p, off)
}

// readCached reads what is in memory by a system call, also in a task: that costs less
// than the way through the ring and back. Then it waits for the rest. Short reads are
// those at the end of a file, as programs expect it.
func (f *File) readCached(ctx context.Context, p []byte, off int64) (done int, err error) {
	if err := ended(ctx); err != nil {
		return 0, err
	}
	for {
		n, err := f.readNow(ctx, p[done:], off)
		done, off = done+n, after(off, n)
		switch {
		case err == nil && (n == 0 || done == len(p)):
			return done, nil
		case err != nil && done > 0 && err != unix.EAGAIN:
			return done, nil
		case err != nil:
			n, err = f.readDevice(ctx, p[done:], off)
			if done += n; done > 0 {
				return done, nil
			}
			return 0, err
		}
	}
}

// readDevice waits for the device, or for the server of a file system. A goroutine whose
// context cannot end does so by a system call, as package os does, which costs less than
// one of the kernel's workers. The ring can be canceled, and blocks no thread.
func (f *File) readDevice(ctx context.Context, p []byte, off int64) (int, error) {
	if ctx.Done() == nil && uringwake.TaskFrom(ctx) == nil {
		if n, err := bridge.ReadHere(f.fd, p, off); !isRefused(err) {
			return n, err
		}
	}
	return f.readRing(ctx, p, off)
}

// isRefused reports whether the kernel may refuse the system call to this process.
func isRefused(err error) bool { return err == unix.ENOSYS || err == unix.EPERM }

// pagesPerTurn is how many pages a task reads from memory before it lets others run.
const pagesPerTurn = 64

func (f *File) readNow(ctx context.Context, p []byte, off int64) (int, error) {
	n, err := bridge.ReadNow(ctx, f.fd, p, off)
	if t := uringwake.TaskFrom(ctx); t != nil && f.pages.Add(int64(n/pageSize+1)) > pagesPerTurn {
		f.pages.Store(0)
		t.Yield()
	}
	return n, err
}

const pageSize = 4096 // about

// after returns the offset n bytes after off, which may be own.
func after(off int64, n int) int64 {
	if off == own {
		return own
	}
	return off + int64(n)
}

func (f *File) readRing(ctx context.Context, p []byte, off int64) (int, error) {
	if off == own {
		return f.moving(func(pos int64) (int, error) { return uringwake.Read(ctx, f.fd, p, pos) })
	}
	return uringwake.Read(ctx, f.fd, p, off)
}

// write writes at off, or at the file's own position. It may write less than p.
//
// A goroutine writes to the page cache by a system call, as package os does: many file
// systems cannot tell before whether that has to wait (ext4 of Linux 6.18), and the way
// through the kernel's workers takes fifty times as long. A task must not wait. The kernel
// ignores off for a file opened with O_APPEND, and knows the position afterwards.
func (f *File) write(ctx context.Context, p []byte, off int64) (int, error) {
	switch {
	case f.waits != nil:
		n, err := bridge.Write(ctx, f.fd, p, off, &f.waits.write)
		return n, interrupted(err)
	case !f.direct && uringwake.TaskFrom(ctx) == nil:
		if n, err := f.writeHere(ctx, p, off); !isRefused(err) {
			return n, err
		}
	}
	return f.writeRing(ctx, p, off)
}

func (f *File) writeRing(ctx context.Context, p []byte, off int64) (int, error) {
	if off == own && !f.append {
		return f.moving(func(pos int64) (int, error) { return uringwake.Write(ctx, f.fd, p, pos) })
	}
	return uringwake.Write(ctx, f.fd, p, off)
}

// mostAtOnce limits a system call, so that ctx is looked at from time to time.
const mostAtOnce = 8 << 20

func (f *File) writeHere(ctx context.Context, p []byte, off int64) (int, error) {
	if err := ended(ctx); err != nil {
		return 0, err
	}
	return bridge.WriteHere(f.fd, p[:min(len(p), mostAtOnce)], off)
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

// interrupters end what waits when a file is closed. Each serves one call at a time, which
// the lines of the calls see to.
type interrupters struct{ read, write bridge.Interrupter }

func (w *interrupters) interrupt() {
	w.read.Interrupt()
	w.write.Interrupt()
}

// interrupted returns the error of a call that failed with err.
func interrupted(err error) error {
	if err == bridge.ErrInterrupted {
		return os.ErrClosed
	}
	return err
}

// awaitReadable waits until a read need not wait.
func (f *File) awaitReadable(ctx context.Context) error {
	if f.waits == nil {
		return bridge.Poll(ctx, f.fd, unix.POLLIN, nil)
	}
	return interrupted(bridge.Poll(ctx, f.fd, unix.POLLIN, &f.waits.read))
}

// awaitWritable waits until a write need not wait.
func (f *File) awaitWritable(ctx context.Context) error {
	if f.waits == nil {
		return bridge.Poll(ctx, f.fd, unix.POLLOUT, nil)
	}
	return interrupted(bridge.Poll(ctx, f.fd, unix.POLLOUT, &f.waits.write))
}

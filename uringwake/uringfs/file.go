package uringfs

import (
	"context"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A File is an open file. [Open], [Create], [OpenFile] and [NewFile] make one, and
// [File.Close] closes it. A File that is no longer reachable is closed by the garbage
// collector. The methods of a nil File return os.ErrInvalid.
type File struct {
	*descriptor
	name   string
	number uint64 // of this File, which no other has
	append bool   // opened with O_APPEND
	direct bool   // opened with O_DIRECT

	// The lines of the calls that use the position. A file that has a position, or is a
	// directory, has one.
	reader, writer *await.Mutex
	dir            directory // guarded by reader

	pages atomic.Int64 // that tasks have read without letting others run
}

var (
	_ io.ReadWriteSeeker = (*File)(nil)
	_ io.ReaderAt        = (*File)(nil)
	_ io.WriterAt        = (*File)(nil)
	_ io.ReaderFrom      = (*File)(nil)
	_ io.WriterTo        = (*File)(nil)
	_ io.StringWriter    = (*File)(nil)
	_ fs.ReadDirFile     = (*File)(nil)
)

// NewFile returns a File with the descriptor fd, which the File owns from then on. The
// name is used in errors and by [File.Name]. NewFile returns nil if fd is negative. It
// does not matter whether the descriptor has O_NONBLOCK.
func NewFile(fd int, name string) *File {
	if fd < 0 {
		return nil
	}
	f := &File{descriptor: &descriptor{fd: fd}, name: name, number: files.Add(1)}
	f.append, f.direct = flagsOf(fd)
	f.reader = new(await.Mutex)
	f.writer = f.reader
	if waitsForOthers(fd) {
		f.writer = new(await.Mutex)
		f.waits = new(interrupters)
	}
	runtime.AddCleanup(f, (*descriptor).drop, f.descriptor)
	return f
}

var files atomic.Uint64 // made so far

// The standard streams. A write to a broken pipe returns an error that matches
// syscall.EPIPE and does not end the program, unlike a write to os.Stdout.
var (
	Stdin  = NewFile(0, "/dev/stdin")
	Stdout = NewFile(1, "/dev/stdout")
	Stderr = NewFile(2, "/dev/stderr")
)

// Name returns the name that the file was opened with. It returns it after Close, too.
func (f *File) Name() string { return f.name }

// begin begins a use of the descriptor, which end ends.
func (f *File) begin(ctx context.Context, op string) error {
	waitq.MustContext(ctx, "uringfs")
	if f == nil {
		return os.ErrInvalid
	}
	if !f.acquire() {
		return f.fail(op, os.ErrClosed)
	}
	return nil
}

// end is a method of File so that the garbage collector does not close a file that is
// in use.
func (f *File) end() { f.release() }

func (f *File) fail(op string, err error) error { return pathError(op, f.name, err) }

// lock waits for the turn to use the position.
func (f *File) lock(ctx context.Context, line *await.Mutex) error {
	if err := line.Lock(ctx); err != nil {
		return err
	}
	if f.isClosing() { // while this call was in line
		line.Unlock()
		return os.ErrClosed
	}
	return nil
}

// Read is [File.ReadContext] without a context.
func (f *File) Read(p []byte) (int, error) { return f.ReadContext(current(), p) }

// ReadContext reads up to len(p) bytes at the file's position, and returns how many. At
// the end of the file it returns 0 and io.EOF; for an empty p it returns 0 and nil. It
// waits for at least one byte, and returns fewer than len(p) if no more are available now.
// If ctx ends while the kernel reads, the bytes that were read are returned without an
// error. ReadContext corresponds to io_uring_prep_read; Linux 5.6.
func (f *File) ReadContext(ctx context.Context, p []byte) (int, error) {
	if err := f.begin(ctx, "read"); err != nil {
		return 0, err
	}
	defer f.end()
	if len(p) == 0 {
		return 0, nil
	}
	if err := f.lock(ctx, f.reader); err != nil {
		return 0, f.fail("read", err)
	}
	defer f.reader.Unlock()
	n, err := f.read(ctx, p, own)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, f.fail("read", err)
}

// ReadAt is [File.ReadAtContext] without a context.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.ReadAtContext(current(), p, off) }

// ReadAtContext reads len(p) bytes at off, and leaves the position as it is. If it
// returns fewer, the error says why; it is io.EOF at the end of the file. It corresponds
// to io_uring_prep_read; Linux 5.6.
func (f *File) ReadAtContext(ctx context.Context, p []byte, off int64) (n int, err error) {
	if err := f.begin(ctx, "read"); err != nil {
		return 0, err
	}
	defer f.end()
	if err := f.mayAccess("readat", off); err != nil {
		return 0, err
	}
	if f.waits != nil {
		if err := f.lock(ctx, f.reader); err != nil {
			return 0, f.fail("read", err)
		}
		defer f.reader.Unlock()
	}
	for n < len(p) {
		m, err := f.read(ctx, p[n:], off+int64(n))
		n += m
		switch {
		case err != nil:
			return n, f.fail("read", err)
		case m == 0:
			return n, io.EOF
		}
	}
	return n, nil
}

// mayAccess returns the error of an access at off that must not be begun.
func (f *File) mayAccess(op string, off int64) error {
	if off < 0 {
		return f.fail(op, errNegativeOffset)
	}
	if f.waits != nil { // it may have no position, and the ring would ignore off
		_, err := seek(f.fd, 0, io.SeekCurrent)
		return f.fail(op[:len(op)-len("at")], err)
	}
	return nil
}

// Write is [File.WriteContext] without a context.
func (f *File) Write(p []byte) (int, error) { return f.WriteContext(current(), p) }

// WriteString is [File.Write] of the bytes of s.
func (f *File) WriteString(s string) (int, error) {
	return f.Write(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// WriteContext writes p at the file's position, or at the end of a file opened with
// O_APPEND. It returns the number of bytes written, and an error if that is less than
// len(p). No other Write on f comes in between. WriteContext corresponds to
// io_uring_prep_write; Linux 5.6.
func (f *File) WriteContext(ctx context.Context, p []byte) (n int, err error) {
	if err := f.begin(ctx, "write"); err != nil {
		return 0, err
	}
	defer f.end()
	if err := f.lock(ctx, f.writer); err != nil {
		return 0, f.fail("write", err)
	}
	defer f.writer.Unlock()
	n, err = f.writeAll(ctx, p, own)
	return n, f.fail("write", err)
}

// WriteAt is [File.WriteAtContext] without a context.
func (f *File) WriteAt(p []byte, off int64) (int, error) { return f.WriteAtContext(current(), p, off) }

// WriteAtContext writes p at off, and leaves the position as it is. It returns the
// number of bytes written, and an error if that is less than len(p). It refuses a file
// opened with O_APPEND, to whose end the kernel would write. It corresponds to
// io_uring_prep_write; Linux 5.6.
func (f *File) WriteAtContext(ctx context.Context, p []byte, off int64) (n int, err error) {
	if err := f.begin(ctx, "write"); err != nil {
		return 0, err
	}
	defer f.end()
	if f.append {
		return 0, errAppend
	}
	if err := f.mayAccess("writeat", off); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if f.waits != nil {
		if err := f.lock(ctx, f.writer); err != nil {
			return 0, f.fail("write", err)
		}
		defer f.writer.Unlock()
	}
	n, err = f.writeAll(ctx, p, off)
	return n, f.fail("write", err)
}

// own is the offset of a transfer that uses the file's own position.
const own = -1

// writeAll writes until all is written or something goes wrong. An empty p is written
// once: a device may act on it.
func (f *File) writeAll(ctx context.Context, p []byte, off int64) (n int, err error) {
	for {
		m, err := f.write(ctx, p[n:], off)
		n += m
		switch {
		case err != nil || n == len(p):
			return n, err
		case m == 0:
			return n, io.ErrUnexpectedEOF
		}
		if off >= 0 {
			off += int64(m)
		}
	}
}

// Close is [File.CloseContext] without a context.
func (f *File) Close() error { return f.CloseContext(current()) }

// CloseContext closes the file. Calls that wait for a pipe, a terminal, a socket or a
// turn return an error that matches os.ErrClosed, as do all later ones. Other calls in
// progress finish. CloseContext returns when no call uses the descriptor any more and
// it is closed; if ctx ends first, it is closed later. A function that was passed to a
// method of [File.SyscallConn] must not close the file: the close would wait for the
// function. CloseContext corresponds to io_uring_prep_close; Linux 5.6.
func (f *File) CloseContext(ctx context.Context) error {
	waitq.MustContext(ctx, "uringfs")
	if f == nil {
		return os.ErrInvalid
	}
	err := f.close(ctx)
	runtime.KeepAlive(f)
	return f.fail("close", err)
}

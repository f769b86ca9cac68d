package uringfs

import (
	"context"
	"errors"
	"io"
	"syscall"
)

// ReadFrom is [File.ReadFromContext] without a context.
func (f *File) ReadFrom(r io.Reader) (int64, error) { return f.ReadFromContext(current(), r) }

// ReadFromContext reads r to its end and writes that to f. It returns the number of bytes
// written. If r is a [*File], or an *io.LimitedReader of one, and both files have a
// position, the kernel copies by copy_file_range(2) where it can; some file systems then
// share the blocks and copy nothing. That does not work for an f with O_APPEND. Otherwise
// r is read and f is written, and a wait for an r that is not a File ends only when a Read
// of r would.
func (f *File) ReadFromContext(ctx context.Context, r io.Reader) (int64, error) {
	if err := f.begin(ctx, "write"); err != nil {
		return 0, err
	}
	f.end()
	src, limit := source(r)
	if src == nil {
		return copyThrough(bound{ctx, f}, r)
	}
	n, err := f.copyFrom(ctx, src, limit.N)
	limit.N -= n
	return n, err
}

// WriteTo is [File.WriteToContext] without a context.
func (f *File) WriteTo(w io.Writer) (int64, error) { return f.WriteToContext(current(), w) }

// WriteToContext reads f to its end and writes that to w. It returns the number of bytes
// written. If w is a [*File], WriteToContext does what [File.ReadFromContext] of w does.
// Otherwise, if w has a method ReadFrom, that is called for one part of f after the other;
// a connection of package net or uringnet has the kernel copy a regular file.
func (f *File) WriteToContext(ctx context.Context, w io.Writer) (int64, error) {
	if err := f.begin(ctx, "read"); err != nil {
		return 0, err
	}
	f.end()
	switch w := w.(type) {
	case *File:
		if w != nil {
			return w.copyFrom(ctx, f, unlimited)
		}
	case io.ReaderFrom:
		return f.giveTo(ctx, w)
	}
	return copyThrough(w, bound{ctx, f})
}

// giveTo has w read f, in parts: the copy of one may be the kernel's, which does not look
// at ctx.
func (f *File) giveTo(ctx context.Context, w io.ReaderFrom) (done int64, err error) {
	for {
		piece := &io.LimitedReader{R: bound{ctx, f}, N: copyStep}
		n, err := w.ReadFrom(piece)
		done += n
		if err != nil || piece.N > 0 {
			return done, err
		}
		if err := ended(ctx); err != nil {
			return done, f.fail("read", err)
		}
	}
}

// copyThrough is io.Copy with a buffer that becomes larger: in a task, each write takes
// its way through the kernel's workers.
func copyThrough(w io.Writer, r io.Reader) (done int64, err error) {
	if r, ok := r.(io.WriterTo); ok {
		return r.WriteTo(w)
	}
	for size := leastBuffer; ; size = mostBuffer {
		piece := &io.LimitedReader{R: r, N: unlimited}
		if size < mostBuffer {
			piece.N = int64(4 * size)
		}
		n, err := io.CopyBuffer(w, piece, make([]byte, size))
		done += n
		if err != nil || piece.N > 0 {
			return done, err
		}
	}
}

const (
	leastBuffer = 32 << 10
	mostBuffer  = 1 << 20
)

// bound is a File without ReadFrom and WriteTo, and with a context.
type bound struct {
	ctx context.Context
	f   *File
}

func (b bound) Read(p []byte) (int, error)  { return b.f.ReadContext(b.ctx, p) }
func (b bound) Write(p []byte) (int, error) { return b.f.WriteContext(b.ctx, p) }

// SyscallConn lets the kernel copy what a connection reads.
func (b bound) SyscallConn() (syscall.RawConn, error) { return b.f.SyscallConn() }

const unlimited = 1<<63 - 1

// source returns the file that r reads and its limit, if it is one. A limit belongs to r
// if r has one.
func source(r io.Reader) (*File, *io.LimitedReader) {
	switch r := r.(type) {
	case *File:
		if r != nil {
			return r, &io.LimitedReader{N: unlimited}
		}
	case *io.LimitedReader:
		if f, ok := r.R.(*File); ok && f != nil {
			return f, r
		}
	}
	return nil, nil
}

// copyFrom copies up to limit bytes from src: within the kernel as long as that works,
// and then by reads and writes. A file that seems to end at once may be one of those, as
// in /proc, that tell no size.
func (f *File) copyFrom(ctx context.Context, src *File, limit int64) (done int64, err error) {
	for limit > done && f.mayShare(src) {
		n, err := f.copySome(ctx, src, min(limit-done, copyTurn))
		done += n
		if err == errNotShared || done == 0 && err == nil {
			break
		}
		if err != nil || n == 0 {
			return done, err
		}
	}
	if limit <= done {
		return done, nil
	}
	n, err := copyThrough(bound{ctx, f}, io.LimitReader(bound{ctx, src}, limit-done))
	return done + n, err
}

const (
	copyTurn = 64 << 20 // how much is copied before other calls may use the files
	copyStep = 4 << 20  // how much one system call copies, which is not canceled
)

// errNotShared means that the kernel does not copy between two files.
var errNotShared = errors.New("uringfs: not within the kernel")

// mayShare reports whether copy_file_range may work.
func (f *File) mayShare(src *File) bool {
	return f.waits == nil && src.waits == nil && !f.append && f.reader != src.reader
}

// copySome copies up to n bytes within the kernel. It copies none if src ends.
func (f *File) copySome(ctx context.Context, src *File, n int64) (done int64, err error) {
	if err := f.begin(ctx, "copy_file_range"); err != nil {
		return 0, err
	}
	defer f.end()
	if err := src.begin(ctx, "copy_file_range"); err != nil {
		return 0, err
	}
	defer src.end()
	unlock, err := lockBoth(ctx, f, src)
	if err != nil {
		return 0, f.fail("copy_file_range", err)
	}
	defer unlock()
	done, err = f.copyRange(ctx, src, n)
	if isFallback(err) {
		return done, errNotShared
	}
	return done, f.fail("copy_file_range", err)
}

// lockBoth waits for the turns to use both positions, in the order in which the files were
// opened, so that two copies in opposite directions do not wait for each other.
func lockBoth(ctx context.Context, f, src *File) (unlock func(), err error) {
	first, second := f, src
	if f.number > src.number {
		first, second = src, f
	}
	if err := first.lock(ctx, first.reader); err != nil {
		return nil, err
	}
	if err := second.lock(ctx, second.reader); err != nil {
		first.reader.Unlock()
		return nil, err
	}
	return func() {
		second.reader.Unlock()
		first.reader.Unlock()
	}, nil
}

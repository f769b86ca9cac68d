package uringfs

import (
	"context"
	"io"
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
		return io.Copy(bound{ctx, f}, r)
	}
	n, err := f.copyFrom(ctx, src, limit.N)
	limit.N -= n
	return n, err
}

// WriteTo is [File.WriteToContext] without a context.
func (f *File) WriteTo(w io.Writer) (int64, error) { return f.WriteToContext(current(), w) }

// WriteToContext reads f to its end and writes that to w. It returns the number of bytes
// written. If w is a [*File], WriteToContext does what [File.ReadFromContext] of w does.
func (f *File) WriteToContext(ctx context.Context, w io.Writer) (int64, error) {
	if err := f.begin(ctx, "read"); err != nil {
		return 0, err
	}
	f.end()
	if dst, ok := w.(*File); ok && dst != nil {
		return dst.copyFrom(ctx, f, unlimited)
	}
	return io.Copy(w, bound{ctx, f})
}

// bound is a File without ReadFrom and WriteTo, and with a context.
type bound struct {
	ctx context.Context
	f   *File
}

func (b bound) Read(p []byte) (int, error)  { return b.f.ReadContext(b.ctx, p) }
func (b bound) Write(p []byte) (int, error) { return b.f.WriteContext(b.ctx, p) }

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
// and then by reads and writes.
func (f *File) copyFrom(ctx context.Context, src *File, limit int64) (done int64, err error) {
	for limit > done && f.mayShare(src) {
		n, again, err := f.copySome(ctx, src, min(limit-done, copyStep))
		done += n
		if err != nil {
			return done, err
		}
		if !again {
			break
		}
	}
	n, err := f.copyBuffered(ctx, src, limit-done)
	return done + n, err
}

// copyStep is how much one system call copies: a copy is not canceled before its end.
const copyStep = 4 << 20

// mayShare reports whether copy_file_range may work.
func (f *File) mayShare(src *File) bool {
	return f.waits == nil && src.waits == nil && !f.append && f.reader != src.reader
}

// copySome copies up to n bytes within the kernel. It reports false if no more can be
// copied so, because that does not work here or src ends. A file that seems to end at
// once may be one of those, as in /proc, that tell no size.
func (f *File) copySome(ctx context.Context, src *File, n int64) (done int64, again bool, err error) {
	if err := f.begin(ctx, "copy_file_range"); err != nil {
		return 0, false, err
	}
	defer f.end()
	if err := src.begin(ctx, "copy_file_range"); err != nil {
		return 0, false, err
	}
	defer src.end()
	unlock, err := lockBoth(ctx, f, src)
	if err != nil {
		return 0, false, f.fail("copy_file_range", err)
	}
	defer unlock()
	done, err = copyRange(ctx, f.fd, src.fd, n)
	if err != nil && !isFallback(err) {
		return done, false, f.fail("copy_file_range", err)
	}
	return done, err == nil && done > 0, nil
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

// copyBuffered copies up to limit bytes by reads and writes.
func (f *File) copyBuffered(ctx context.Context, src *File, limit int64) (done int64, err error) {
	if limit <= 0 {
		return 0, nil
	}
	buf := make([]byte, min(limit, copyBuffer))
	for done < limit {
		n, err := src.ReadContext(ctx, buf[:min(limit-done, copyBuffer)])
		if err == io.EOF {
			return done, nil
		}
		if err != nil {
			return done, err
		}
		n, err = f.WriteContext(ctx, buf[:n])
		done += int64(n)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

const copyBuffer = 128 << 10

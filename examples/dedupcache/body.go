package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/vigil-go/vigil/notify"
)

// A body is what arrives of a response: one fetch writes it, any number of
// readers follow, each at its own pace, while it grows and after.
//
//	fetch   append under mu, then more.NotifyWaiters
//	reader  look under mu; nothing new? more.Listen, look again, Wait
//	        when ahead of all others: room.NotifyOne
//	fetch   no room? room.Wait, look again
//
// Up to limit bytes all of it is there for every reader, and the fetch runs
// as fast as the origin. A body that gets longer is not stored, so it is
// only handed on: its beginning is dropped, no reader can join any more, and the fetch
// stays half a window ahead of its fastest reader. A reader that falls behind
// what is still there, which is a window or two, is cut off: it neither slows
// the others nor fills the memory.
//
// A body to be stored is fetched to its end even if all readers leave. One that
// is not ends with its last reader.
type body struct {
	limit  int64                   // of what is stored
	window int64                   // of what is there of a longer one
	end    context.CancelCauseFunc // of the fetch
	more   notify.Notify           // readers wait here, for bytes or the end
	room   notify.Notify           // the fetch waits here, for its readers

	mu      sync.Mutex
	data    []byte // from base on
	base    int64
	fastest int64 // the offset that a reader got to
	readers int
	stored  bool
	err     error // io.EOF: it is whole
}

var (
	errTooSlow = errors.New("too far behind the others who read this")
	errUnread  = errors.New("nobody reads this any more")
)

// piece is how much a fetch, or a reader, takes at a time; and minWindow has
// room for many, so that no reader is cut off that is just about to read.
const (
	piece     = 32 << 10
	minWindow = 32 * piece
)

// newBody returns a body whose fetch ends by end. It is kept for those who are
// about to read it until release is called: as long, it has a reader.
func newBody(limit int64, stored bool, end context.CancelCauseFunc) *body {
	return &body{limit: limit, window: max(limit, minWindow), stored: stored, end: end, readers: 1}
}

// fill reads src to its end, which it returns. before and after enclose each
// wait for the origin.
func (b *body) fill(ctx context.Context, src io.Reader, before, after func()) error {
	buf := make([]byte, piece)
	for {
		if err := b.waitForRoom(ctx); err != nil {
			return b.finish(err)
		}
		before()
		n, err := src.Read(buf)
		after()
		if n > 0 {
			b.add(buf[:n])
		}
		if err != nil {
			if err != io.EOF && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return b.finish(err)
		}
	}
}

func (b *body) add(p []byte) {
	b.mu.Lock()
	b.data = append(b.data, p...)
	if b.base+int64(len(b.data)) > b.limit {
		b.stored = false
	}
	if n := int64(len(b.data)); n >= 2*b.window { // the last window stays
		b.data = slices.Clone(b.data[n-b.window:])
		b.base += n - b.window
	}
	unwanted := b.unwanted()
	b.mu.Unlock()
	b.more.NotifyWaiters()
	if unwanted {
		b.end(errUnread)
	}
}

// unwanted reports whether the fetch has no use any more, and if so makes sure
// that no reader joins what is about to end. The caller holds mu.
func (b *body) unwanted() bool {
	if b.readers > 0 || b.stored || b.err != nil {
		return false
	}
	b.err = errUnread
	return true
}

func (b *body) finish(err error) error {
	b.mu.Lock()
	if b.err == nil {
		b.err = err
	}
	b.mu.Unlock()
	b.more.NotifyWaiters()
	return err
}

// waitForRoom waits until the fetch may go on. Nothing else waits for
// that, so a permit will do: a reader that made room just before Wait left it.
func (b *body) waitForRoom(ctx context.Context) error {
	for !b.hasRoom() {
		if err := b.room.Wait(ctx); err != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

func (b *body) hasRoom() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	size := b.base + int64(len(b.data))
	return size <= b.limit || size-b.fastest < b.window/2
}

// size is how many bytes have arrived; whole tells that these are all.
func (b *body) size() (size int64, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.base + int64(len(b.data)), b.err == io.EOF
}

// complete returns all of the body, if it is there.
func (b *body) complete() ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.data, b.err == io.EOF && b.base == 0
}

// keepable reports whether the body can still be stored.
func (b *body) keepable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stored && (b.err == nil || b.err == io.EOF)
}

// open returns a reader at the body's beginning. It fails if that is gone, or
// the rest will not come.
func (b *body) open() (*reader, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.base > 0 || b.err != nil && b.err != io.EOF {
		return nil, false
	}
	b.readers++
	return &reader{body: b}, true
}

// release is the end of one reader.
func (b *body) release() {
	b.mu.Lock()
	b.readers--
	unwanted := b.unwanted()
	b.mu.Unlock()
	if unwanted {
		b.end(errUnread)
	}
}

// A reader follows a body. It belongs to one goroutine.
type reader struct {
	body *body
	off  int64
}

// read waits for bytes that the reader has not seen and copies them to p. The
// error is io.EOF at the end of a whole body.
func (r *reader) read(ctx context.Context, p []byte) (int, error) {
	for {
		if n, err := r.look(p); n > 0 || err != nil {
			return n, err
		}
		l := r.body.more.Listen()
		if n, err := r.look(p); n > 0 || err != nil { // the second look
			l.Stop()
			return n, err
		}
		if err := l.Wait(ctx); err != nil {
			l.Stop()
			return 0, err
		}
	}
}

// look copies what is new; 0 and nil: there is nothing yet.
func (r *reader) look(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	if r.off < b.base {
		b.mu.Unlock()
		return 0, errTooSlow
	}
	n, err := copy(p, b.data[r.off-b.base:]), b.err
	r.off += int64(n)
	ahead := r.off > b.fastest
	b.fastest = max(b.fastest, r.off)
	b.mu.Unlock()
	if ahead {
		b.room.NotifyOne()
	}
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// caughtUp reports whether the reader has seen all that has arrived.
func (r *reader) caughtUp() bool {
	size, whole := r.body.size()
	return r.off == size && !whole
}

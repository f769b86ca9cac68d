package httpcache

import (
	"errors"
	"io"
	"strconv"
	"sync/atomic"
)

// A body is the content of a response. It arrives by a stream, and is whole when
// that has ended well with all of it still there.
//
// Its memory is given back with the last reference. These are held by the stream
// until it ends, then by the budget until the body is evicted, and by each
// reader.
type body struct {
	budget *budget
	owner  owner

	refs    atomic.Int32
	kept    atomic.Bool // the cache may keep it, as far as is known
	visited atomic.Bool // read since the hand of the budget came by
	whole   atomic.Bool // chunks, length and field are set, and do not change any more
	stream  atomic.Pointer[stream]

	chunks []*chunk
	length int64
	field  []string // of Content-Length

	listed       bool // these three are guarded by budget.mu
	older, newer *body
}

// An owner is what a body belongs to. It is called with nothing locked.
type owner interface {
	// evicted is told that the body is not to be found any more.
	evicted(b *body)
	// broke is told why a reader did not get all of the body.
	broke(err error)
	// detached is told that a reader goes on by a request of its own.
	detached()
}

var (
	errUnread   = errors.New("nobody reads this any more")
	errUnwound  = errors.New("origin: reading the body did not return")
	errDetached = errors.New("too far behind the others who read this")
	errLength   = errors.New("origin: the body is longer than announced")
)

// open adds a reference, which release ends. It fails if the body's memory was
// given back.
func (b *body) open() bool {
	for n := b.refs.Load(); n > 0; n = b.refs.Load() {
		if b.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

func (b *body) release() {
	if b.refs.Add(-1) > 0 {
		return
	}
	if b.whole.Load() {
		b.budget.give(b.chunks...)
	} else {
		b.budget.give(b.stream.Load().chunks...)
	}
}

// visit notes that the body was read once more.
func (b *body) visit() {
	if !b.visited.Load() {
		b.visited.Store(true)
	}
}

// evict ends the reference of the budget, for whoever took it from there.
func (b *body) evict() {
	b.kept.Store(false)
	b.owner.evicted(b)
	b.release()
}

// discard lets go of a body that the cache does not keep any more.
func (b *body) discard() {
	b.kept.Store(false)
	if b.budget.remove(b) {
		b.release()
	}
}

// memory is how many bytes a whole body takes.
func (b *body) memory() (n int64) {
	for _, c := range b.chunks {
		n += int64(cap(c.data))
	}
	return n
}

// weight is how many bytes a body takes, or will if it is kept.
func (b *body) weight() int64 {
	s := b.stream.Load()
	if s == nil {
		return b.length
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.size, min(s.announced, s.limit))
}

// follow returns a reader that follows an open body, or nil if the body is whole.
// It fails if the body's beginning is gone, or the rest will not come.
func (b *body) follow() (*reader, bool) {
	if b.whole.Load() {
		return nil, true
	}
	if s := b.stream.Load(); s != nil {
		return s.follow()
	}
	return nil, true // it has become whole
}

// complete makes the body whole: all of it is in chunks, whose last one is not
// full. What would be wasted of that is given back, if it matters. Readers may
// be in that chunk: then it is not used again.
func (b *body) complete(chunks []*chunk, length int64) {
	b.length, b.field = length, []string{strconv.FormatInt(length, 10)}
	b.chunks = append([]*chunk(nil), chunks...)
	if n := len(chunks); n > 0 {
		b.chunks[n-1] = b.cut(chunks[n-1], int(length-int64(n-1)*chunkSize), n)
	}
	b.whole.Store(true)
}

// cut returns the last one of n chunks with its unused part cut off.
func (b *body) cut(last *chunk, size, n int) *chunk {
	if wasted := chunkSize - size; wasted*8 <= n*chunkSize {
		if last.readers == 0 {
			last.data = last.data[:size]
			return last
		}
		return &chunk{data: last.data[:size]}
	}
	exact := &chunk{data: append(make([]byte, 0, size), last.data[:size]...)}
	last.lent = last.readers > 0
	b.budget.give(last)
	b.budget.charge(size)
	return exact
}

// A section reads a whole body from anywhere.
type section struct {
	body *body
	off  int64
}

func (s *section) Read(p []byte) (int, error) {
	if s.off >= s.body.length {
		return 0, io.EOF
	}
	n := copy(p, s.body.chunks[s.off/chunkSize].data[s.off%chunkSize:])
	s.off += int64(n)
	return n, nil
}

var errSeek = errors.New("httpcache: seek before the beginning")

func (s *section) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += s.off
	case io.SeekEnd:
		off += s.body.length
	}
	if off < 0 {
		return 0, errSeek
	}
	s.off = off
	return off, nil
}

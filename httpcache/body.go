package httpcache

import (
	"errors"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
)

// A body is the content of a response. It arrives by a stream, and is whole when the stream
// has ended without an error and all chunks are still there.
//
// Its memory is released with the last reference. References are held by the stream until
// it ends, then by the budget until the body is evicted, and by each reader.
type body struct {
	budget *budget
	owner  owner

	refs    atomic.Int32
	kept    atomic.Bool // it is to be kept, so far
	visited atomic.Bool // read since the hand of the budget passed it
	whole   atomic.Bool // chunks, length and field are set, and do not change any more
	stream  atomic.Pointer[stream]

	chunks []*chunk
	length int64
	field  []string // of Content-Length

	listed       bool // these three are guarded by budget.mu
	older, newer *body
}

// An owner is notified of what happens to its body, with nothing locked.
type owner interface {
	// evicted is called when the body was evicted.
	evicted(b *body)
	// broke is called when a reader did not get all of the body.
	broke(err error)
	// detached is called when a reader continues by a request of its own.
	detached()
}

var (
	errUnread   = errors.New("no client reads the body any more")
	errUnwound  = errors.New("origin: reading the body did not return")
	errDetached = errors.New("too slow for the other readers of the body")
	errLength   = errors.New("origin: the body is longer than announced")
)

// open adds a reference, which release ends. It returns false if the memory of the body has
// been released.
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
		b.chunks = nil // the saver, for instance, may still refer to the body
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

// evict ends the reference of the budget. The caller has removed b from the budget.
func (b *body) evict() {
	b.kept.Store(false)
	b.owner.evicted(b)
	b.release()
}

// discard ends the reference of the budget, because the body is not kept any more.
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

// follow returns a reader for an open body that is arriving, or nil if the body is whole. It
// returns false if the beginning of the body is gone, or the rest will not come.
func (b *body) follow() (*reader, bool) {
	if b.whole.Load() {
		return nil, true
	}
	if s := b.stream.Load(); s != nil {
		return s.follow()
	}
	return nil, true // it has become whole meanwhile
}

// complete makes the body whole: all of it is in chunks. The unused part of the last one is
// released if it is more than an eighth of all. If a reader is in that chunk, the chunk is not
// used again.
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

// A section reads a whole body at any offset, until end is called.
type section struct {
	mu   sync.Mutex // a goroutine of http.ServeContent may still read after that has returned
	body *body      // nil after end
	off  int64
}

var (
	errSeek = errors.New("httpcache: seek before the beginning")
	errOver = errors.New("httpcache: the body is not open any more")
)

func (s *section) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.body == nil:
		return 0, errOver
	case s.off >= s.body.length:
		return 0, io.EOF
	}
	n := copy(p, s.body.chunks[s.off/chunkSize].data[s.off%chunkSize:])
	s.off += int64(n)
	return n, nil
}

func (s *section) Seek(off int64, whence int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.body == nil:
		return 0, errOver
	case whence == io.SeekCurrent:
		off += s.off
	case whence == io.SeekEnd:
		off += s.body.length
	}
	if off < 0 {
		return 0, errSeek
	}
	s.off = off
	return off, nil
}

// end returns when no Read is running. Later ones fail.
func (s *section) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = nil
}

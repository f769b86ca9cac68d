package httpcache

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/vigil-go/vigil/notify"
)

// A stream is a body while it arrives. One fetch writes it, and any number of readers read
// it, each at its own speed.
//
//	fetch   append under mu, then more.NotifyWaiters
//	reader  look under mu; nothing new? more.Listen, look again, Wait
//	        when it leaves the first chunk: room.NotifyOne
//	fetch   no room? room.Wait, look again
//
// It is in one of these states:
//
//	keeping   All that has arrived is there, and the fetch does not wait for readers.
//	windowed  The body is too long, or there is no memory for it, or it is not to be
//	          kept. Only a window of it is there. When the window is full, the fetch
//	          waits until all readers have passed its first chunk: for the slowest.
//	ended     err is set.
//
// The state keeping ends when body.kept is cleared. A reader cannot join when the beginning
// of the body is gone.
//
// If a reader makes the fetch, and so other readers, wait for longer than maxDelay in
// total, it is detached: it continues by a request of its own. If the response does not
// permit that, the others are as slow as it is.
//
// A stream that has had no reader for unreadTimeout ends.
type stream struct {
	body *body
	streamOptions
	born time.Time
	end  context.CancelCauseFunc // of the fetch
	more notify.Notify           // readers wait here, for bytes or the end
	room notify.Notify           // the fetch waits here, for readers

	mu      sync.Mutex
	chunks  []*chunk // from base on
	base    int64    // the offset of the first chunk, a multiple of chunkSize
	size    int64    // the number of bytes that have arrived, including those that are gone
	ahead   int      // the number of readers whose offset is in no chunk yet
	waiting int      // the number of readers that wait for bytes
	readers []*reader
	forced  bool  // there is no memory for the whole window
	err     error // io.EOF if all has arrived
	done    bool  // the fetch will write no more
	leaving *time.Timer

	blockers []*reader // those that the fetch waits for; used by the fetch only
}

// streamOptions are the options of a stream.
type streamOptions struct {
	announced     int64 // its length, or -1
	limit         int64 // the length of the longest body that is kept
	window        int   // chunks
	maxDelay      time.Duration
	unreadTimeout time.Duration
	background    bool // it arrives even if there are no readers

	// resume returns the body from an offset on, for a reader that was detached. It is
	// nil if no reader can be detached.
	resume func(ctx context.Context, off int64) (io.ReadCloser, error)
}

const (
	// minWindow is the minimum size of a window in bytes, if there is memory.
	minWindow = 4 * chunkSize

	// minLook is the shortest time after which the fetch looks again for readers that wait.
	minLook = time.Millisecond

	// joinDelay is how long the first chunk of a window stays, so that the requests that
	// waited for the header can join the stream.
	joinDelay = 100 * time.Millisecond

	// discardDelay is how long a whole body that is not kept stays for the same requests.
	discardDelay = time.Second
)

// newBody returns a body that arrives by a stream. end cancels the fetch.
func newBody(g *budget, o owner, kept bool, opts streamOptions, end context.CancelCauseFunc) *body {
	b := &body{budget: g, owner: o}
	b.kept.Store(kept)
	b.refs.Store(1)
	s := &stream{body: b, streamOptions: opts, born: time.Now(), end: end}
	b.stream.Store(s)
	s.leaving = time.AfterFunc(opts.unreadTimeout, s.abandon)
	return b
}

// fill reads src until it ends, and returns the error: io.EOF if the body is complete. It
// calls before and after around each read.
func (s *stream) fill(ctx context.Context, src io.Reader, before, after func()) error {
	for empty := 0; empty < 100; empty++ {
		buf, err := s.space(ctx)
		if err != nil {
			return err
		}
		before()
		n, err := src.Read(buf)
		after()
		if n > 0 {
			empty = 0
			s.add(n)
		}
		switch {
		case err == io.EOF:
			return s.checkLength()
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

func (s *stream) checkLength() error {
	switch {
	case s.announced >= 0 && s.size < s.announced:
		return io.ErrUnexpectedEOF
	case s.announced >= 0 && s.size > s.announced:
		return errLength
	}
	return io.EOF
}

// add publishes to the readers n bytes that were read into the unused space.
func (s *stream) add(n int) {
	s.mu.Lock()
	s.size += int64(n)
	if s.size > s.limit {
		s.stopKeeping()
	}
	s.mu.Unlock()
	s.more.NotifyWaiters()
}

// stopKeeping ends the state keeping. The caller holds mu.
func (s *stream) stopKeeping() {
	s.body.kept.Store(false)
	if s.background {
		s.background = false
		s.watch()
	}
}

// space waits until there is memory for more of the body, and returns it.
func (s *stream) space(ctx context.Context) ([]byte, error) {
	for {
		buf, full := s.rest()
		if len(buf) > 0 {
			return buf, nil
		}
		if !full && s.grow() {
			continue
		}
		if err := s.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// rest returns the unused part of the last chunk. If there is none, full says whether the
// window is full.
func (s *stream) rest() (buf []byte, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.body.kept.Load()
	if !kept {
		s.stopKeeping() // the body may have been discarded
	}
	if n := len(s.chunks); s.base+int64(n)*chunkSize > s.size {
		return s.chunks[n-1].data[(s.size-s.base)%chunkSize:], false
	}
	if kept {
		return nil, false
	}
	s.trim(s.window - 1)
	return nil, len(s.chunks) >= s.window
}

// grow adds a chunk, and reports whether there was memory for it.
func (s *stream) grow() bool {
	n := toWindow
	if s.body.kept.Load() {
		n = toKeep
	}
	c := s.body.budget.take(n)
	if c == nil {
		if c = s.body.budget.take(s.shrink()); c == nil {
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.readers, s.ahead = s.ahead, 0
	s.chunks = append(s.chunks, c)
	return true
}

// shrink makes the window as small as possible, and returns the need for the next chunk.
func (s *stream) shrink() need {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopKeeping()
	s.forced = true
	s.trim(0)
	if len(s.chunks) == 0 {
		return toGoOn
	}
	return toWindow
}

// trim gives back the first chunks that all readers have passed, until n chunks are left.
// All chunks are full. The caller holds mu.
func (s *stream) trim(n int) {
	for len(s.chunks) > n && s.isFirstUnused() {
		s.body.budget.give(s.chunks[0])
		s.chunks[0] = nil
		s.chunks = s.chunks[1:]
		s.base += chunkSize
	}
}

// giveBack gives back the chunks that no reader needs, if the stream has ended and the body
// is not whole, so that no reader can join. The caller holds mu.
func (s *stream) giveBack() {
	if s.err == nil || s.body.whole.Load() {
		return
	}
	s.forced = true
	s.trim(0)
	if len(s.readers) == 0 && s.done {
		s.body.budget.give(s.chunks...)
		s.chunks = nil
	}
}

// isFirstUnused reports whether all readers have passed the first chunk. The caller holds mu.
func (s *stream) isFirstUnused() bool {
	return len(s.readers) > 0 && s.chunks[0].readers == 0 && s.started()
}

// started reports whether the window may move on, so that no more readers can join.
func (s *stream) started() bool { return s.forced || time.Since(s.born) >= joinDelay }

// wait waits until the fetch may have room. Only the fetch waits for that, so a permit that
// a reader left before the wait is enough.
func (s *stream) wait(ctx context.Context) error {
	start := time.Now()
	d, blocked := s.block()
	if !blocked {
		return nil
	}
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if d > 0 {
		waiting, cancel = context.WithTimeout(ctx, d)
	}
	s.room.Wait(waiting)
	cancel()
	s.countWait(time.Since(start))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// block sets blockers, and returns the time after which the fetch has to look again even if
// there is no room. Zero means that it need not. blocked is false if there is room by now:
// nothing wakes the fetch when joinDelay is over.
func (s *stream) block() (d time.Duration, blocked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if early := joinDelay - time.Since(s.born); early > 0 && !s.forced {
		return early, true
	}
	if s.isFirstUnused() {
		return 0, false
	}
	for _, r := range s.readers {
		if r.off < s.base+chunkSize {
			s.blockers = append(s.blockers, r)
			left := max(s.maxDelay-r.held, s.maxDelay/8, minLook) // the minimum is for readers that no other reader waits for
			if s.resume != nil && (d == 0 || left < d) {
				d = left
			}
		}
	}
	return d, true
}

// countWait adds a wait of the fetch to the time of its blockers, if other readers waited
// too, and detaches those whose time is over.
func (s *stream) countWait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.blockers {
		if s.waiting == 0 || s.resume == nil {
			break
		}
		if r.held += d; r.held >= s.maxDelay && r.joined && r.off < s.base+chunkSize {
			s.detach(r)
		}
	}
	clear(s.blockers)
	s.blockers = s.blockers[:0]
}

// detach removes a reader from the stream. It may be writing the first chunk out, so that
// chunk is not used again. The caller holds mu.
func (s *stream) detach(r *reader) {
	s.chunks[0].lent = true
	r.detached = true
	s.remove(r)
}

// finish ends the stream. It makes the body whole if all of it is there.
func (s *stream) finish(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	b := s.body
	s.done = true
	s.leaving.Stop()
	whole := s.err == io.EOF && s.base == 0
	if whole {
		b.complete(s.chunks, s.size)
		s.chunks = b.chunks
	} else {
		b.kept.Store(false)
		s.giveBack()
	}
	s.mu.Unlock()
	s.more.NotifyWaiters()
	if !whole {
		b.release()
		return
	}
	b.stream.Store(nil)
	b.budget.add(b)
	if !b.kept.Load() {
		time.AfterFunc(discardDelay-time.Since(s.born), b.discard)
	}
}

// endedAt reports whether the body has ended without an error after n bytes.
func (s *stream) endedAt(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done && s.err == io.EOF && s.size == n
}

// watch starts the timer that ends the stream, if there is no reader. If none can join, it
// ends at once. The caller holds mu.
func (s *stream) watch() {
	switch {
	case len(s.readers) > 0 || s.background || s.err != nil:
	case s.base > 0:
		s.leaving.Reset(0)
	default:
		s.leaving.Reset(s.unreadTimeout)
	}
}

// abandon ends a stream that has no reader.
func (s *stream) abandon() {
	s.mu.Lock()
	unread := len(s.readers) == 0 && !s.background && s.err == nil
	if unread {
		s.err = errUnread
		s.body.kept.Store(false)
	}
	s.mu.Unlock()
	if unread {
		s.end(errUnread)
	}
}

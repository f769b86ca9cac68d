package httpcache

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/vigil-go/vigil/notify"
)

// A stream is the arrival of a body: one fetch writes it, and any number of
// readers follow, each at its own pace.
//
//	fetch   append under mu, then more.NotifyWaiters
//	reader  look under mu; nothing new? more.Listen, look again, Wait
//	        when it leaves the first chunk: room.NotifyOne
//	fetch   no room? room.Wait, look again
//
// It is in one of these states:
//
//	keeping  All that has arrived is there, and the fetch waits for nobody.
//	passing  The body is too long, or there is no memory for it, or it is not to
//	         be kept. Only a window of it is there. When that is full, its first
//	         chunks make room once all readers have passed them, and until
//	         then the fetch waits: for the slowest reader.
//	ended    err is set.
//
// keeping turns into passing when body.kept is cleared. Who comes when the
// beginning is gone cannot join.
//
// A reader that makes the fetch wait, and by that other readers, may do so for a
// time in all: maxDelay. Then it is detached: it goes on by a request of its own. If the
// response does not allow that, the others are as slow as it is.
//
// A stream that has had no reader for a time, unreadTimeout, ends.
type stream struct {
	body *body
	streamOptions
	born time.Time
	end  context.CancelCauseFunc // of the fetch
	more notify.Notify           // readers wait here, for bytes or the end
	room notify.Notify           // the fetch waits here, for readers

	mu      sync.Mutex
	chunks  []*chunk // from base on; chunk.readers counts those whose offset is in it
	base    int64    // a multiple of chunkSize
	size    int64    // what has arrived, with what is gone
	ahead   int      // readers whose offset is in no chunk yet
	waiting int      // readers that wait for bytes
	readers []*reader
	forced  bool  // there was no memory for the whole window
	err     error // io.EOF: all has arrived
	done    bool  // the fetch will write no more
	leaving *time.Timer

	blockers []*reader // the fetch's own: those that it waits for
}

// streamOptions say how a body is to arrive.
type streamOptions struct {
	announced     int64 // its length, or -1
	limit         int64 // the length of the longest that is kept
	window        int   // chunks
	maxDelay      time.Duration
	unreadTimeout time.Duration
	background    bool // to be kept though there are no readers

	// resume returns what comes from an offset on, for one reader that is detached.
	// nil: that cannot be.
	resume func(ctx context.Context, off int64) (io.ReadCloser, error)
}

const (
	// minWindow is the least size of a window in bytes, if there is memory.
	minWindow = 4 * chunkSize

	// joinDelay is how long the first chunk of a window stays for those who were
	// told just now that the body is there.
	joinDelay = 100 * time.Millisecond

	// discardDelay is how long a whole body that the cache does not keep stays for them.
	discardDelay = time.Second
)

// newBody returns a body that arrives by a stream, whose fetch ends by end.
func newBody(g *budget, o owner, kept bool, opts streamOptions, end context.CancelCauseFunc) *body {
	b := &body{budget: g, owner: o}
	b.kept.Store(kept)
	b.refs.Store(1)
	s := &stream{body: b, streamOptions: opts, born: time.Now(), end: end}
	b.stream.Store(s)
	s.leaving = time.AfterFunc(opts.unreadTimeout, s.abandon)
	return b
}

// fill reads src to its end, which it returns: io.EOF if that is the body's.
// before and after enclose each wait for the origin.
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

// add makes n bytes in the space that was left known to the readers.
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

// rest returns the unused part of the last chunk. If there is none, full tells
// that the window is full.
func (s *stream) rest() (buf []byte, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.chunks); s.base+int64(n)*chunkSize > s.size {
		return s.chunks[n-1].data[(s.size-s.base)%chunkSize:], false
	}
	if s.body.kept.Load() {
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

// shrink makes the window as small as it gets, and returns how much the next
// chunk is needed then.
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

// trim gives back chunks at the beginning that all readers have passed, but
// for n chunks. They are full. The caller holds mu.
func (s *stream) trim(n int) {
	for len(s.chunks) > n && s.isFirstUnused() {
		s.body.budget.give(s.chunks[0])
		s.chunks[0] = nil
		s.chunks = s.chunks[1:]
		s.base += chunkSize
	}
}

// giveBack gives back what nobody will read of a stream that has ended and is not
// whole: it can be joined no more. The caller holds mu.
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

// isFirstUnused reports whether the first chunk is of no use any more. The caller holds mu.
func (s *stream) isFirstUnused() bool {
	return len(s.readers) > 0 && s.chunks[0].readers == 0 && s.started()
}

// started reports whether the window moves on without those that may still come.
func (s *stream) started() bool { return s.forced || time.Since(s.born) >= joinDelay }

// wait waits until the fetch may go on. Nothing else waits for that, so a permit
// will do: a reader that made room just before left one.
func (s *stream) wait(ctx context.Context) error {
	start := time.Now()
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if d := s.block(); d > 0 {
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

// block notes who makes the fetch wait, and returns how long it may be before
// something is to be done about that; zero means forever.
func (s *stream) block() (d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started() {
		return joinDelay - time.Since(s.born)
	}
	for _, r := range s.readers {
		if r.off < s.base+chunkSize {
			s.blockers = append(s.blockers, r)
			left := max(s.maxDelay-r.held, s.maxDelay/8) // nobody else waits, if the time is up
			if s.resume != nil && (d == 0 || left < d) {
				d = left
			}
		}
	}
	return d
}

// countWait makes the readers answer for a wait of the fetch, if others had to wait
// for that.
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

// detach goes on without a reader. It may be writing the first chunk out, which is
// not used again therefore. The caller holds mu.
func (s *stream) detach(r *reader) {
	s.chunks[0].lent = true
	r.detached = true
	s.remove(r)
}

// finish is the end of the stream. It makes the body whole if it is there.
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

// watch has the stream end if no reader comes for the time of unreadTimeout, or none can
// come. The caller holds mu.
func (s *stream) watch() {
	switch {
	case len(s.readers) > 0 || s.background || s.err != nil:
	case s.base > 0:
		s.leaving.Reset(0)
	default:
		s.leaving.Reset(s.unreadTimeout)
	}
}

// abandon ends a stream that nobody reads.
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

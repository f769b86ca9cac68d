package httpcache

import (
	"context"
	"io"
	"time"
)

// A reader follows a stream. It belongs to one goroutine, and has a reference of
// the body.
type reader struct {
	s        *stream
	caughtUp bool // it has got all that had arrived, and more will come

	// The stream's mu guards these.
	off      int64         // what it has written out
	given    int           // what it got last, and writes out now
	index    int           // in stream.readers
	joined   bool          // it is there
	detached bool          // the stream goes on without it
	held     time.Duration // for how long the stream waited for it while others waited too
}

// follow returns a reader at the body's beginning. It fails if that is gone, or
// the rest will not come. The reader must be closed.
func (s *stream) follow() (*reader, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base > 0 || s.err != nil && s.err != io.EOF {
		return nil, false
	}
	r := &reader{s: s, index: len(s.readers), joined: true}
	s.readers = append(s.readers, r)
	*s.readersAt(0)++
	s.leaving.Stop()
	return r, true
}

// readersAt is where the readers are counted whose offset is off.
func (s *stream) readersAt(off int64) *int {
	if i := (off - s.base) / chunkSize; i < int64(len(s.chunks)) {
		return &s.chunks[i].readers
	}
	return &s.ahead
}

// remove ends the part that r has in the stream. The caller holds mu.
func (s *stream) remove(r *reader) {
	*s.readersAt(r.off)--
	last := len(s.readers) - 1
	s.readers[r.index] = s.readers[last]
	s.readers[r.index].index = r.index
	s.readers[last] = nil
	s.readers = s.readers[:last]
	r.joined = false
	s.giveBack()
	s.watch()
}

// close lets the stream go on without r.
func (r *reader) close() {
	r.s.mu.Lock()
	if r.joined {
		r.s.remove(r)
	}
	r.s.mu.Unlock()
	r.s.room.NotifyOne()
}

// next waits for bytes that the reader has not got, and returns them: they hold
// until it is called again. The error is io.EOF at the end of a whole body, and
// errDetached if the reader is to go on by itself.
func (r *reader) next(ctx context.Context) ([]byte, error) {
	p, err := r.look()
	if p != nil || err != nil {
		return p, err
	}
	defer r.countWaiting()()
	for {
		l := r.s.more.Listen()
		if p, err := r.look(); p != nil || err != nil { // the second look
			l.Stop()
			return p, err
		}
		if err := l.Wait(ctx); err != nil {
			l.Stop()
			return nil, err
		}
	}
}

// countWaiting counts the reader as waiting until the function that it returns is called.
func (r *reader) countWaiting() func() {
	count := func(n int) {
		r.s.mu.Lock()
		r.s.waiting += n
		r.s.mu.Unlock()
	}
	count(1)
	return func() { count(-1) }
}

// look returns what is new; nil and nil: there is nothing yet.
func (r *reader) look() ([]byte, error) {
	p, err, passed := r.step()
	if passed {
		r.s.room.NotifyOne()
	}
	return p, err
}

// step is look with the stream locked. passed tells that the first chunk may be
// of no use any more.
func (r *reader) step() (p []byte, err error, passed bool) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.detached {
		r.off += int64(r.given)
		r.given = 0
		return nil, errDetached, false
	}
	if passed = r.move(); passed {
		s.giveBack()
	}
	if r.off == s.size {
		return nil, s.err, passed
	}
	at := r.off - s.base
	p = s.chunks[at/chunkSize].data[at%chunkSize:]
	p = p[:min(int64(len(p)), s.size-r.off)]
	r.given = len(p)
	r.caughtUp = r.off+int64(len(p)) == s.size && s.err == nil
	return p, nil, passed
}

// move counts the reader where it is now, after what it was given. It reports
// whether nobody is left in the first chunk that it was in.
func (r *reader) move() bool {
	from := r.s.readersAt(r.off)
	r.off += int64(r.given)
	r.given = 0
	to := r.s.readersAt(r.off)
	if from == to {
		return false
	}
	*from--
	*to++
	return *from == 0 && from == &r.s.chunks[0].readers
}

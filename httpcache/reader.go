package httpcache

import (
	"context"
	"io"
	"time"
)

// A reader reads a stream. It is used by one goroutine, which has a reference of the body.
type reader struct {
	s        *stream
	caughtUp bool // next has returned all that had arrived, and more will come

	// Set if the reader was detached:
	rest    io.ReadCloser // the body of its own response
	restErr error         // the error of rest
	own     *chunk        // that rest is read into

	// The stream's mu guards these.
	off      int64         // the number of bytes that it has written out
	given    int           // the number of bytes that next returned last
	index    int           // its index in stream.readers
	joined   bool          // it is in stream.readers
	detached bool          // the stream has removed it
	held     time.Duration // for how long the stream waited for it while other readers waited
}

// follow returns a reader at the beginning of the body. It returns false if the beginning is
// gone, or the rest will not come. The reader must be closed.
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

// readersAt returns the counter of the readers whose offset is in the same chunk as off.
func (s *stream) readersAt(off int64) *int {
	if i := (off - s.base) / chunkSize; i < int64(len(s.chunks)) {
		return &s.chunks[i].readers
	}
	return &s.ahead
}

// remove removes r from the readers. The caller holds mu.
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

// close removes r from the stream.
func (r *reader) close() {
	defer r.closeRest()
	r.s.mu.Lock()
	if r.joined {
		r.s.remove(r)
	}
	r.s.mu.Unlock()
	r.s.room.NotifyOne()
}

// next waits for the next bytes and returns them. They are valid until the next call. The
// error is io.EOF at the end of a complete body, and errDetached if r was detached.
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

// look returns the next bytes, or nil and no error if there are none yet.
func (r *reader) look() ([]byte, error) {
	p, err, passed := r.step()
	if passed {
		r.s.room.NotifyOne()
	}
	return p, err
}

// step is look with the stream locked. passed says whether the last reader has left the
// first chunk.
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

// move moves r past the bytes that it was given. It reports whether r was the last reader
// in the first chunk.
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

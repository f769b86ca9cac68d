package uringwake

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// A stream is an operation that repeats, and its sink. Its completions wait in it for the
// code that loops over it, which arms it again when it has ended.
//
//	         most is reached                       the last completion
//	armed ------------------> pausing (canceled) ----------------------> unarmed
//	  ^        the body leaves                                              |
//	  +---------------------------------------------------------------------+
//	                    all that came was taken
type stream struct {
	ctx     context.Context
	call    string
	fd      int
	prepare func(o *op)
	discard func(res int32)        // nil, or frees an item that nobody takes
	merge   func(a, b int32) int32 // nil, or makes one item of two
	ticks   bool                   // the result that says ETIME is an item
	most    int                    // items, or bytes if there are any, above which it pauses; 0: never
	again   bool                   // one operation for each item
	buffer  []byte                 // that operation's
	batch   batch                  // what the body has not seen yet
	spare   batch                  // batch's memory, for what comes after the next batch
	unheard int                    // how often it ended without an item

	mu      sync.Mutex
	came    batch
	armed   bool
	pausing bool
	why     int32 // the result that it ended with
	handle  bridge.Handle
	waker   wake.Waker
}

// batch is what has come: results, and the data of all of them.
type batch struct {
	items []streamItem
	data  []byte
}

type streamItem struct {
	res int32
	n   int // bytes of data
}

// Completed implements bridge.Sink.
func (s *stream) Completed(res int32, flags uint32, data []byte) wake.Waker {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.armed = flags&ring.CQEMore != 0; !s.armed {
		s.why = res
	}
	if s.ticks && res == -int32(unix.ETIME) {
		res = 1
	}
	if res >= 0 {
		if data == nil && s.buffer != nil {
			data = s.buffer[:res]
		}
		s.add(res, data)
	}
	if s.armed && !s.pausing && s.most > 0 && max(len(s.came.items), len(s.came.data)) >= s.most {
		s.pausing = true
		return pause{s}
	}
	return s.waker
}

func (s *stream) add(res int32, data []byte) {
	c := &s.came
	if s.merge != nil && len(c.items) > 0 {
		c.items[0].res = s.merge(c.items[0].res, res)
		return
	}
	c.items = append(c.items, streamItem{res, len(data)})
	c.data = append(c.data, data...)
}

// pause cancels a stream whose body does not keep up, and wakes it.
type pause struct{ s *stream }

func (p pause) Wake() {
	p.s.mu.Lock()
	h, w := p.s.handle, p.s.waker
	p.s.mu.Unlock()
	h.Cancel()
	w.Wake()
}

// run gives items to body until that returns false, or there is an error.
func (s *stream) run(body func(res int32, data []byte) bool) error {
	waitq.MustContext(s.ctx, "uringwake")
	if !s.ticks {
		if err := checkFD(s.call, s.fd); err != nil {
			return err
		}
	}
	defer s.end()
	p := wake.ParkerFrom(s.ctx)
	s.waker = p
	for {
		if err := s.fetch(p); err != nil {
			return err
		}
		for more := true; more && len(s.batch.items) > 0; {
			if more = body(s.batch.next()); !more {
				return nil
			}
		}
	}
}

func (b *batch) next() (int32, []byte) {
	i := b.items[0]
	data := b.data[:i.n:i.n]
	b.items, b.data = b.items[1:], b.data[i.n:]
	return i.res, data
}

// fetch waits until something has come, and takes it. The end of ctx ends the stream, and
// then its error comes after the items.
func (s *stream) fetch(p wake.Parker) error {
	var failed error
	for {
		if failed == nil && s.ctx.Err() != nil {
			failed = waitq.ContextError(s.ctx)
		}
		if failed != nil {
			s.halt()
		}
		switch armed := s.take(); {
		case len(s.batch.items) > 0:
			s.unheard = 0
			return nil
		case failed != nil:
			return failed
		case armed:
			if err := p.Park(s.ctx); err != nil {
				failed = waitq.ParkError(s.ctx, err)
			}
		default:
			if err := s.rearm(); err != nil {
				return err
			}
		}
	}
}

// take takes what has come, and reports whether more may come.
func (s *stream) take() (armed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.came.items) > 0 {
		s.batch, s.came, s.spare = s.came, s.spare, batch{s.came.items[:0], s.came.data[:0]}
	}
	return s.armed
}

// rearm arms the stream, which has ended, if it did so for a reason that may pass.
func (s *stream) rearm() error {
	why := s.why // nothing is in flight
	if l := s.loop(); l != nil && l.isClosing() {
		return ErrClosed
	}
	switch e := unix.Errno(-min(why, 0)); {
	case why >= 0, s.pausing && isCanceled(why), s.ticks && e == unix.ETIME:
	case e == unix.EAGAIN:
		if _, err := poll(s.ctx, s.fd, unix.POLLIN); err != nil {
			return err
		}
	case refusing(why) && !s.again && s.merge == nil, s.ticks && refusing(why) && !s.again:
		s.repeat()
	case s.unheard < maxResubmit && (e == unix.ENOBUFS || isCanceled(why)):
		s.unheard++
	default:
		return resultError(s.call, s.opcode(), why)
	}
	return s.arm()
}

func (s *stream) opcode() uint8 {
	var o op
	s.prepare(&o)
	return o.sqe.Opcode
}

func (s *stream) loop() *Loop {
	if t := TaskFrom(s.ctx); t != nil {
		return t.loop
	}
	return nil
}

func (s *stream) arm() error {
	o, err := newOp(s.ctx)
	if err != nil {
		return err
	}
	if why := o.driver.cannotCancel(); why != nil {
		o.Release()
		return &unsupported{s.call, "it has to wait, and could not be canceled", why}
	}
	s.prepare(o)
	s.mu.Lock()
	s.armed, s.pausing, s.why = true, false, 0
	s.mu.Unlock()
	h := o.Start(s)
	s.mu.Lock()
	s.handle = h
	pausing := s.pausing
	s.mu.Unlock()
	if pausing { // before its handle was known
		h.Cancel()
	}
	return nil
}

// halt cancels the operation and waits for its last completion.
func (s *stream) halt() {
	p := s.ownParker()
	s.mu.Lock()
	s.pausing, s.waker = true, p
	h, armed := s.handle, s.armed
	s.mu.Unlock()
	for h.Cancel(); armed; armed = s.isArmed() {
		p.Park(context.Background())
	}
}

func (s *stream) isArmed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.armed
}

// ownParker returns a parker that neither panics nor fails.
func (s *stream) ownParker() wake.Parker {
	if t := TaskFrom(s.ctx); t != nil {
		return t
	}
	return wake.NewParker()
}

// end leaves nothing behind, whatever ended the body.
func (s *stream) end() {
	s.halt()
	if s.discard == nil {
		return
	}
	for _, b := range []batch{s.batch, s.came} {
		for _, i := range b.items {
			s.discard(i.res)
		}
	}
}

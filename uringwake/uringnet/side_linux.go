package uringnet

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// A side is one direction of a socket: reading and accepting, or writing and connecting.
// One operation at a time has its lock. That operation ends when it is done, when its
// context ends, at the side's deadline, or when the socket is closed.
//
// A task has the ring do the operation, which the interrupter may cancel. A goroutine
// makes the system call, and if that would block sleeps in Go's netpoller, see netpollSide.
//
// Code that cannot sleep there, under a parker of its own or in the function of a RawConn in
// a task, waits in user space until the kernel has signaled that the socket may be ready.
// For that the ring of all goroutines has one poll that stays: a waiter that gives up leaves
// it alone, and the next one finds it.
//
//	signaled is cleared -> system call -> EAGAIN -> sleep until signaled -> ...
//
// The poll tells of changes only. So signaled is cleared before the system call: what
// becomes ready after the call is told afterwards.
type side struct {
	sock        *sock
	events      uint32      // what the poll waits for
	lock        await.Mutex // held by the operation
	portion     portion     // of it
	interrupter bridge.Interrupter
	parker      wake.Parker   // of the goroutines that wait in user space, which the lock lets do so in turn
	state       atomic.Uint32 // expired and closing are changed under mu, sleeping under lock
	signaled    atomic.Bool   // the socket may have become ready

	// mu is held for moments, also by the drivers of rings: while it is held, no
	// operation is started or canceled, and nothing is woken.
	mu      sync.Mutex
	waiter  wake.Waker
	armed   bool          // the poll has not had its last completion
	poll    bridge.Handle // the newest
	refused error         // why there is no poll
	until   time.Time     // the deadline; zero if there is none
	timer   *time.Timer   // nil before the first deadline

	messages messageList // of transfers that need not have the lock, under mu
}

const (
	expired uint32 = 1 << iota // the deadline has passed
	closing
	sleeping // a goroutine has the lock, and sleeps in the netpoller or is about to
)

func (s *side) init(of *sock, events uint32) { s.sock, s.events = of, events }

// enter gets the side's lock for an operation, if there may be one.
func (s *side) enter(ctx context.Context) error {
	if err := s.lock.Lock(ctx); err != nil {
		return err
	}
	if err := s.ended(); err != nil {
		s.lock.Unlock()
		return err
	}
	return nil
}

func (s *side) leave() { s.lock.Unlock() }

// writes reports whether s is the side of writes.
func (s *side) writes() bool { return s == &s.sock.wr }

// ended returns why operations may not wait, or nil.
func (s *side) ended() error {
	switch state := s.state.Load(); {
	case state&closing != 0:
		return net.ErrClosed
	case state&expired != 0:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// mayGoOn returns why an operation that has done a part must stop, or nil. Where there is
// always room, it never waits, and would not notice.
func (s *side) mayGoOn(ctx context.Context) error {
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	return s.ended()
}

// retry reports whether an operation is to be tried again that the ring has ended with
// err, and waits until that is worthwhile. Otherwise it returns the error of call.
func (s *side) retry(ctx context.Context, call string, err error) (bool, error) {
	if err == nil {
		return false, nil
	}
	if err == bridge.ErrInterrupted {
		err = s.resume()
		return err == nil, err
	}
	if e, ok := err.(*ring.Error); ok {
		switch e.Errno {
		case unix.EAGAIN:
			err := s.ready(ctx)
			return err == nil, err
		case unix.EINTR:
			return true, nil
		}
	}
	return false, sysError(call, err)
}

// resume is called after an interrupt. It returns why there was one; or nil, if the
// deadline was changed meanwhile.
func (s *side) resume() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ended(); err != nil {
		return err
	}
	s.interrupter.Reset()
	return nil
}

// interrupt ends the wait of the operation that has the lock.
func (s *side) interrupt() {
	s.interrupter.Interrupt()
	s.mu.Lock()
	w, others := s.waiter, s.messages.interrupters()
	s.mu.Unlock()
	for _, i := range others {
		i.Interrupt()
	}
	if w != nil {
		w.Wake()
	}
	if s.state.Load()&sleeping != 0 {
		s.sock.netpoll.Load().side(s).interrupt()
	}
}

// prepare is called before each attempt that may be answered by EAGAIN.
func (s *side) prepare() {
	if s.signaled.Load() {
		s.signaled.Store(false)
	}
}

// ready waits until the socket may be ready, by a poll of its own or, where the ring refuses
// that, by the poll that stays. The caller has the lock.
func (s *side) ready(ctx context.Context) error {
	err := s.pollOnce(ctx)
	if unsupportedHere(ctx, err) {
		return s.wait(ctx)
	}
	return err
}

// pollOnce waits by a poll of its own.
func (s *side) pollOnce(ctx context.Context) error {
	o, err := bridge.NewOp(ctx)
	if err != nil {
		return err
	}
	o.SQE().PrepPollAdd(s.sock.fd, s.events)
	_, _, err = o.Wait(ctx, &s.interrupter, "poll")
	if err == bridge.ErrInterrupted {
		return s.resume()
	}
	return sysError("poll", err)
}

// wait sleeps until the socket may have become ready since prepare.
func (s *side) wait(ctx context.Context) error {
	p := s.parkerFor(ctx)
	s.setWaiter(p)
	defer s.setWaiter(nil)
	if err := s.mayGoOn(ctx); err != nil { // it may be signaled again and again
		return err
	}
	for {
		if s.signaled.Load() {
			return nil
		}
		if err := s.ended(); err != nil {
			return err
		}
		if err := s.arm(); err != nil {
			return s.pollOnce(ctx) // its error says whether the kernel refuses all of them
		}
		if err := p.Park(ctx); err != nil && !s.signaled.Load() {
			return waitq.ParkError(ctx, err)
		}
	}
}

// pause waits for d, unless the side's operations end first.
func (s *side) pause(ctx context.Context, d time.Duration) error {
	p := s.parkerFor(ctx)
	s.setWaiter(p)
	defer s.setWaiter(nil)
	var over atomic.Bool
	timer := time.AfterFunc(d, func() { over.Store(true); p.Wake() })
	defer timer.Stop()
	for !over.Load() {
		if err := s.ended(); err != nil {
			return err
		}
		if err := p.Park(ctx); err != nil {
			return waitq.ParkError(ctx, err)
		}
	}
	return nil
}

// parkerFor returns the parker of ctx. A goroutine uses the side's own.
func (s *side) parkerFor(ctx context.Context) wake.Parker {
	if p, ok := wake.FromContext(ctx); ok {
		return p
	}
	if waitq.InBubble() {
		return wake.NewParker()
	}
	if s.parker == nil {
		s.parker = wake.NewParker()
	}
	return s.parker
}

func (s *side) setWaiter(w wake.Waker) {
	s.mu.Lock()
	s.waiter = w
	s.mu.Unlock()
}

// arm starts the poll if there is none.
func (s *side) arm() error {
	s.mu.Lock()
	armed, err := s.armed, s.refused
	if err == nil {
		s.armed = true
	}
	s.mu.Unlock()
	if armed || err != nil {
		return err
	}
	o, err := newPoll()
	if err != nil {
		s.mu.Lock()
		s.armed = false
		s.mu.Unlock()
		return err
	}
	o.SQE().PrepPollMultishot(s.sock.fd, s.events)
	h := o.Start(s)
	s.mu.Lock()
	s.poll = h
	s.mu.Unlock()
	return nil
}

// newPoll returns the operation of a poll that stays. Where it could not be canceled, it
// would keep the socket open.
func newPoll() (bridge.Op, error) {
	if err := bridge.HaveCancel(context.Background()); err != nil {
		return nil, err
	}
	return bridge.NewOp(context.Background())
}

// Completed takes a completion of the poll. It implements bridge.Sink.
func (s *side) Completed(res int32, flags uint32, _ []byte) wake.Waker {
	s.signaled.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if flags&ring.CQEMore == 0 {
		s.armed = false
	}
	if res < 0 && res != -int32(unix.ECANCELED) {
		s.refused = os.NewSyscallError("poll", unix.Errno(-res))
	}
	return s.waiter
}

// shut ends this side's operations for good. A second call does nothing.
func (s *side) shut() {
	s.mu.Lock()
	first := s.state.Or(closing)&closing == 0
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	if first {
		s.interrupt()
	}
}

// drain waits until no operation uses the side, and until the kernel has ended its poll.
func (s *side) drain(ctx context.Context) {
	for s.lock.Lock(ctx) != nil { // the parker's own error
	}
	defer s.lock.Unlock()
	p := s.parkerFor(ctx)
	s.setWaiter(p)
	defer s.setWaiter(nil)
	if poll, armed := s.polling(); armed {
		poll.Cancel()
	}
	for {
		if _, armed := s.polling(); !armed {
			return
		}
		p.Park(ctx)
	}
}

func (s *side) polling() (poll bridge.Handle, armed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.poll, s.armed
}

// setDeadline ends operations at t, and lets them begin again if t is later than now or
// zero.
func (s *side) setDeadline(t time.Time) error {
	now, left := remaining(t)
	late := !t.IsZero() && left <= 0
	s.mu.Lock()
	if s.state.Load()&closing != 0 {
		s.mu.Unlock()
		return net.ErrClosed
	}
	if !s.until.IsZero() {
		s.timer.Stop()
		s.until = time.Time{}
	}
	if !late && s.state.Load()&expired != 0 {
		s.state.And(^expired)
		s.interrupter.Reset()
	}
	switch {
	case late:
		s.state.Or(expired)
	case !t.IsZero():
		s.until = now.Add(left)
		s.startTimer(left)
	}
	s.mu.Unlock()
	if late {
		s.interrupt()
	}
	return nil
}

// remaining returns the time until t, by the monotonic clock, and now if t is not past. It
// does not look at the clock if it need not: net/http sets a deadline of zero several times
// per request, and one of 1970.
func remaining(t time.Time) (now time.Time, left time.Duration) {
	switch {
	case t.IsZero():
		return time.Time{}, 0
	case t.Before(longAgo):
		return time.Time{}, -1
	}
	now = time.Now()
	return now, t.Sub(now)
}

// longAgo is past, also in a testing/synctest bubble, whose time begins later.
var longAgo = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)

// startTimer is called with s.mu held.
func (s *side) startTimer(d time.Duration) {
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.timeOut)
		return
	}
	s.timer.Reset(d)
}

// timeOut is called by the timer, maybe by one that has been stopped too late: then the
// deadline is another one.
func (s *side) timeOut() {
	s.mu.Lock()
	due := !s.until.IsZero() && time.Until(s.until) <= 0
	if due {
		s.state.Or(expired)
	}
	s.mu.Unlock()
	if due {
		s.interrupt()
	}
}

// unsupportedHere reports whether the ring does not do the operation, so that a system
// call may. The cause of the end of ctx may be any error.
func unsupportedHere(ctx context.Context, err error) bool {
	return err != nil && errors.Is(err, errors.ErrUnsupported) && ctx.Err() == nil
}

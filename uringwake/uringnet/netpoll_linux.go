package uringnet

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// A netpoll has Go's netpoller watch a socket, so that a goroutine sleeps on it as on one
// of package net. It is made when the first goroutine has to sleep, and stays until the
// descriptor is closed, which the file owns.
type netpoll struct {
	file   *os.File
	raw    syscall.RawConn
	rd, wr netpollSide
}

// poller returns the netpoll of s, which it makes if there is none.
func (s *sock) poller() *netpoll {
	if p := s.netpoll.Load(); p != nil {
		return p
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.netpoll.Load(); p != nil {
		return p
	}
	p := &netpoll{file: os.NewFile(uintptr(s.fd), s.network)}
	p.raw, _ = p.file.SyscallConn() // there is no error for a file
	p.rd.init(p, &s.rd)
	p.wr.init(p, &s.wr)
	s.netpoll.Store(p)
	return p
}

func (p *netpoll) side(s *side) *netpollSide {
	if s.writes() {
		return &p.wr
	}
	return &p.rd
}

// close closes the descriptor.
func (p *netpoll) close() error {
	err := p.file.Close()
	if e, ok := err.(*os.PathError); ok {
		return os.NewSyscallError("close", e.Err)
	}
	return err
}

// A netpollSide has a goroutine sleep on one side of a socket. What ends its sleep is the
// deadline of the file, which is none otherwise: whoever interrupts it sets one in the past.
//
//	interrupt: expired or closing is set -> sleeping? -> the deadline is set
//	sleep:     sleeping is set -> expired or closing? -> sleep -> the deadline is cleared -> expired or closing? ->
//
// An interrupt may come when the sleep that it was for has ended. Then the next sleep fails
// at once, and begins again.
type netpollSide struct {
	poll *netpoll
	of   *side
	look func(fd uintptr) bool // lookNow

	// These belong to who has the lock of the side.
	ctx     context.Context
	attempt attempt
	done    <-chan struct{} // ctx's, once it is watched
	stop    func() bool     // ends the watch
	ended   error           // why lookNow did not let it sleep
}

func (p *netpollSide) init(poll *netpoll, of *side) {
	p.poll, p.of, p.look = poll, of, p.lookNow
}

// repeat is side.repeat. It reports false if the netpoller does not watch the socket, for
// want of memory or for an error that only the attempt can tell.
func (p *netpollSide) repeat(ctx context.Context, a attempt) (ok bool, err error) {
	p.ctx, p.attempt, p.ended = ctx, a, nil
	defer p.finish()
	for {
		err := p.sleep()
		switch {
		case err == nil:
			return true, p.ended
		case err != os.ErrDeadlineExceeded:
			return false, nil
		}
		p.setDeadline(time.Time{})
		if err := p.interrupted(); err != nil {
			return true, err
		}
	}
}

// lookNow makes an attempt, and reports whether the netpoller must not wait.
func (p *netpollSide) lookNow(fd uintptr) bool {
	if p.attempt.now(fd) {
		return true
	}
	p.watch()
	if p.of.state.Or(sleeping)&(expired|closing) != 0 {
		p.ended = p.of.ended()
	}
	return p.ended != nil
}

// watch has the end of the context interrupt the sleep.
func (p *netpollSide) watch() {
	if p.done != nil {
		return
	}
	if p.done = p.ctx.Done(); p.done != nil {
		p.stop = bridge.AfterFunc(p.ctx, p.interrupt)
	}
}

// interrupted returns why the operation has to end, or nil.
func (p *netpollSide) interrupted() error {
	if err := p.of.ended(); err != nil {
		return err
	}
	select {
	case <-p.done:
		return waitq.ContextError(p.ctx)
	default:
		return nil
	}
}

// finish forgets the operation.
func (p *netpollSide) finish() {
	stop := p.stop
	p.ctx, p.attempt, p.done, p.stop = nil, nil, nil, nil
	if p.of.state.Load()&sleeping != 0 {
		p.of.state.And(^sleeping)
	}
	if stop != nil {
		stop()
	}
}

func (p *netpollSide) sleep() error {
	if p.of.writes() {
		return p.poll.raw.Write(p.look)
	}
	return p.poll.raw.Read(p.look)
}

// interrupt ends the sleep, or the next one.
func (p *netpollSide) interrupt() { p.setDeadline(longAgo) }

// setDeadline fails if the descriptor is closed: then nothing sleeps.
func (p *netpollSide) setDeadline(t time.Time) {
	if p.of.writes() {
		p.poll.file.SetWriteDeadline(t)
	} else {
		p.poll.file.SetReadDeadline(t)
	}
}

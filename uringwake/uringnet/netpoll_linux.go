package uringnet

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// A netpoll is a socket in Go's netpoller, so that a goroutine sleeps on it as on a socket of
// package net. It is made when the first goroutine has to sleep. Its file owns the
// descriptor.
type netpoll struct {
	file   *os.File
	raw    syscall.RawConn
	rd, wr netpollSide
}

// poller returns the netpoll of s, which it makes if there is none.
func (s *sock) poller() *netpoll {
	s.watch.Do(func() {
		p := &netpoll{file: os.NewFile(uintptr(s.fd), s.network)}
		p.raw, _ = p.file.SyscallConn() // there is no error for a file
		p.rd.init(p, &s.rd)
		p.wr.init(p, &s.wr)
		s.netpoll.Store(p)
	})
	return s.netpoll.Load()
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

// A netpollSide is one side of a socket, on which a goroutine sleeps. The file has no deadline,
// except that an interrupt sets one in the past, which ends the sleep.
//
//	interrupt  sets expired or closing; is sleeping set? sets the deadline
//	sleep      sets sleeping; is expired or closing set? sleeps; clears the deadline; looks again
//
// If an interrupt comes after its sleep has ended, the next sleep fails at once and is repeated.
type netpollSide struct {
	poll *netpoll
	of   *side
	look func(fd uintptr) bool // lookNow

	// These are guarded by the lock of the side.
	ctx     context.Context
	attempt attempt
	done    <-chan struct{} // that of ctx, once ctx is watched
	stop    func() bool     // ends the watch
	ended   error           // why lookNow ended the sleep
}

func (p *netpollSide) init(poll *netpoll, of *side) {
	p.poll, p.of, p.look = poll, of, p.lookNow
}

// repeat is side.repeat. It returns false if the netpoller refuses the socket, because there
// is no memory or because of an error that only the attempt can return.
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
		schedpoint.At(schedpoint.SleepEnds)
		if err := p.interrupted(); err != nil {
			return true, err
		}
	}
}

// lookNow makes an attempt, and reports whether the sleep has to end.
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

// watch makes the end of the context interrupt the sleep.
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

// finish ends the operation.
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

// setDeadline has no effect if the descriptor is closed, because then nothing sleeps.
func (p *netpollSide) setDeadline(t time.Time) {
	if p.of.writes() {
		p.poll.file.SetWriteDeadline(t)
	} else {
		p.poll.file.SetReadDeadline(t)
	}
}

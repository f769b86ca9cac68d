package uringnet

import (
	"context"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// A sock is the descriptor of a socket and what is known of it. An operation has either
// the lock of a side or a use, so that the descriptor is closed when nothing needs it any
// more, and its number is never used when it is another file's.
//
//	open ----------> closing --------------> closed
//	      Close:     sides are interrupted,  Close returns
//	                 users leave
type sock struct {
	fd      int
	network string
	kind    int // unix.SOCK_STREAM and the like
	local   net.Addr
	remote  net.Addr
	rd, wr  side
	vector  vector          // of the write in progress
	cleanup runtime.Cleanup // closes it when its owner is unreachable
	in      stream
	watch   sync.Once // makes netpoll
	netpoll atomic.Pointer[netpoll]
	drained bool // the last read on a ring left nothing; under rd's lock

	// word counts uses that are not a side's.
	//
	//	bit  0      closing: use fails
	//	bits 1..63  uses
	word   atomic.Int64
	mu     sync.Mutex
	closer wake.Waker // waits for the last use, under mu
}

// newSock returns the socket with the descriptor fd, which it owns.
func newSock(fd int, network string, kind int) *sock {
	s := &sock{fd: fd, network: network, kind: kind}
	s.rd.init(s, unix.POLLIN|unix.POLLRDHUP)
	s.wr.init(s, unix.POLLOUT)
	s.in.sock = s
	return s
}

// own has the garbage collector close s if it finds the owner, its Conn or Listener, not
// closed and unreachable. What the kernel and timers refer to is s.
func own[T any](owner *T, s *sock) *T {
	s.cleanup.Stop()                                                         // of the owner before
	s.cleanup = runtime.AddCleanup(owner, func(s *sock) { go s.close() }, s) // close may wait
	return owner
}

// use keeps the descriptor open until the caller calls leave.
func (s *sock) use() error {
	for {
		w := s.word.Load()
		if w&1 != 0 {
			return net.ErrClosed
		}
		if s.word.CompareAndSwap(w, w+2) {
			return nil
		}
	}
}

// open returns net.ErrClosed if the socket is closing or closed.
func (s *sock) open() error {
	if s.word.Load()&1 != 0 {
		return net.ErrClosed
	}
	return nil
}

func (s *sock) leave() {
	if s.word.Add(-2) != 1 {
		return
	}
	s.mu.Lock()
	w := s.closer
	s.mu.Unlock()
	if w != nil {
		w.Wake()
	}
}

// close closes the socket.
func (s *sock) close() error {
	if s.word.Or(1)&1 != 0 {
		return net.ErrClosed
	}
	s.cleanup.Stop()
	return s.finish(context.WithoutCancel(bridge.Current()))
}

// finish ends the operations of both sides, waits until the last user has left, and closes
// the descriptor. A waker of an operation may panic or end the goroutine: then another one
// finishes.
func (s *sock) finish(ctx context.Context) error {
	unwound := true
	defer func() {
		if unwound {
			go s.finish(context.Background())
		}
	}()
	s.rd.shut()
	s.wr.shut()
	s.rd.drain(ctx)
	s.in.disarm(ctx)
	s.wr.drain(ctx)
	s.awaitUsers(ctx)
	unwound = false
	return s.closeFD(ctx)
}

func (s *sock) awaitUsers(ctx context.Context) {
	p := wake.ParkerFrom(ctx)
	s.mu.Lock()
	s.closer = p
	s.mu.Unlock()
	for s.word.Load() != 1 {
		p.Park(ctx) // an error is that of the parker: there is nothing to do but to look again
	}
}

// closeFD closes the descriptor, which its file owns if the netpoller watches it.
func (s *sock) closeFD(ctx context.Context) (err error) {
	p := s.netpoll.Load()
	if p == nil {
		return sysError("close", uringwake.Close(ctx, s.fd))
	}
	if l, err := unix.GetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER); err == nil && l.Onoff == 0 {
		return p.close()
	}
	uringwake.Blocking(ctx, func() { err = p.close() }) // it may wait for the other end
	return err
}

// opError is err as package net returns it.
func (s *sock) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: s.network, Source: s.local, Addr: s.remote, Err: err}
}

// localError is opError of what concerns this end only.
func (s *sock) localError(op string, err error) error {
	return &net.OpError{Op: op, Net: s.network, Addr: s.local, Err: err}
}

// control calls f with the descriptor.
func (s *sock) control(f func(fd int) error) error {
	if err := s.use(); err != nil {
		return err
	}
	defer s.leave()
	return f(s.fd)
}

// sysError is an error of the kernel as package net knows it, with an errno of package
// syscall. Other errors stay as they are, also those that wrap one of the kernel: the cause
// of the end of a context may be one.
func sysError(call string, err error) error {
	if e, ok := err.(*ring.Error); ok {
		return os.NewSyscallError(call, e.Errno)
	}
	return err
}

// errnoError is the error of a system call, or nil.
func errnoError(call string, e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return os.NewSyscallError(call, e)
}

// callError is err as the error of a system call if it is an errno.
func callError(call string, err error) error {
	if e, ok := err.(syscall.Errno); ok {
		return errnoError(call, e)
	}
	return err
}

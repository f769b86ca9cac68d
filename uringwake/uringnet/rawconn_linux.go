package uringnet

import (
	"runtime"
	"syscall"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// rawConn implements syscall.RawConn.
type rawConn struct {
	s         *sock
	owner     any  // the Conn or Listener, which would be closed if it were unreachable
	listening bool // Read and Write are refused, as in package net
}

// Control calls f with the descriptor, which stays open meanwhile.
func (r *rawConn) Control(f func(fd uintptr)) error {
	defer runtime.KeepAlive(r)
	err := r.s.control(func(fd int) error { f(uintptr(fd)); return nil })
	if err != nil {
		err = r.s.localError("raw-control", err)
	}
	return err
}

// Read calls f until it returns true, and waits in between until there is data.
func (r *rawConn) Read(f func(fd uintptr) bool) error {
	defer runtime.KeepAlive(r)
	return r.wrap("raw-read", r.repeat(&r.s.rd, f))
}

// Write calls f until it returns true, and waits in between until there is room.
func (r *rawConn) Write(f func(fd uintptr) bool) error {
	defer runtime.KeepAlive(r)
	return r.wrap("raw-write", r.repeat(&r.s.wr, f))
}

func (r *rawConn) repeat(on *side, f func(fd uintptr) bool) error {
	if r.listening {
		return syscall.EINVAL
	}
	ctx := bridge.Current()
	if err := on.enter(ctx); err != nil {
		return err
	}
	defer on.leave()
	for {
		on.prepare()
		if f(uintptr(r.s.fd)) {
			return nil
		}
		if err := on.wait(ctx); err != nil {
			return err
		}
	}
}

func (r *rawConn) wrap(op string, err error) error {
	if err != nil && !r.listening {
		return r.s.opError(op, err)
	}
	return err
}

func (s *sock) raw(owner any, listening bool) syscall.RawConn {
	return &rawConn{s, owner, listening}
}

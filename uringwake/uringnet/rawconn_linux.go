package uringnet

import (
	"errors"
	"runtime"
	"syscall"

	"github.com/vigil-go/vigil/uringwake"
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

// Read calls f until it returns true, and waits in between until there is data. It does
// not call f while bytes are pending that the kernel does not have any more.
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
	if on == &r.s.rd && r.s.in.disarm(ctx) > 0 {
		return errUnread
	}
	if uringwake.TaskFrom(ctx) != nil {
		return on.repeatBy(ctx, attemptFunc(f), (*side).wait) // for a change, whatever f has left
	}
	return on.repeat(ctx, attemptFunc(f))
}

// errUnread: f would not find these bytes, which come before those that it finds.
var errUnread = errors.New("bytes that were received before must be read first")

func (r *rawConn) wrap(op string, err error) error {
	if err != nil && !r.listening {
		return r.s.opError(op, err)
	}
	return err
}

func (s *sock) raw(owner any, listening bool) syscall.RawConn {
	return &rawConn{s, owner, listening}
}

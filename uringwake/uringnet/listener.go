package uringnet

import (
	"context"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// A Listener is a net.Listener for tcp, unix and unixpacket. [Listen] and [FileListener]
// make a Listener. All methods may be called at the same time from any goroutines and tasks.
type Listener struct {
	s *sock
	listenerState
}

var _ net.Listener = (*Listener)(nil)

func (l *Listener) ok() bool { return l != nil && l.s != nil }

// Accept waits for a connection and returns it, a *[Conn]. While the process or the system
// has too many open files, Accept tries again after 5 ms, and then after twice as long each
// time, at most 1 s; package net returns an error. In a task it is AcceptContext under the
// task's context.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptContext(bridge.Current())
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptContext is Accept that ends with ctx. A connection that was accepted by then is
// returned. It corresponds to io_uring_prep_accept; Linux 5.5.
func (l *Listener) AcceptContext(ctx context.Context) (*Conn, error) {
	waitq.MustContext(ctx, "uringnet")
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	c, err := l.accept(ctx)
	if err != nil {
		return nil, l.opError("accept", err)
	}
	return c, nil
}

// Close stops listening, and removes the file of a unix address that Listen has made. An
// Accept that waits returns an error that matches net.ErrClosed, as a second Close does.
// Connections that were accepted stay.
func (l *Listener) Close() error {
	if !l.ok() {
		return syscall.EINVAL
	}
	if err := l.close(); err != nil {
		return l.opError("close", err)
	}
	return nil
}

// Addr returns the address, a *net.TCPAddr or a *net.UnixAddr, which must not be changed.
func (l *Listener) Addr() net.Addr { return l.s.local }

// SetDeadline sets the deadline of Accept. A zero t is no deadline.
func (l *Listener) SetDeadline(t time.Time) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	if err := l.s.setDeadlines(t, true, false); err != nil {
		return l.opError("set", err)
	}
	return nil
}

// File returns a file with a duplicate of the descriptor, which the caller closes.
func (l *Listener) File() (*os.File, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	f, err := l.s.file()
	if err != nil {
		return nil, l.opError("file", err)
	}
	return f, nil
}

// SyscallConn returns access to the descriptor. Only its Control works; Read and Write return
// syscall.EINVAL.
func (l *Listener) SyscallConn() (syscall.RawConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	return l.s.raw(l, true), nil
}

// SetUnlinkOnClose sets whether Close removes the file of a unix address. Without it, Close
// removes a file that Listen has made.
func (l *Listener) SetUnlinkOnClose(on bool) { l.setUnlinkOnClose(on) }

func (l *Listener) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: l.s.network, Addr: l.s.local, Err: err}
}

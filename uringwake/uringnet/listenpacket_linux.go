package uringnet

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A netSocket is a socket of package net.
type netSocket interface {
	LocalAddr() net.Addr
	Close() error
}

// takeSocket makes a socket of one of package net, which it closes. It returns the family
// of the addresses too.
func takeSocket(c netSocket, network string) (*sock, int, error) {
	defer c.Close()
	fd, err := duplicate(c)
	if err != nil {
		return nil, 0, err
	}
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, 0, errors.Join(os.NewSyscallError("getsockopt", err), unix.Close(fd))
	}
	s := newSock(fd, network, unix.SOCK_DGRAM)
	s.local = c.LocalAddr()
	return s, family, nil
}

// duplicate returns a duplicate of c's descriptor. The netpoller knows that of c only, and
// forgets it when c is closed.
func duplicate(c any) (fd int, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return -1, syscall.EINVAL
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	bad := raw.Control(func(n uintptr) { fd, err = unix.FcntlInt(n, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(bad, os.NewSyscallError("fcntl", err))
}

// lending returns a Control function that calls control, and closes the socket if that panics
// or ends the goroutine. Package net would leave it open: it has no other reference to it then.
func lending(control func(string, string, syscall.RawConn) error) func(string, string, syscall.RawConn) error {
	if control == nil {
		return nil
	}
	return func(network, address string, raw syscall.RawConn) error {
		lent := &lentConn{raw: raw}
		returned := false
		defer func() {
			if !returned {
				lent.close()
			}
		}()
		err := control(network, address, lent)
		returned = true
		return err
	}
}

// lentConn is what a Control function gets. It fails when the socket has been closed, since
// the number may be another file's by then.
type lentConn struct {
	raw    syscall.RawConn
	mu     sync.RWMutex // held by calls, so that the socket is closed after them
	closed bool
}

func (c *lentConn) Control(f func(fd uintptr)) error {
	return c.use(func() error { return c.raw.Control(f) })
}

func (c *lentConn) Read(f func(fd uintptr) bool) error {
	return c.use(func() error { return c.raw.Read(f) })
}

func (c *lentConn) Write(f func(fd uintptr) bool) error {
	return c.use(func() error { return c.raw.Write(f) })
}

func (c *lentConn) use(f func() error) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return net.ErrClosed
	}
	return f()
}

func (c *lentConn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.raw.Control(func(fd uintptr) { unix.Close(int(fd)) })
}

func setReusePort(fd int) error { return setOption(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }

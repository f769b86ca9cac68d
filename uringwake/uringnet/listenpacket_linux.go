package uringnet

import (
	"errors"
	"net"
	"os"
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

func setReusePort(fd int) error { return setOption(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }

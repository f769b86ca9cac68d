package uringnet

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// takeSocket makes a PacketConn of a socket of package net, which it closes.
func takeSocket(c net.PacketConn, network string) (*PacketConn, error) {
	defer c.Close()
	fd, err := duplicate(c)
	if err != nil {
		return nil, err
	}
	s := newSock(fd, network, unix.SOCK_DGRAM)
	s.local = c.LocalAddr()
	p := &PacketConn{s: s}
	p.family, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("getsockopt", err), unix.Close(fd))
	}
	return p, nil
}

// duplicate returns a duplicate of c's descriptor. The netpoller knows that of c only, and
// forgets it when c is closed.
func duplicate(c net.PacketConn) (fd int, err error) {
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

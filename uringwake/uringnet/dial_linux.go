package uringnet

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// connect makes a connection to addr. If the kernel has connected a socket to itself, which
// happens if nobody listens on a port that is free, it tries again.
func (d *Dialer) connect(ctx context.Context, network string, addr net.Addr) (*Conn, error) {
	addr = orLocal(network, addr)
	for tries := 0; ; tries++ {
		s, err := d.connectOnce(ctx, network, addr)
		again := tries < 2 && isTCP(network) && d.portIsFree()
		switch {
		case again && err == nil && selfConnected(s):
			s.close()
		case again && errors.Is(err, unix.EADDRNOTAVAIL):
		case err != nil:
			return nil, err
		default:
			return own(&Conn{s}, s), nil
		}
	}
}

// portIsFree reports whether the kernel chooses the local port.
func (d *Dialer) portIsFree() bool {
	t := tcpAddr(d.LocalAddr)
	return t == nil || t.Port == 0
}

// orLocal returns the address of this machine if addr is any address.
func orLocal(network string, addr net.Addr) net.Addr {
	t := tcpAddr(addr)
	if t == nil || len(t.IP) > 0 && !t.IP.IsUnspecified() {
		return addr
	}
	ip := net.IP{127, 0, 0, 1}
	if network == "tcp6" || t.IP.To4() == nil && len(t.IP) > 0 {
		ip = net.IPv6loopback
	}
	return &net.TCPAddr{IP: ip, Port: t.Port, Zone: t.Zone}
}

func selfConnected(s *sock) bool {
	a, b := tcpAddr(s.local), tcpAddr(s.remote)
	return a == nil || b == nil || a.Port == b.Port && a.IP.Equal(b.IP)
}

func (d *Dialer) connectOnce(ctx context.Context, network string, addr net.Addr) (_ *sock, err error) {
	p := planFor(network, d.LocalAddr, addr)
	to, err := p.encode(addr)
	if err != nil {
		return nil, callError("connect", err)
	}
	s, err := p.open(network)
	if err != nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done { // also if Control panics
			s.close()
		}
	}()
	if err := d.prepare(p, s, addr); err != nil {
		return nil, err
	}
	if err := s.connect(ctx, to); err != nil {
		return nil, err
	}
	s.local, s.remote = localAddr(s.fd, network), peerAddr(s.fd, network)
	if s.remote == nil {
		s.remote = addr
	}
	if isTCP(network) {
		keepAlive{d.KeepAlive, d.KeepAliveConfig}.start(s.fd)
	}
	done = true
	return s, nil
}

// prepare calls the Control function and binds the socket.
func (d *Dialer) prepare(p plan, s *sock, addr net.Addr) error {
	local := opAddr(d.LocalAddr)
	if err := p.hook(s, d.Control, addr); err != nil || local == nil {
		return err
	}
	from, err := p.encode(local)
	if err != nil {
		return callError("bind", err)
	}
	return from.bind(s.fd)
}

// connect connects the socket, and waits until the other end has answered. Goroutines wait
// by a poll, too, so that the netpoller need not watch what only tasks use later.
func (s *sock) connect(ctx context.Context, to *sockaddr) error {
	if err := s.wr.enter(ctx); err != nil {
		return err
	}
	defer s.wr.leave()
	switch e := to.connect(s.fd); e {
	case 0, unix.EISCONN:
		return nil
	case unix.EINPROGRESS, unix.EALREADY, unix.EINTR:
	default:
		return os.NewSyscallError("connect", e)
	}
	var result error
	answered := attemptFunc(func(uintptr) (done bool) {
		done, result = s.connected()
		return done
	})
	err := s.wr.repeatBy(ctx, answered, (*side).ready)
	if unsupportedHere(ctx, err) {
		err = s.wr.repeat(ctx, answered)
	}
	if err != nil {
		return err
	}
	return result
}

// connected reports whether the connection has been made, or has failed.
func (s *sock) connected() (done bool, err error) {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return true, os.NewSyscallError("getsockopt", err)
	}
	switch e := syscall.Errno(n); e {
	case unix.EINPROGRESS, unix.EALREADY, unix.EINTR:
		return false, nil
	case 0:
		return new(sockaddr).name(unix.SYS_GETPEERNAME, s.fd), nil
	case unix.EISCONN:
		return true, nil
	default:
		return true, os.NewSyscallError("connect", e)
	}
}

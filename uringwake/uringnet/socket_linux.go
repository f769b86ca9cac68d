package uringnet

import (
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

func supported() error { return uringwake.Supported() }

// haveIPv6 reports whether sockets of IPv6 work here, and also take connections of IPv4.
var haveIPv6 = sync.OnceValue(func() bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	a := new(sockaddr)
	return setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) == nil &&
		a.inet6(nil, 0, "") == nil && a.bind(fd) == nil
})

// A plan is the kind of socket that an address needs.
type plan struct {
	family, kind int
	onlyIPv6     bool
}

// planFor returns the plan of a socket with these addresses, which may be nil. A listener
// on all addresses has one socket for both versions of IP.
func planFor(network string, local, remote net.Addr) plan {
	switch network {
	case "unix":
		return plan{unix.AF_UNIX, unix.SOCK_STREAM, false}
	case "unixpacket":
		return plan{unix.AF_UNIX, unix.SOCK_SEQPACKET, false}
	case "tcp4":
		return plan{unix.AF_INET, unix.SOCK_STREAM, false}
	case "tcp6":
		return plan{unix.AF_INET6, unix.SOCK_STREAM, true}
	}
	four := isIPv4(local) && isIPv4(remote)
	if remote == nil && isWildcard(local) {
		four = !haveIPv6()
	}
	if four {
		return plan{unix.AF_INET, unix.SOCK_STREAM, false}
	}
	return plan{unix.AF_INET6, unix.SOCK_STREAM, false}
}

func tcpAddr(a net.Addr) *net.TCPAddr {
	t, _ := a.(*net.TCPAddr)
	return t
}

func isIPv4(a net.Addr) bool {
	t := tcpAddr(a)
	return t == nil || len(t.IP) == 0 || t.IP.To4() != nil
}

func isWildcard(a net.Addr) bool {
	t := tcpAddr(a)
	return t == nil || len(t.IP) == 0 || t.IP.IsUnspecified()
}

// open makes a socket, to which control is applied.
func (p plan) open(network string) (*sock, error) {
	fd, err := unix.Socket(p.family, p.kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if p.family == unix.AF_INET6 {
		setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, number(p.onlyIPv6)) // it may have no IPv4
	}
	return newSock(fd, network, p.kind), nil
}

// encode returns the address as the kernel knows it.
func (p plan) encode(a net.Addr) (*sockaddr, error) {
	s := new(sockaddr)
	switch a := a.(type) {
	case *net.TCPAddr:
		return s, s.inet(p.family, a.IP, a.Port, a.Zone)
	case *net.UnixAddr:
		return s, s.unix(a.Name)
	}
	return s, &net.AddrError{Err: "mismatched local address type", Addr: a.String()}
}

// hook calls a Control function with the socket. The network is tcp4 or tcp6, as that of
// package net.
func (p plan) hook(s *sock, control func(string, string, syscall.RawConn) error, a net.Addr) error {
	if control == nil {
		return nil
	}
	network := s.network
	switch {
	case network == "tcp" && p.family == unix.AF_INET:
		network = "tcp4"
	case network == "tcp":
		network = "tcp6"
	}
	return control(network, a.String(), s.raw(nil, false))
}

func (c *ListenConfig) listenAddr(network string, addr net.Addr) (*Listener, error) {
	p := planFor(network, addr, nil)
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
	if err := c.prepare(p, s, addr); err != nil {
		return nil, err
	}
	done = true
	s.local = localAddr(s.fd, network)
	l := own(&Listener{s: s}, s)
	l.keepAlive = keepAlive{c.KeepAlive, c.KeepAliveConfig}
	if u, ok := addr.(*net.UnixAddr); ok && u.Name != "" && u.Name[0] != '@' {
		l.unlink.path, l.unlink.on = u.Name, true
	}
	return l, nil
}

// prepare has the socket listen.
func (c *ListenConfig) prepare(p plan, s *sock, addr net.Addr) error {
	a, err := p.encode(addr)
	if err != nil {
		return callError("bind", err)
	}
	if err := setOption(s.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if c.ReusePort {
		if err := setOption(s.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	if err := p.hook(s, c.Control, addr); err != nil {
		return err
	}
	if err := a.bind(s.fd); err != nil {
		return err
	}
	return os.NewSyscallError("listen", unix.Listen(s.fd, math.MaxInt32)) // the kernel has a limit of its own
}

// accept is accept4(2).
func (a *sockaddr) accept(fd int) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(unix.SYS_ACCEPT4, uintptr(fd),
		uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&a.n)), acceptFlags, 0, 0)
	return result(n, e)
}

package uringnet

import (
	"net"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A sockaddr is an address as the kernel knows it.
type sockaddr struct {
	raw unix.RawSockaddrAny
	n   uint32 // the bytes of raw that are used
}

// inet makes a the address of ip and port. A nil ip is any address of the family.
func (a *sockaddr) inet(family int, ip net.IP, port int, zone string) error {
	if family == unix.AF_INET {
		return a.inet4(ip, port)
	}
	return a.inet6(ip, port, zone)
}

func (a *sockaddr) inet4(ip net.IP, port int) error {
	r := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
	*r = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swapped(port)}
	if len(ip) > 0 {
		four := ip.To4()
		if four == nil {
			return &net.AddrError{Err: "non-IPv4 address", Addr: ip.String()}
		}
		copy(r.Addr[:], four)
	}
	a.n = unix.SizeofSockaddrInet4
	return nil
}

func (a *sockaddr) inet6(ip net.IP, port int, zone string) error {
	r := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw))
	*r = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swapped(port), Scope_id: zoneID(zone)}
	if len(ip) > 0 && !ip.Equal(net.IPv4zero) { // that is any address too
		sixteen := ip.To16()
		if sixteen == nil {
			return &net.AddrError{Err: "non-IPv6 address", Addr: ip.String()}
		}
		copy(r.Addr[:], sixteen)
	}
	a.n = unix.SizeofSockaddrInet6
	return nil
}

// unix makes a the address of a path. A path that begins with @ is an abstract one.
func (a *sockaddr) unix(path string) error {
	r := (*unix.RawSockaddrUnix)(unsafe.Pointer(&a.raw))
	*r = unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	abstract := strings.HasPrefix(path, "@")
	if len(path) > len(r.Path) || len(path) == len(r.Path) && !abstract || strings.Contains(path, "\x00") {
		return unix.EINVAL
	}
	for i := range len(path) {
		r.Path[i] = int8(path[i])
	}
	a.n = uint32(unsafe.Offsetof(r.Path)) + uint32(len(path))
	switch {
	case abstract:
		r.Path[0] = 0
	case path != "":
		a.n++ // the NUL
	}
	return nil
}

// addr returns a as package net has it for that network, or nil.
func (a *sockaddr) addr(network string) net.Addr {
	switch a.raw.Addr.Family {
	case unix.AF_INET:
		r := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		return &net.TCPAddr{IP: append(net.IP(nil), r.Addr[:]...), Port: int(swapped(int(r.Port)))}
	case unix.AF_INET6:
		r := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw))
		return &net.TCPAddr{IP: append(net.IP(nil), r.Addr[:]...), Port: int(swapped(int(r.Port))), Zone: zoneName(r.Scope_id)}
	case unix.AF_UNIX:
		return &net.UnixAddr{Name: a.path(), Net: network}
	}
	return nil
}

// path returns the path of a unix address. That of a socket without a name is @, as in
// package net.
func (a *sockaddr) path() string {
	r := (*unix.RawSockaddrUnix)(unsafe.Pointer(&a.raw))
	n := int(a.n) - int(unsafe.Offsetof(r.Path))
	if n <= 0 || n > len(r.Path) {
		return "@"
	}
	p := unsafe.Slice((*byte)(unsafe.Pointer(&r.Path)), n)
	if p[0] == 0 {
		return "@" + string(p[1:])
	}
	path, _, _ := strings.Cut(string(p), "\x00")
	return path
}

// swapped exchanges the bytes of a port if this machine has the lower one first.
func swapped(port int) uint16 {
	p := uint16(port)
	b := (*[2]byte)(unsafe.Pointer(&p))
	return uint16(b[0])<<8 | uint16(b[1])
}

func (a *sockaddr) bind(fd int) error {
	_, _, e := syscall.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.n))
	return errnoError("bind", e)
}

func (a *sockaddr) connect(fd int) syscall.Errno {
	_, _, e := syscall.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.n))
	return e
}

// name fills a by getsockname(2) or getpeername(2). It reports whether there is a name.
func (a *sockaddr) name(call uintptr, fd int) bool {
	a.n = unix.SizeofSockaddrAny
	_, _, e := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&a.n)))
	return e == 0
}

// localAddr returns the address of a socket, or nil.
func localAddr(fd int, network string) net.Addr {
	a := new(sockaddr)
	if !a.name(unix.SYS_GETSOCKNAME, fd) {
		return nil
	}
	return a.addr(network)
}

// peerAddr returns the address of the other end, or nil.
func peerAddr(fd int, network string) net.Addr {
	a := new(sockaddr)
	if !a.name(unix.SYS_GETPEERNAME, fd) {
		return nil
	}
	return a.addr(network)
}

package uringnet

import (
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setPacketAddr makes a the address that to is for a socket of that family.
func (a *sockaddr) setPacketAddr(family int, to packetAddr) error {
	switch {
	case family == unix.AF_UNIX && to.IsValid(), family != unix.AF_UNIX && to.path != "":
		return unix.EINVAL
	case to.isZero():
		return errMissingAddress
	case family == unix.AF_UNIX:
		return a.unix(to.path)
	case family == unix.AF_INET:
		return a.addrPort4(to.AddrPort)
	}
	a.addrPort6(to.AddrPort)
	return nil
}

func (a *sockaddr) addrPort4(to netip.AddrPort) error {
	ip := to.Addr().Unmap()
	if !ip.Is4() {
		return &net.AddrError{Err: "non-IPv4 address", Addr: ip.String()}
	}
	r := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
	*r = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: swapped(int(to.Port())), Addr: ip.As4()}
	a.n = unix.SizeofSockaddrInet4
	return nil
}

// addrPort6 maps IPv4 addresses into IPv6. The unspecified address means the host itself,
// which may have no IPv4 address for the socket.
func (a *sockaddr) addrPort6(to netip.AddrPort) {
	ip := to.Addr()
	if ip == netip.IPv4Unspecified() {
		ip = netip.IPv6Unspecified()
	}
	r := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw))
	*r = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swapped(int(to.Port())),
		Addr: ip.As16(), Scope_id: zoneID(ip.Zone())}
	a.n = unix.SizeofSockaddrInet6
}

// packetAddr returns the address that the kernel has put into a.
func (a *sockaddr) packetAddr() packetAddr {
	if a.n <= uint32(unsafe.Sizeof(a.raw.Addr.Family)) { // no address, or that of a Unix socket without a name
		return packetAddr{}
	}
	switch a.raw.Addr.Family {
	case unix.AF_INET:
		r := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		return packetAddr{AddrPort: netip.AddrPortFrom(netip.AddrFrom4(r.Addr), swapped(int(r.Port)))}
	case unix.AF_INET6:
		r := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw))
		ip := netip.AddrFrom16(r.Addr).WithZone(zoneName(r.Scope_id))
		return packetAddr{AddrPort: netip.AddrPortFrom(ip, swapped(int(r.Port)))}
	case unix.AF_UNIX:
		return packetAddr{path: a.path()}
	}
	return packetAddr{}
}

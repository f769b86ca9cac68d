package uringnet

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

var errMissingAddress = errors.New("missing address")

// A packetAddr is where a datagram comes from or goes to: an AddrPort, or the path of a
// Unix socket, with '@' in front of an abstract name. The zero value is no address.
type packetAddr struct {
	netip.AddrPort
	path string
}

// isZero reports whether a is no address: that of a Unix socket without a name.
func (a packetAddr) isZero() bool { return !a.IsValid() && a.path == "" }

// public returns a as an address of that network, or nil.
func (a packetAddr) public(network string) net.Addr {
	switch {
	case a.isZero():
		return nil
	case a.path != "":
		return &net.UnixAddr{Name: a.path, Net: network}
	}
	return net.UDPAddrFromAddrPort(a.AddrPort)
}

// packetAddrOf returns addr, which is no nil pointer, for a socket of that network.
func packetAddrOf(network string, addr net.Addr) (packetAddr, error) {
	switch a := addr.(type) {
	case nil:
		return packetAddr{}, errMissingAddress
	case *net.UDPAddr:
		return udpAddrOf(network, a)
	case *net.UnixAddr:
		switch {
		case network == unixgram && a.Net != network:
			return packetAddr{}, syscall.EAFNOSUPPORT
		case network == unixgram:
			return packetAddr{path: a.Name}, nil
		}
	}
	return packetAddr{}, syscall.EINVAL
}

// udpAddrOf returns a; without an IP address the host itself is meant.
func udpAddrOf(network string, a *net.UDPAddr) (packetAddr, error) {
	if network == unixgram || a.Port < 0 || a.Port > 0xffff {
		return packetAddr{}, syscall.EINVAL
	}
	ip, ok := netip.AddrFromSlice(a.IP)
	switch {
	case len(a.IP) == 0:
		ip = netip.IPv4Unspecified()
	case !ok:
		return packetAddr{}, &net.AddrError{Err: "invalid IP address", Addr: a.IP.String()}
	}
	return packetAddr{AddrPort: netip.AddrPortFrom(ip.WithZone(a.Zone), uint16(a.Port))}, nil
}

// opAddr returns addr, or nil for a pointer that is nil.
func opAddr(addr net.Addr) net.Addr {
	switch a := addr.(type) {
	case *net.TCPAddr:
		if a == nil {
			return nil
		}
	case *net.UDPAddr:
		if a == nil {
			return nil
		}
	case *net.UnixAddr:
		if a == nil {
			return nil
		}
	}
	return addr
}

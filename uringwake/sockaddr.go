package uringwake

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// A SockAddr is the address of a socket, as the kernel has it: struct sockaddr. The zero
// SockAddr is none: [Accept] and [Recvmsg] return it if there is no address, and [Sendmsg]
// sends to the socket's peer. SockAddrs can be compared with ==.
type SockAddr struct {
	n   uint32
	raw [maxSockAddr]byte
}

const (
	maxSockAddr = 112 // no family's is longer
	afUnix      = 1
	afInet      = 2
	afInet6     = 10

	pathAt    = 2 // in struct sockaddr_un
	maxUnix   = pathAt + 108
	sizeInet  = 16
	sizeInet6 = 28
)

// IPSockAddr returns the address of an IP socket. The zone of an IPv6 address must be the
// number of an interface. IPSockAddr returns the zero SockAddr if a is not valid.
func IPSockAddr(a netip.AddrPort) (s SockAddr) {
	ip := a.Addr()
	zone, ok := parseZone(ip.Zone())
	if !ok || !ip.IsValid() {
		return SockAddr{}
	}
	binary.BigEndian.PutUint16(s.raw[2:], a.Port())
	if ip.Is4() {
		s.set(afInet, sizeInet)
		copy(s.raw[4:], ip.AsSlice())
		return s
	}
	s.set(afInet6, sizeInet6)
	copy(s.raw[8:], ip.AsSlice())
	binary.NativeEndian.PutUint32(s.raw[24:], zone)
	return s
}

func parseZone(zone string) (n uint32, ok bool) {
	if zone == "" {
		return 0, true
	}
	z, err := strconv.ParseUint(zone, 10, 32)
	return uint32(z), err == nil
}

func (s *SockAddr) set(family uint16, n uint32) {
	binary.NativeEndian.PutUint16(s.raw[:], family)
	s.n = n
}

// UnixSockAddr returns the address of a unix socket. As in package net, a name that begins
// with @ is one in Linux's abstract namespace and no path. [Bind] to an empty name chooses
// an abstract one. UnixSockAddr returns the zero SockAddr if the name is longer than the
// kernel allows, or a path with a NUL byte.
func UnixSockAddr(name string) (s SockAddr) {
	abstract := strings.HasPrefix(name, "@")
	n := pathAt + len(name)
	if !abstract && name != "" {
		n++ // a NUL
	}
	if n > maxUnix || !abstract && strings.Contains(name, "\x00") {
		return SockAddr{}
	}
	s.set(afUnix, uint32(n))
	copy(s.raw[pathAt:], name)
	if abstract {
		s.raw[pathAt] = 0
	}
	return s
}

// RawSockAddr returns an address of any family: p is its struct sockaddr. It returns the
// zero SockAddr if p is longer than 112 bytes.
func RawSockAddr(p []byte) (s SockAddr) {
	if len(p) <= maxSockAddr {
		s.n = uint32(copy(s.raw[:], p))
	}
	return s
}

// Raw returns the address's struct sockaddr.
func (s SockAddr) Raw() []byte { return append([]byte(nil), s.raw[:s.n]...) }

// IsValid reports whether s is an address.
func (s SockAddr) IsValid() bool { return s.n > 0 }

// Family returns unix.AF_INET and the like, or 0.
func (s SockAddr) Family() int { return int(binary.NativeEndian.Uint16(s.raw[:])) }

// AddrPort returns the address of an IP socket. Otherwise the result is not valid. A zone
// is the number of the interface.
func (s SockAddr) AddrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s.raw[2:])
	switch {
	case s.Family() == afInet && s.n >= sizeInet:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.raw[4:])), port)
	case s.Family() == afInet6 && s.n >= sizeInet6:
		ip := netip.AddrFrom16([16]byte(s.raw[8:]))
		if zone := binary.NativeEndian.Uint32(s.raw[24:]); zone != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(zone), 10))
		}
		return netip.AddrPortFrom(ip, port)
	}
	return netip.AddrPort{}
}

// UnixName returns the name of a unix socket, as it is passed to [UnixSockAddr]. It is
// empty if the socket has none, or s is of another family.
func (s SockAddr) UnixName() string {
	if s.Family() != afUnix || s.n <= pathAt {
		return ""
	}
	name := string(s.raw[pathAt:s.n])
	if name[0] == 0 {
		return "@" + name[1:]
	}
	name, _, _ = strings.Cut(name, "\x00")
	return name
}

// String returns the address in a form to be read.
func (s SockAddr) String() string {
	switch {
	case s.AddrPort().IsValid():
		return s.AddrPort().String()
	case s.Family() == afUnix:
		return s.UnixName()
	case !s.IsValid():
		return "invalid SockAddr"
	}
	return "address of family " + strconv.Itoa(s.Family())
}

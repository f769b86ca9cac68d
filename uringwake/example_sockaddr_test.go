package uringwake_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vigil-go/vigil/uringwake"
)

// The address of an IP socket, and back.
func ExampleIPSockAddr() {
	s := uringwake.IPSockAddr(netip.MustParseAddrPort("[::1]:80"))
	fmt.Println(s, s.AddrPort().Port())
	bad := uringwake.IPSockAddr(netip.AddrPort{})
	fmt.Println(bad.IsValid(), bad == uringwake.SockAddr{})
	// Output:
	// [::1]:80 80
	// false true
}

// A path, and a name in the abstract namespace, which has no file.
func ExampleUnixSockAddr() {
	for _, name := range []string{"/run/server", "@server"} {
		s := uringwake.UnixSockAddr(name)
		fmt.Println(s.String(), s.UnixName() == name, s.AddrPort().IsValid())
	}
	// Output:
	// /run/server true false
	// @server true false
}

// An address of a family that SockAddr has no constructor for: vsock, 40.
func ExampleRawSockAddr() {
	p := make([]byte, 16)
	binary.NativeEndian.PutUint16(p, 40)
	s := uringwake.RawSockAddr(p)
	fmt.Println(len(s.Raw()), s.Family() == 40)
	// Output: 16 true
}

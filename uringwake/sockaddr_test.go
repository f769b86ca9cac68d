package uringwake_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
)

func TestSockAddrOfIP(t *testing.T) {
	for _, text := range []string{"127.0.0.1:80", "0.0.0.0:0", "[::1]:65535", "[fe80::1%7]:1", "[::ffff:1.2.3.4]:5"} {
		want := netip.MustParseAddrPort(text)
		s := uringwake.IPSockAddr(want)
		require.True(t, s.IsValid())
		require.Equal(t, want, s.AddrPort())
		require.Equal(t, text, s.String())
		require.Empty(t, s.UnixName())
		require.Equal(t, s, uringwake.RawSockAddr(s.Raw()))
	}
	for _, bad := range []netip.AddrPort{{}, netip.MustParseAddrPort("[fe80::1%eth0]:1")} {
		require.Equal(t, uringwake.SockAddr{}, uringwake.IPSockAddr(bad))
	}
}

func TestSockAddrOfUnix(t *testing.T) {
	for _, name := range []string{"", "a", "/run/x.sock", "@abstract", "@with\x00nul", "@" + strings.Repeat("a", 107), strings.Repeat("a", 107)} {
		s := uringwake.UnixSockAddr(name)
		require.True(t, s.IsValid(), name)
		require.Equal(t, name, s.UnixName())
		require.Equal(t, name, s.String())
		require.False(t, s.AddrPort().IsValid())
		require.Equal(t, s, uringwake.RawSockAddr(s.Raw()))
	}
	for _, bad := range []string{"a\x00b", "@" + strings.Repeat("a", 108), strings.Repeat("a", 108)} {
		require.Equal(t, uringwake.SockAddr{}, uringwake.UnixSockAddr(bad), bad)
	}
}

func TestSockAddrOfAnyFamily(t *testing.T) {
	s := uringwake.RawSockAddr([]byte{40, 40, 3})
	require.True(t, s.IsValid())
	require.Equal(t, 40<<8|40, s.Family())
	require.Equal(t, "address of family 10280", s.String())
	require.Equal(t, []byte{40, 40, 3}, s.Raw())
	for _, bad := range [][]byte{nil, {}, make([]byte, 113)} {
		s := uringwake.RawSockAddr(bad)
		require.False(t, s.IsValid())
		require.Equal(t, "invalid SockAddr", s.String())
	}
	require.False(t, uringwake.RawSockAddr([]byte{2, 0, 0, 80}).AddrPort().IsValid(), "cut short")
	require.False(t, uringwake.RawSockAddr([]byte{10, 0, 0, 80}).AddrPort().IsValid(), "cut short")
}

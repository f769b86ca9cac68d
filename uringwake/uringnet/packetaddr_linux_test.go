package uringnet

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestPacketAddrs: what is sent to an address comes from there.
func TestPacketAddrs(t *testing.T) {
	for text, family := range map[string]int{
		"127.0.0.1:1":              unix.AF_INET,
		"255.255.255.255:65535":    unix.AF_INET,
		"[::1]:258":                unix.AF_INET6,
		"[::ffff:127.0.0.1]:80":    unix.AF_INET6,
		"[fe80::1%4294967295]:443": unix.AF_INET6,
		"[fe80::1]:443":            unix.AF_INET6,
	} {
		a, addr := new(sockaddr), netip.MustParseAddrPort(text)
		require.NoError(t, a.setPacketAddr(family, packetAddr{AddrPort: addr}))
		require.Equal(t, packetAddr{AddrPort: addr}, a.packetAddr())
		require.Equal(t, net.UDPAddrFromAddrPort(addr), a.packetAddr().public("udp"))
	}
}

func TestZones(t *testing.T) {
	all, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range all {
		for range 2 { // the kernel is asked once
			require.Equal(t, i.Name, zoneName(uint32(i.Index)))
			require.EqualValues(t, i.Index, zoneID(i.Name))
		}
	}
	require.Empty(t, zoneName(0))
	require.Zero(t, zoneID(""))
	require.Zero(t, zoneID("no such interface"))
	require.Equal(t, "4294967295", zoneName(1<<32-1))
	require.EqualValues(t, uint32(1<<32-1), zoneID("4294967295"))
	if len(all) > 0 {
		require.Zero(t, testing.AllocsPerRun(10, func() { zoneName(uint32(all[0].Index)) }))
	}
}

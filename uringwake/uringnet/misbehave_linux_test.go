package uringnet_test

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// sockets returns how many sockets this process has.
func sockets(t *testing.T) (n int) {
	all, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, name := range all {
		if to, err := os.Readlink(name); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

var rude = map[string]func(string, string, syscall.RawConn) error{
	"panics": func(string, string, syscall.RawConn) error { panic("rude") },
	"exits":  func(string, string, syscall.RawConn) error { runtime.Goexit(); return nil },
}

// TestRudeControl: a Control function that panics, or ends the goroutine, leaves no socket
// open.
func TestRudeControl(t *testing.T) {
	l := listen(t, "tcp")
	for name, control := range rude {
		t.Run(name, func(t *testing.T) {
			before := sockets(t)
			for _, network := range []string{"tcp", "unix"} {
				config := uringnet.ListenConfig{Control: control}
				returned, _ := misbehave.Outcome(func() error {
					_, err := config.Listen(bg, network, address(t, network))
					return err
				})
				require.False(t, returned)
			}
			d := uringnet.Dialer{Control: control}
			returned, _ := misbehave.Outcome(func() error {
				_, err := d.DialContext(bg, "tcp", l.Addr().String())
				return err
			})
			require.False(t, returned)
			require.Equal(t, before, sockets(t))
		})
	}
}

// TestNilLocalAddr: a pointer that is nil is no address, as in package net.
func TestNilLocalAddr(t *testing.T) {
	for network, local := range map[string]net.Addr{
		"tcp": (*net.TCPAddr)(nil), "unix": (*net.UnixAddr)(nil), "udp": (*net.UDPAddr)(nil),
	} {
		t.Run(network, func(t *testing.T) {
			skipWithoutRing(t)
			to := "127.0.0.1:9"
			if network != "udp" {
				to = listen(t, network).Addr().String()
			}
			d := uringnet.Dialer{LocalAddr: local}
			c, err := d.DialContext(bg, network, to)
			require.NoError(t, err)
			require.NoError(t, c.Close())
		})
	}
}

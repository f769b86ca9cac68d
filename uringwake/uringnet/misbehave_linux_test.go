package uringnet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/uringwake/uringnet"
	"github.com/vigil-go/vigil/wake"
)

// socketOf returns what tells the socket of a descriptor from all others.
func socketOf(fd uintptr) string {
	to, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return to
}

// isOpen reports whether a descriptor of this process stands for a socket.
func isOpen(t *testing.T, socket string) bool {
	all, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	return slices.ContainsFunc(all, func(name string) bool {
		to, err := os.Readlink(name)
		return err == nil && to == socket
	})
}

var rude = map[string]func(string, string, syscall.RawConn) error{
	"panics": func(string, string, syscall.RawConn) error { panic("rude") },
	"exits":  func(string, string, syscall.RawConn) error { runtime.Goexit(); return nil },
}

// rudely are all functions that call a Control function.
func rudely(t *testing.T, control func(string, string, syscall.RawConn) error) map[string]func(ctx context.Context) error {
	all := make(map[string]func(ctx context.Context) error)
	for _, network := range []string{"tcp", "unix", "unixpacket", "udp", "unixgram"} {
		config := uringnet.ListenConfig{Control: control, ReusePort: network == "udp"}
		if network == "udp" || network == "unixgram" {
			all["ListenPacket "+network] = func(ctx context.Context) error {
				_, err := config.ListenPacket(ctx, network, packetAddress(t, network))
				return err
			}
			continue
		}
		all["Listen "+network] = func(ctx context.Context) error {
			_, err := config.Listen(ctx, network, address(t, network))
			return err
		}
	}
	d := uringnet.Dialer{Control: control}
	for network, to := range map[string]net.Addr{
		"tcp": listen(t, "tcp").Addr(), "unix": listen(t, "unix").Addr(),
		"udp": listenPacket(t, bg, "udp").LocalAddr(), "unixgram": listenPacket(t, bg, "unixgram").LocalAddr(),
	} {
		all["Dial "+network] = func(ctx context.Context) error {
			_, err := d.DialContext(ctx, network, to.String())
			return err
		}
	}
	return all
}

// TestRudeControl: a Control function that panics, or ends the goroutine, leaves no socket
// open, and what it has kept does not work any more.
func TestRudeControl(t *testing.T) {
	inWorlds(t, func(t *testing.T, w world) {
		for how, end := range rude {
			var kept syscall.RawConn
			var socket string
			control := func(network, address string, c syscall.RawConn) error {
				kept = c
				require.NoError(t, c.Control(func(fd uintptr) { socket = socketOf(fd) }))
				require.True(t, isOpen(t, socket))
				return end(network, address, c)
			}
			for name, open := range rudely(t, control) {
				returned := false
				w.do(func(ctx context.Context) {
					defer func() { _ = recover() }()
					open(ctx)
					returned = true
				})
				require.False(t, returned, "%s %s", name, how)
				require.Contains(t, socket, "socket:")
				require.False(t, isOpen(t, socket), "%s %s", name, how)
				require.Error(t, kept.Control(func(uintptr) {}), "%s %s", name, how)
				require.Error(t, kept.Read(func(uintptr) bool { return true }))
				require.Error(t, kept.Write(func(uintptr) bool { return true }))
			}
		}
	})
}

// TestRudeReader: a reader whose waker panics, or ends the goroutine, keeps neither Close nor
// a deadline from the rest of their work.
func TestRudeReader(t *testing.T) {
	skipWithoutRing(t)
	for name, end := range map[string]func(){"panics": func() { panic("rude") }, "exits": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, "tcp")
			read := readRudely(t, a, end)
			returned, _ := misbehave.Outcome(func() error { return a.SetDeadline(past) })
			require.False(t, returned)
			require.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
			_, err := a.Write([]byte("x"))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, a.SetDeadline(time.Time{}))
			read = readRudely(t, a, end)
			returned, _ = misbehave.Outcome(a.Close)
			require.False(t, returned)
			require.ErrorIs(t, <-read, net.ErrClosed)
			_, err = b.Read(make([]byte, 1))
			require.Equal(t, io.EOF, err)
		})
	}
}

// readRudely has a goroutine read that calls end when it is woken, and waits until it sleeps.
func readRudely(t *testing.T, c *uringnet.Conn, end func()) <-chan error {
	p := &rudeParker{Parker: wake.NewParker(), end: end}
	result := make(chan error, 1)
	go func() {
		_, err := c.ReadContext(wake.WithParker(bg, p), make([]byte, 1))
		result <- err
	}()
	asleep(c, false)
	return result
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

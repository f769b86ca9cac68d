package uringnet

import (
	"context"
	"net"
	"syscall"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// Package net opens the sockets for datagrams, since it knows names, zones, broadcasts and
// groups. None of that waits, except looking up a name. Then takeSocket duplicates them.

const unixgram = "unixgram"

func isPacket(network string) bool {
	switch network {
	case "udp", "udp4", "udp6", unixgram:
		return true
	}
	return false
}

// ListenPacket opens a socket as [ListenConfig.ListenPacket] of the zero ListenConfig does.
func ListenPacket(ctx context.Context, network, address string) (*PacketConn, error) {
	var c ListenConfig
	return c.listenPacket(ctx, network, address)
}

// ListenPacket opens a socket that receives datagrams at an address. The networks are udp,
// udp4, udp6 and unixgram, and the addresses those of [net.ListenPacket]. The result is a
// *[PacketConn]. ctx is only for looking up the address. In a task, the Control function runs
// in another goroutine, for which the task waits.
func (c *ListenConfig) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	p, err := c.listenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (c *ListenConfig) listenPacket(ctx context.Context, network, address string) (*PacketConn, error) {
	if err := mayOpen(ctx, network); err != nil {
		return nil, packetError(ctx, "listen", network, nil, err)
	}
	l := net.ListenConfig{Control: lending(c.Control)}
	if c.ReusePort {
		l.Control = lending(c.reusePort)
	}
	var opened net.PacketConn
	var err error
	uringwake.Blocking(ctx, func() { opened, err = l.ListenPacket(wake.WithParker(ctx, nil), network, address) })
	if err != nil {
		return nil, packetError(ctx, "listen", network, nil, err)
	}
	p := new(PacketConn)
	if p.s, p.family, err = takeSocket(opened, network); err != nil {
		return nil, packetError(ctx, "listen", network, nil, err)
	}
	return own(p, p.s), nil
}

// reusePort is the Control function of a socket that shares its address.
func (c *ListenConfig) reusePort(network, address string, raw syscall.RawConn) error {
	var err error
	if bad := raw.Control(func(fd uintptr) { err = setReusePort(int(fd)) }); bad != nil {
		return bad
	}
	if err != nil || c.Control == nil {
		return err
	}
	return c.Control(network, address, raw)
}

// dialPacket opens a socket that sends datagrams to an address, and receives those from
// there.
func (d *Dialer) dialPacket(ctx context.Context, network, address string) (*PacketConn, error) {
	waitq.MustContext(ctx, "uringnet")
	ctx, cancel := d.limit(ctx)
	defer cancel()
	if err := mayOpen(ctx, network); err != nil {
		return nil, packetError(ctx, "dial", network, d.LocalAddr, err)
	}
	n := net.Dialer{LocalAddr: d.LocalAddr, Resolver: d.Resolver, Control: lending(d.Control)}
	var opened net.Conn
	var err error
	uringwake.Blocking(ctx, func() { opened, err = n.DialContext(wake.WithParker(ctx, nil), network, address) })
	if err != nil {
		return nil, packetError(ctx, "dial", network, d.LocalAddr, err)
	}
	p := new(PacketConn)
	if p.s, p.family, err = takeSocket(opened, network); err != nil {
		return nil, packetError(ctx, "dial", network, d.LocalAddr, err)
	}
	p.s.remote = opened.RemoteAddr()
	return own(p, p.s), nil
}

// mayOpen returns why no socket may be opened, or nil.
func mayOpen(ctx context.Context, network string) error {
	waitq.MustContext(ctx, "uringnet")
	if err := supported(); err != nil {
		return err
	}
	if !isPacket(network) {
		return net.UnknownNetworkError(network)
	}
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	return nil
}

// packetError is the error of a socket that was not opened: as package net has it, or that
// of ctx.
func packetError(ctx context.Context, op, network string, source net.Addr, err error) error {
	if supported() != nil {
		return err
	}
	if ctx.Err() != nil {
		err = timely(waitq.ContextError(ctx))
	}
	if e, ok := err.(*net.OpError); ok {
		return e
	}
	return &net.OpError{Op: op, Net: network, Source: source, Err: err}
}

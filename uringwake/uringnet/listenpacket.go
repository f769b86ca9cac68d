package uringnet

import (
	"context"
	"net"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake"
)

// ListenPacket opens a socket that receives datagrams at an address. The networks are udp,
// udp4, udp6 and unixgram; the addresses are those of [net.ListenPacket]. In a task, other
// tasks run while a name is looked up. The error is a [*net.OpError], or that of
// uringwake.Supported.
func ListenPacket(ctx context.Context, network, address string) (*PacketConn, error) {
	return listenPacket(ctx, new(net.ListenConfig), network, address)
}

// listenPacket has package net open the socket, which knows names, zones and options, and
// takes it over.
func listenPacket(ctx context.Context, l *net.ListenConfig, network, address string) (*PacketConn, error) {
	waitq.MustContext(ctx, "uringnet")
	if err := uringwake.Supported(); err != nil {
		return nil, err
	}
	if err := mayListenPacket(ctx, network); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	var c net.PacketConn
	var err error
	uringwake.Blocking(ctx, func() { c, err = l.ListenPacket(ctx, network, address) })
	if err != nil {
		return nil, err
	}
	s, err := takeSocket(c, network)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: c.LocalAddr(), Err: err}
	}
	return s, nil
}

func mayListenPacket(ctx context.Context, network string) error {
	switch network {
	case "udp", "udp4", "udp6", unixgram:
	default:
		return net.UnknownNetworkError(network)
	}
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	return nil
}

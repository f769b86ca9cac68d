package uringnet

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
)

// Listen listens on an address as [ListenConfig.Listen] of the zero ListenConfig does.
func Listen(ctx context.Context, network, address string) (*Listener, error) {
	var c ListenConfig
	return c.listen(ctx, network, address)
}

// A ListenConfig has options of net.ListenConfig, and ReusePort. The zero value has their
// defaults.
type ListenConfig struct {
	// Control, if not nil, is called with the socket before it is bound to the address.
	// The network is that of the address, such as tcp4. In a task, [ListenConfig.Listen]
	// calls it on the loop's thread, so that it must not block.
	Control func(network, address string, c syscall.RawConn) error

	// KeepAlive is how long accepted connections are idle before the first keep-alive
	// probe: 0 means 15 s, and a negative value no probes. It counts only if
	// KeepAliveConfig.Enable is false.
	KeepAlive       time.Duration
	KeepAliveConfig net.KeepAliveConfig

	// ReusePort lets several sockets have the same address (SO_REUSEPORT). The kernel
	// divides the connections, or the senders of datagrams, among them.
	ReusePort bool
}

// Listen listens on an address. The networks are tcp, tcp4, tcp6, unix and unixpacket, and
// the addresses those of net.Listen: an empty host or an unspecified address means all local
// addresses, and port 0 a port that is free. The result is a *[Listener]. ctx is only for
// looking up the address.
func (c *ListenConfig) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := c.listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (c *ListenConfig) listen(ctx context.Context, network, address string) (*Listener, error) {
	waitq.MustContext(ctx, "uringnet")
	if err := supported(); err != nil {
		return nil, err
	}
	addrs, err := lookup(ctx, net.DefaultResolver, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	addr := firstIPv4(addrs)
	l, err := c.listenAddr(network, addr)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: addr, Err: err}
	}
	return l, nil
}

func firstIPv4(addrs []net.Addr) net.Addr {
	for _, a := range addrs {
		if t, ok := a.(*net.TCPAddr); ok && t.IP.To4() != nil {
			return a
		}
	}
	return addrs[0]
}

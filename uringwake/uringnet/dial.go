package uringnet

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// Dial connects to an address as [Dialer.DialContext] of the zero Dialer does, and returns a
// Conn for networks of datagrams too: see "Networks" in the package's documentation.
func Dial(ctx context.Context, network, address string) (*Conn, error) {
	var d Dialer
	if !isPacket(network) {
		return d.dial(ctx, network, address)
	}
	p, err := d.dialPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := own(&Conn{p.s}, p.s)
	runtime.KeepAlive(p) // until it is no longer the owner
	return c, nil
}

// A Dialer has options of net.Dialer. The zero value has their defaults.
type Dialer struct {
	// Timeout and Deadline limit the time of a whole dial, as the context does; the
	// earliest limit counts. Zero means no limit.
	Timeout  time.Duration
	Deadline time.Time

	// LocalAddr is the address to connect from: a *net.TCPAddr, *net.UDPAddr or
	// *net.UnixAddr that suits the network; or nil, to have one chosen.
	LocalAddr net.Addr

	// KeepAlive is how long the connection is idle before the first keep-alive probe: 0
	// means 15 s, and a negative value no probes. It counts only if
	// KeepAliveConfig.Enable is false.
	KeepAlive       time.Duration
	KeepAliveConfig net.KeepAliveConfig

	// Resolver looks up names; nil is net.DefaultResolver. It runs in a goroutine.
	Resolver *net.Resolver

	// Control, if not nil, is called with each socket before it is connected. The
	// network is that of the address, such as tcp4. In a task it runs on the loop's
	// thread, and must not block; for a network of datagrams it runs in another
	// goroutine, for which the task waits.
	Control func(network, address string, c syscall.RawConn) error
}

// Dial is DialContext without a context; in a task it ends with the task's context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(bridge.Current(), network, address)
}

// DialContext connects to an address, and returns a *[Conn], or for udp, udp4, udp6 and
// unixgram a *[PacketConn]. The other networks are tcp, tcp4, tcp6, unix and unixpacket. The
// addresses are those of net.Dial. If a name has several addresses, they are tried one after
// the other, each with its share of the time that is left. Package net instead tries two at
// a time if the name has addresses of both versions of IP. The end of ctx does not affect a
// connection that has been made.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if isPacket(network) {
		p, err := d.dialPacket(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	c, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (d *Dialer) dial(ctx context.Context, network, address string) (*Conn, error) {
	waitq.MustContext(ctx, "uringnet")
	if err := supported(); err != nil {
		return nil, err
	}
	ctx, cancel := d.limit(ctx)
	defer cancel()
	r := d.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	addrs, err := lookup(ctx, r, network, address)
	if err == nil {
		err = d.fits(network)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: timely(err)}
	}
	return d.dialEach(ctx, network, addrs)
}

// fits checks that the local address is of the network's kind.
func (d *Dialer) fits(network string) error {
	_, tcp := d.LocalAddr.(*net.TCPAddr)
	_, local := d.LocalAddr.(*net.UnixAddr)
	if d.LocalAddr == nil || tcp && isTCP(network) || local && !isTCP(network) {
		return nil
	}
	return &net.AddrError{Err: "mismatched local address type", Addr: d.LocalAddr.String()}
}

// limit returns ctx with the Dialer's own limits.
func (d *Dialer) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	until := d.Deadline
	if d.Timeout > 0 {
		if t := time.Now().Add(d.Timeout); until.IsZero() || t.Before(until) {
			until = t
		}
	}
	if until.IsZero() {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, until)
}

// dialEach tries the addresses one after the other, and returns the first error if none
// can be connected to.
func (d *Dialer) dialEach(ctx context.Context, network string, addrs []net.Addr) (*Conn, error) {
	var first error
	for i, a := range addrs {
		c, err := d.dialOne(ctx, network, a, len(addrs)-i)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = &net.OpError{Op: "dial", Net: network, Source: d.LocalAddr, Addr: a, Err: timely(err)}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// dialOne tries one address, with its share of the time that is left for n of them.
func (d *Dialer) dialOne(ctx context.Context, network string, a net.Addr, n int) (*Conn, error) {
	const least = 2 * time.Second
	if until, ok := ctx.Deadline(); ok && n > 1 {
		left := time.Until(until)
		if share := max(left/time.Duration(n), least); share < left {
			one, cancel := context.WithTimeout(ctx, share)
			defer cancel()
			ctx = one
		}
	}
	if ctx.Err() != nil {
		return nil, waitq.ContextError(ctx)
	}
	return d.connect(ctx, network, a)
}

// timely is err with the text of package net if the time was too short.
func timely(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &timeoutError{err}
	}
	return err
}

// timeoutError is the error of a dial that took too long. In package net some match
// os.ErrDeadlineExceeded, and others context.DeadlineExceeded.
type timeoutError struct{ err error }

func (e *timeoutError) Error() string     { return "i/o timeout" }
func (e *timeoutError) Unwrap() error     { return e.err }
func (e *timeoutError) Is(err error) bool { return err == os.ErrDeadlineExceeded }
func (e *timeoutError) Timeout() bool     { return true }
func (e *timeoutError) Temporary() bool   { return true }

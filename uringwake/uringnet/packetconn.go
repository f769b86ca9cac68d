package uringnet

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// A PacketConn sends and receives datagrams, as [net.UDPConn] and [net.UnixConn] do.
// [ListenPacket] makes one that exchanges datagrams with any address. One that
// [Dialer.DialContext] has connected to an address sends to that address only, by Write, and
// receives from it only. Both kinds implement [net.PacketConn] and [net.Conn].
//
// A PacketConn may be used by any number of tasks of any loops, and by goroutines, at the
// same time. Each call receives or sends one datagram.
//
// A method without a context suspends the task or the goroutine that calls it. In a task it
// also ends when the context of the task does. The methods with a context return when the
// kernel no longer uses their buffers. If the context has ended, the error matches ctx.Err()
// and context.Cause(ctx), unless a datagram was transferred by then, which is the result.
//
// Errors are [*net.OpError]. The socket keeps working after an error, unless the error
// matches [net.ErrClosed]. In the terminology of the Go memory model, the call that sends a
// datagram synchronizes before the return of the call that receives it.
//
// In a task, receiving corresponds to io_uring_prep_recvmsg, and sending to
// io_uring_prep_sendmsg; Linux 5.3. In a goroutine they are system calls, and what would
// block waits on the ring that all goroutines share.
type PacketConn struct {
	s      *sock
	family int // of the socket's addresses
}

var (
	_ net.PacketConn = (*PacketConn)(nil)
	_ net.Conn       = (*PacketConn)(nil)
)

func (c *PacketConn) ok() bool { return c != nil && c.s != nil }

func (c *PacketConn) connected() bool { return c.ok() && c.s.remote != nil }

// ReadFrom receives one datagram into p. It returns the number of bytes copied, and the
// sender's address: a [*net.UDPAddr] or a [*net.UnixAddr], or nil for a Unix socket without
// a name. An empty datagram is 0 bytes without an error. What does not fit in p is lost.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	return c.ReadFromContext(bridge.Current(), p)
}

// ReadFromContext is ReadFrom that ends with ctx.
func (c *PacketConn) ReadFromContext(ctx context.Context, p []byte) (int, net.Addr, error) {
	r, err := c.receive(ctx, p, nil)
	if r.from.isZero() {
		return r.n, nil, err
	}
	return r.n, r.from.public(c.s.network), err
}

// ReadFromUDP is ReadFrom with a UDP address.
func (c *PacketConn) ReadFromUDP(p []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.ReadFromUDPAddrPort(p)
	return n, udpAddr(from), err
}

// ReadFromUDPAddrPort is ReadFrom with the address as a [netip.AddrPort], for which nothing
// is allocated. On a socket that also receives IPv6, an IPv4 address is returned as an
// IPv4-mapped IPv6 address; see [netip.Addr.Unmap].
func (c *PacketConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	return c.ReadFromUDPAddrPortContext(bridge.Current(), p)
}

// ReadFromUDPAddrPortContext is ReadFromUDPAddrPort that ends with ctx.
func (c *PacketConn) ReadFromUDPAddrPortContext(ctx context.Context, p []byte) (int, netip.AddrPort, error) {
	r, err := c.receive(ctx, p, nil)
	return r.n, r.from.AddrPort, err
}

// ReadMsgUDP is ReadFromUDP that also copies control messages into oob. It returns the
// numbers of bytes that it copied into p and oob, and the flags of recvmsg(2), such as
// unix.MSG_TRUNC.
func (c *PacketConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	n, oobn, flags, addr, err := c.ReadMsgUDPAddrPort(p, oob)
	return n, oobn, flags, udpAddr(addr), err
}

// ReadMsgUDPAddrPort is ReadMsgUDP with the address as a [netip.AddrPort].
func (c *PacketConn) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, from netip.AddrPort, err error) {
	r, err := c.receive(bridge.Current(), p, oob)
	return r.n, r.oobn, r.flags, r.from.AddrPort, err
}

// ReadMsgUnix is ReadMsgUDP for a Unix socket. Descriptors in control messages belong to the
// caller, and are close-on-exec.
func (c *PacketConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, from *net.UnixAddr, err error) {
	r, err := c.receive(bridge.Current(), p, oob)
	if r.from.path != "" {
		from = &net.UnixAddr{Name: r.from.path, Net: unixgram}
	}
	return r.n, r.oobn, r.flags, from, err
}

// Read is ReadFrom without the address.
func (c *PacketConn) Read(p []byte) (int, error) { return c.ReadContext(bridge.Current(), p) }

// ReadContext is Read that ends with ctx.
func (c *PacketConn) ReadContext(ctx context.Context, p []byte) (int, error) {
	r, err := c.receive(ctx, p, nil)
	return r.n, err
}

// Write sends p as one datagram to the address that the socket is connected to. An empty p
// is an empty datagram.
func (c *PacketConn) Write(p []byte) (int, error) { return c.WriteContext(bridge.Current(), p) }

// WriteContext is Write that ends with ctx.
func (c *PacketConn) WriteContext(ctx context.Context, p []byte) (int, error) {
	n, _, err := c.send(ctx, p, nil, packetAddr{})
	return n, err
}

// WriteTo sends p as one datagram to addr, which is a [*net.UDPAddr], or for a Unix socket a
// [*net.UnixAddr]. An empty p is an empty datagram. WriteTo waits while the socket's
// buffer, or that of a receiving Unix socket, is full. On a connected socket it fails with
// [net.ErrWriteToConnected].
func (c *PacketConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	return c.WriteToContext(bridge.Current(), p, addr)
}

// WriteToContext is WriteTo that ends with ctx.
func (c *PacketConn) WriteToContext(ctx context.Context, p []byte, addr net.Addr) (int, error) {
	if c.connected() {
		return 0, c.writeError(opAddr(addr), net.ErrWriteToConnected)
	}
	n, _, err := c.sendTo(ctx, p, nil, addr)
	return n, err
}

// WriteToUDP is WriteTo with a UDP address.
func (c *PacketConn) WriteToUDP(p []byte, addr *net.UDPAddr) (int, error) {
	return c.WriteTo(p, addr)
}

// WriteToUDPAddrPort is WriteTo with the address as a [netip.AddrPort], for which nothing is
// allocated.
func (c *PacketConn) WriteToUDPAddrPort(p []byte, addr netip.AddrPort) (int, error) {
	return c.WriteToUDPAddrPortContext(bridge.Current(), p, addr)
}

// WriteToUDPAddrPortContext is WriteToUDPAddrPort that ends with ctx.
func (c *PacketConn) WriteToUDPAddrPortContext(ctx context.Context, p []byte, addr netip.AddrPort) (int, error) {
	if c.connected() {
		return 0, c.writeError(opAddr(udpAddr(addr)), net.ErrWriteToConnected)
	}
	n, _, err := c.send(ctx, p, nil, packetAddr{AddrPort: addr})
	return n, err
}

// WriteMsgUDP is WriteToUDP that also sends the control messages in oob. It returns the
// numbers of bytes of p and of oob. On a connected socket addr must be nil.
func (c *PacketConn) WriteMsgUDP(p, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	return c.sendTo(bridge.Current(), p, oob, addr)
}

// WriteMsgUDPAddrPort is WriteMsgUDP with the address as a [netip.AddrPort].
func (c *PacketConn) WriteMsgUDPAddrPort(p, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	return c.send(bridge.Current(), p, oob, packetAddr{AddrPort: addr})
}

// WriteMsgUnix is WriteMsgUDP for a Unix socket. Control messages may have descriptors.
func (c *PacketConn) WriteMsgUnix(p, oob []byte, addr *net.UnixAddr) (n, oobn int, err error) {
	return c.sendTo(bridge.Current(), p, oob, addr)
}

// LocalAddr returns the address that the socket is bound to: a [*net.UDPAddr] or a
// [*net.UnixAddr], which must not be changed.
func (c *PacketConn) LocalAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.s.local
}

// RemoteAddr returns the address that the socket is connected to, or nil.
func (c *PacketConn) RemoteAddr() net.Addr {
	if !c.ok() {
		return nil
	}
	return c.s.remote
}

// SetDeadline sets the deadlines of reads and writes.
func (c *PacketConn) SetDeadline(t time.Time) error { return c.setDeadlines(t, true, true) }

// SetReadDeadline sets the deadline of reads. From t on, those in progress and those to come
// fail with an error that matches [os.ErrDeadlineExceeded], until another deadline is set. A
// zero t is no deadline.
func (c *PacketConn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, true, false) }

// SetWriteDeadline is SetReadDeadline for writes.
func (c *PacketConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, false, true) }

func (c *PacketConn) setDeadlines(t time.Time, read, write bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failedHere("set", c.s.setDeadlines(t, read, write))
}

// Close closes the socket. Calls that wait return an error that matches [net.ErrClosed], as
// do all later ones. Close returns when the kernel no longer uses their buffers and the
// descriptor is closed. It does not remove the file of a Unix socket.
func (c *PacketConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failed("close", c.s.close())
}

// SyscallConn returns access to the descriptor, which is in nonblocking mode. Its Read and
// Write call their function again when the socket is ready, until it returns true;
// meanwhile other reads, or writes, wait. In a task the function runs on the loop's thread,
// and must not block.
func (c *PacketConn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	return c.s.raw(c, false), nil
}

// File returns a file with a duplicate of the descriptor, which the caller closes. The
// deadlines of the PacketConn do not apply to the file.
func (c *PacketConn) File() (*os.File, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	f, err := c.s.file()
	return f, c.failed("file", err)
}

// SetReadBuffer sets the size of the kernel's receive buffer, in bytes (SO_RCVBUF). A
// datagram for which there is no room is lost.
func (c *PacketConn) SetReadBuffer(bytes int) error {
	return c.set(func(fd int) error { return setReadBuffer(fd, bytes) })
}

// SetWriteBuffer sets the size of the kernel's send buffer, in bytes (SO_SNDBUF).
func (c *PacketConn) SetWriteBuffer(bytes int) error {
	return c.set(func(fd int) error { return setWriteBuffer(fd, bytes) })
}

// set calls f, which sets a socket option.
func (c *PacketConn) set(f func(fd int) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failedHere("set", c.s.control(f))
}

// failed is err as package net returns it, or nil.
func (c *PacketConn) failed(op string, err error) error {
	if err != nil {
		return c.s.opError(op, err)
	}
	return nil
}

// failedHere is failed for what concerns this end only.
func (c *PacketConn) failedHere(op string, err error) error {
	if err != nil {
		return c.s.localError(op, err)
	}
	return nil
}

// farEnd returns where a datagram to that address goes.
func (c *PacketConn) farEnd(to packetAddr) net.Addr {
	if to.isZero() {
		return c.s.remote
	}
	return to.public(c.s.network)
}

// writeError is the error of a write to addr.
func (c *PacketConn) writeError(addr net.Addr, err error) error {
	return &net.OpError{Op: "write", Net: c.s.network, Source: c.s.local, Addr: addr, Err: err}
}

// receive receives one datagram.
func (c *PacketConn) receive(ctx context.Context, p, oob []byte) (received, error) {
	waitq.MustContext(ctx, "uringnet")
	if !c.ok() {
		return received{}, syscall.EINVAL
	}
	r, err := c.s.receiveMessage(ctx, p, oob)
	if err != nil {
		return received{}, c.s.opError("read", err)
	}
	return r, nil
}

// sendTo sends one datagram to addr.
func (c *PacketConn) sendTo(ctx context.Context, p, oob []byte, addr net.Addr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	addr = opAddr(addr)
	if addr == nil && c.connected() {
		return c.send(ctx, p, oob, packetAddr{})
	}
	to, err := packetAddrOf(c.s.network, addr)
	if err != nil {
		return 0, 0, c.writeError(addr, err)
	}
	return c.send(ctx, p, oob, to)
}

func (c *PacketConn) send(ctx context.Context, p, oob []byte, to packetAddr) (n, oobn int, err error) {
	waitq.MustContext(ctx, "uringnet")
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if c.connected() && !to.isZero() {
		err = net.ErrWriteToConnected
	} else {
		n, err = c.s.sendMessage(ctx, p, oob, c.family, to)
	}
	if err != nil {
		return 0, 0, c.writeError(c.farEnd(to), err)
	}
	return n, len(oob), nil
}

// A received datagram.
type received struct {
	n, oobn, flags int
	from           packetAddr
}

// udpAddr returns a as package net has it, or nil.
func udpAddr(a netip.AddrPort) *net.UDPAddr {
	if !a.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(a)
}

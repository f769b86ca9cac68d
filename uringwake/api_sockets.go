package uringwake

import "context"

// This file declares the operations on sockets. In a goroutine each of them is a system
// call that does not wait, and what has to wait waits on the ring. Operations wait
// whether or not the socket has O_NONBLOCK. While they wait, they keep the socket open,
// and may use a second descriptor for that.
//
// Where the kernel refuses the operation on a ring, poll(2) and such system calls do the
// same; only Accept and Connect then fail if the socket is in blocking mode.

// Socket makes a socket as socket(2) does, and returns its descriptor, which is always
// close-on-exec. domain, typ and protocol are unix.AF_..., unix.SOCK_... and
// unix.IPPROTO_... It corresponds to io_uring_prep_socket; Linux 5.19.
func Socket(ctx context.Context, domain, typ, protocol int) (fd int, err error) {
	return socket(ctx, domain, typ, protocol)
}

// Bind sets a socket's own address, as bind(2) does. It corresponds to
// io_uring_prep_bind; Linux 6.11.
func Bind(ctx context.Context, fd int, sa SockAddr) error { return bind(ctx, fd, sa) }

// Listen lets a socket accept connections, as listen(2) does. It corresponds to
// io_uring_prep_listen; Linux 6.11.
func Listen(ctx context.Context, fd, backlog int) error { return listen(ctx, fd, backlog) }

// Accept waits for a connection, as accept4(2) does. It returns the descriptor, which is
// always close-on-exec, and the peer's address. flags is unix.SOCK_NONBLOCK or 0. If ctx
// ends and a connection was accepted all the same, Accept returns it and no error. It
// corresponds to io_uring_prep_accept; Linux 5.5.
func Accept(ctx context.Context, fd, flags int) (nfd int, from SockAddr, err error) {
	return accept(ctx, fd, flags)
}

// Connect connects a socket, as connect(2) does, and waits until it is connected. If ctx
// ends first, the attempt may go on: close the socket. It corresponds to
// io_uring_prep_connect; Linux 5.5.
func Connect(ctx context.Context, fd int, sa SockAddr) error { return connect(ctx, fd, sa) }

// Shutdown ends one direction of a connection, or both, as shutdown(2) does; how is
// unix.SHUT_... It corresponds to io_uring_prep_shutdown; Linux 5.11.
func Shutdown(ctx context.Context, fd, how int) error { return shutdown(ctx, fd, how) }

// Recv receives into p, as recv(2) does; flags are unix.MSG_... It returns the number of
// bytes: 0 at the end of a stream. With MSG_WAITALL it waits until p is full, the stream
// ends, or something goes wrong; what was received by then is the result. MSG_WAITALL
// does nothing together with MSG_PEEK. With MSG_DONTWAIT Recv does not wait: if there is
// nothing, the error matches unix.EAGAIN. It corresponds to io_uring_prep_recv; Linux 5.6.
//
// When ctx ends, Recv returns as soon as the kernel no longer uses p. If bytes were
// received by then, Recv returns their number and no error.
func Recv(ctx context.Context, fd int, p []byte, flags int) (int, error) {
	return recv(ctx, fd, p, flags)
}

// Send sends p, as send(2) does, with MSG_NOSIGNAL; flags are unix.MSG_... It returns the
// number of bytes that were sent, which may be less than len(p) without an error. With
// MSG_WAITALL it waits until all are sent, or something goes wrong; what was sent by then
// is the result. With MSG_DONTWAIT Send does not wait: if there is no room, the error
// matches unix.EAGAIN. With MSG_ZEROCOPY the error matches unix.EINVAL, since the kernel
// would use p afterwards. Send corresponds to io_uring_prep_send; Linux 5.6.
//
// While the queue of a receiving unix datagram socket is full, a sender that is not
// connected to it tries again every millisecond: the kernel does not tell such a sender
// when there is room.
//
// When ctx ends, Send returns as soon as the kernel no longer uses p. If bytes were sent
// by then, Send returns their number and no error.
func Send(ctx context.Context, fd int, p []byte, flags int) (int, error) {
	return send(ctx, fd, p, flags)
}

// Recvmsg is [Recv] into the buffers of m, as recvmsg(2) does, with MSG_CMSG_CLOEXEC. It
// sets m.ControlN, m.Addr and m.Flags. m must not be used until Recvmsg returns, and
// Recvmsg panics if it is nil. It corresponds to io_uring_prep_recvmsg; Linux 5.3.
func Recvmsg(ctx context.Context, fd int, m *Message, flags int) (int, error) {
	mustMessage(m, "Recvmsg")
	return recvmsg(ctx, fd, m, flags)
}

// Sendmsg is [Send] of the buffers of m, with its control data and to its address, as
// sendmsg(2) does. m must not be changed until Sendmsg returns, and Sendmsg panics if it
// is nil. It corresponds to io_uring_prep_sendmsg; Linux 5.3.
func Sendmsg(ctx context.Context, fd int, m *Message, flags int) (int, error) {
	mustMessage(m, "Sendmsg")
	return sendmsg(ctx, fd, m, flags)
}

// A Message is what [Recvmsg] and [Sendmsg] transfer.
type Message struct {
	Buffers  [][]byte // the data, one buffer after the other, at most 1024
	Control  []byte   // control data to be sent, or space for what is received
	ControlN int      // how many bytes of Control were received
	Addr     SockAddr // where the message comes from or goes to, if that is not the peer
	Flags    int      // unix.MSG_TRUNC and the like, of a message that was received
}

func mustMessage(m *Message, call string) {
	if m == nil {
		panic("uringwake: " + call + " with a nil Message")
	}
}

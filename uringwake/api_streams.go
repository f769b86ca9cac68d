package uringwake

import (
	"context"
	"iter"
	"time"
)

// AcceptAll accepts connections on fd and yields their descriptors, which are close-on-exec
// and in nonblocking mode. A descriptor belongs to the body of the loop, which closes it.
// Connections that the body has not taken when it breaks are closed. Any error of accept(2),
// such as unix.EMFILE, ends the loop. See "Operations that repeat" in the package's
// documentation. AcceptAll corresponds to io_uring_prep_multishot_accept; Linux 5.19.
func AcceptAll(ctx context.Context, fd int) iter.Seq2[int, error] { return acceptAll(ctx, fd) }

// RecvAll receives from the socket fd, and ends without an error when the peer has shut down
// the connection. A slice is valid until the body returns. On a datagram socket each slice
// is a datagram, cut to 4096 bytes. If the body breaks, bytes that were received and not yet
// yielded are lost. On a unix socket each receive is an operation of its own, since a multishot
// receive may miss the end (Linux 6.18). RecvAll corresponds to io_uring_prep_recv_multishot;
// Linux 6.0.
func RecvAll(ctx context.Context, fd int) iter.Seq2[[]byte, error] { return recvAll(ctx, fd) }

// PollAll waits for events of fd, as [PollFD] does, and yields those that have come since
// the body last returned. It yields an event once when it comes, not for as long as fd stays
// ready, so the body must read or write until that would block. PollAll corresponds to
// io_uring_prep_poll_multishot; Linux 5.13.
func PollAll(ctx context.Context, fd int, events uint32) iter.Seq2[uint32, error] {
	return pollAll(ctx, fd, events)
}

// Ticks yields each time that d has passed, with the number of times since it last yielded:
// more than 1 if the body takes longer than d. The times may drift. Ticks panics if d is not
// positive. It corresponds to io_uring_prep_timeout with IORING_TIMEOUT_MULTISHOT; Linux
// 6.4.
func Ticks(ctx context.Context, d time.Duration) iter.Seq2[int, error] {
	if d <= 0 {
		panic("uringwake: Ticks of a duration that is not positive")
	}
	return ticks(ctx, d)
}

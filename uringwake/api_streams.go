package uringwake

import (
	"context"
	"iter"
	"time"
)

// AcceptAll accepts connections on fd and yields their descriptors, which are
// close-on-exec, in nonblocking mode, and belong to the body. Connections that it has not
// taken when it breaks are closed. Any error of accept(2) ends the loop, such as
// unix.EMFILE. See "Operations that repeat" above. AcceptAll
// corresponds to io_uring_prep_multishot_accept; Linux 5.19.
func AcceptAll(ctx context.Context, fd int) iter.Seq2[int, error] { return acceptAll(ctx, fd) }

// RecvAll receives from the socket fd, and ends without an error when the peer has shut
// down the connection. The slice is valid until the body returns. On a datagram socket each
// slice is a datagram, of which what exceeds 4096 bytes is lost. What was received is lost
// if the body breaks before it has taken that. It corresponds to
// io_uring_prep_recv_multishot; Linux 6.0.
func RecvAll(ctx context.Context, fd int) iter.Seq2[[]byte, error] { return recvAll(ctx, fd) }

// PollAll waits for events of fd, as [PollFD] does, and yields those that have come since
// the body last returned. It yields them when they come and not as long as they last, so
// the body must read or write until that would block. It corresponds to
// io_uring_prep_poll_multishot; Linux 5.13.
func PollAll(ctx context.Context, fd int, events uint32) iter.Seq2[uint32, error] {
	return pollAll(ctx, fd, events)
}

// Ticks yields after each d how often d has passed since the body last returned: more than
// once if the body takes longer than that. Ticks may drift. It panics if d is not positive.
// It corresponds to io_uring_prep_timeout with IORING_TIMEOUT_MULTISHOT; Linux 6.4.
func Ticks(ctx context.Context, d time.Duration) iter.Seq2[int, error] {
	if d <= 0 {
		panic("uringwake: Ticks of a duration that is not positive")
	}
	return ticks(ctx, d)
}

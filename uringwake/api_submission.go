package uringwake

import (
	"context"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// An Op describes an operation that [Start] starts. Functions such as [ReadOp] make an Op.
// An Op may be started any number of times, but only one operation at a time may use its
// buffer.
type Op struct {
	kind opKind
	fd   int
	p    []byte
	n    int64 // an offset, flags, events or nanoseconds

	file   *FixedFile   // in place of fd, or nil
	buffer *FixedBuffer // in which p lies, or nil
}

type opKind uint8

const (
	noKind opKind = iota
	kindNop
	kindRead
	kindWrite
	kindRecv
	kindSend
	kindSendZC
	kindAccept
	kindPoll
	kindTimeout
)

// calls are the names of the operations, as in their errors.
var calls = [...]string{
	kindNop: "nop", kindRead: "read", kindWrite: "write", kindRecv: "recv", kindSend: "send",
	kindSendZC: "send_zc", kindAccept: "accept", kindPoll: "poll", kindTimeout: "timeout",
}

// NopOp does nothing. It corresponds to io_uring_prep_nop; Linux 5.1.
func NopOp() Op { return Op{kind: kindNop} }

// ReadOp reads into p at the offset off, or at the file's position if off is -1. The kernel
// does not move the position of a file with O_DIRECT (Linux 6.18). N of the [Result] is 0 at
// the end of the file. It corresponds to io_uring_prep_read; Linux 5.6.
func ReadOp(fd int, p []byte, off int64) Op { return Op{kind: kindRead, fd: fd, p: p, n: off} }

// WriteOp writes p at the offset off, or at the file's position if off is -1, as [ReadOp]
// does. It may write less than p. It corresponds to io_uring_prep_write; Linux 5.6.
func WriteOp(fd int, p []byte, off int64) Op { return Op{kind: kindWrite, fd: fd, p: p, n: off} }

// RecvOp receives into p; flags are unix.MSG_... N is 0 when the peer has shut down the
// connection. It corresponds to io_uring_prep_recv; Linux 5.6.
func RecvOp(fd int, p []byte, flags int) Op { return Op{kind: kindRecv, fd: fd, p: p, n: int64(flags)} }

// SendOp sends p; flags are unix.MSG_..., to which MSG_NOSIGNAL is added. Without
// MSG_WAITALL it may send less than p. It corresponds to io_uring_prep_send; Linux 5.6. For
// a unix datagram socket it is a [WriteOp], unless flags have MSG_DONTWAIT: a send that has to
// wait for the receiver would send an empty datagram (Linux 6.18).
func SendOp(fd int, p []byte, flags int) Op { return Op{kind: kindSend, fd: fd, p: p, n: int64(flags)} }

// SendZCOp is [SendOp] without a copy: the kernel sends from p itself, if the socket can do
// that; Result.Copied says whether it did. The Submission is done when the network no longer
// needs p. With TCP that is when the peer has acknowledged the data, which may take 40 ms if
// the peer delays the acknowledgment, and for ever if the peer is gone and the connection is
// not closed. SendZCOp is worthwhile for buffers of some 10 KiB and more; over the loopback
// device the kernel always copies. It corresponds to io_uring_prep_send_zc with
// IORING_SEND_ZC_REPORT_USAGE; Linux 6.2, and updates of 6.1.
func SendZCOp(fd int, p []byte, flags int) Op {
	return Op{kind: kindSendZC, fd: fd, p: p, n: int64(flags)}
}

// AcceptOp accepts a connection; N is its descriptor, which is close-on-exec and in
// nonblocking mode. If the Submission is dropped, the descriptor is closed. It corresponds
// to io_uring_prep_accept; Linux 5.5.
func AcceptOp(fd int) Op { return Op{kind: kindAccept, fd: fd} }

// PollOp waits until fd is ready for one of events, as [PollFD] does; N has the events that
// fd is ready for. It corresponds to io_uring_prep_poll_add; Linux 5.1.
func PollOp(fd int, events uint32) Op { return Op{kind: kindPoll, fd: fd, n: int64(events)} }

// TimeoutOp waits until the duration d has passed since the call of Start, as [Sleep] does.
// It corresponds to io_uring_prep_timeout; Linux 5.4.
func TimeoutOp(d time.Duration) Op { return Op{kind: kindTimeout, n: int64(d)} }

// A Result is the result of an operation.
type Result struct {
	// N is the number of bytes, the descriptor or the events, as the Op says. It is 0
	// if the operation failed.
	N int
	// Buf is the buffer of the Op, which is the caller's again.
	Buf []byte
	// Err is why the operation failed, or nil. It matches unix.ECANCELED if the
	// operation was canceled, and [ErrClosed] if that was because its loop closes.
	Err error
	// Copied reports whether the kernel has copied the data of a [SendZCOp].
	Copied bool
}

// A Submission is an operation that the caller does not wait for at once. The buffer of the
// Op belongs to the kernel, and nobody else may use it, until Wait or Result has returned
// the result. That also holds after Cancel.
//
// A Submission that becomes unreachable before Wait or Result has returned its result is
// canceled by the garbage collector. Its buffer is freed when the kernel no longer uses it,
// and an accepted connection is closed. Unless the program has called Cancel, this is a
// mistake, which is reported once for each such Submission: on a loop to the Logger of its
// [LoopOptions], in a goroutine to slog.Default().
//
// All methods may be called from any goroutine or task. In the terminology of the Go
// memory model, the completion of the operation synchronizes before the return of each
// Wait and Result that has the result.
type Submission struct{ submissionState }

// Start starts op and does not wait for it. If ctx carries a task, op is started on the
// task's loop, otherwise on the ring that all goroutines share. ctx has no other use: its
// end does not cancel the operation. In a task the operation goes to the kernel when the
// tasks that are ready have run. A loop that closes cancels its operations. If an operation
// cannot be started, its result has the error.
//
// In a goroutine, data is copied on a thread that all such operations share. So the buffer
// must not be memory whose pages this process fills itself, by userfaultfd(2) or by serving
// the file system of a mapped file.
//
// Start panics if op is the zero Op or ctx is nil.
func Start(ctx context.Context, op Op) *Submission { return start(ctx, op) }

// Wait waits for the result and returns it, with its Err. If ctx ends first, Wait returns
// a zero Result and the error of ctx; the operation continues, and Result reports that
// it is not done.
func (s *Submission) Wait(ctx context.Context) (Result, error) { return s.wait(ctx) }

// Result returns the result and true if the operation is done. It does not wait.
func (s *Submission) Result() (r Result, done bool) { return s.look() }

// Register has w called when the operation is done. If it is already done, w is called
// before Register returns. A nil w is not called. Neither w nor the registration keeps the
// Submission reachable.
func (s *Submission) Register(w wake.Waker) wake.Registration { return s.register(w) }

// Cancel asks the kernel to cancel the operation, if it is not done, and returns at once.
// The operation may succeed all the same. The buffer belongs to the kernel until Wait or
// Result has returned the result.
func (s *Submission) Cancel() { s.cancel() }

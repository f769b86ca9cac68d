package uringnet

import (
	"context"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// A stream receives into buffers of a loop for a connection that is read message by
// message in tasks of that loop. One multishot receive serves all those reads. The
// stream keeps what has come until it is read.
//
//	         reads in a row
//	direct ----------------> armed ----------------> ended ---------> direct
//	                           last completion: cancel,     all is read
//	                           no buffer, EOF, error
//
// A reader asks the kernel itself only when direct: the receive has had its last
// completion, and nothing is pending. So no byte is lost or overtakes another. Meanwhile
// all readers, also those in goroutines and on other loops, wait for the stream.
//
// Above mostUnread the receive is canceled, so that the sender waits. Such a connection
// is not read message by message, and is direct until it is again.
//
// The lock of the read side guards the first fields, and its mutex the others.
type stream struct {
	sock   *sock
	used   bool            // a receive was started
	home   *uringwake.Loop // of the last direct reads
	streak int             // how many of them took one message each, since the last start

	off     bool // no receive is started any more: others use the descriptor, or it is refused
	proved  bool // the kernel does not refuse it
	armed   bool // the receive has not had its last completion
	full    bool // it is to be canceled, since too much is unread
	receive bridge.Handle
	pending []byte // pending[next:] is unread
	next    int
	end     error // of the receive, after what is pending: io.EOF or that of a system call
	leavers []wake.Waker
}

const (
	mostUnread = 64 << 10
	longStreak = 3
	keptUnread = 16 << 10 // the largest empty buffer that is kept
)

// noPollFirst is set where the kernel does not know ring.RecvSendPollFirst; Linux 5.19.
var noPollFirst atomic.Bool

// note takes note of a direct read on l, and whether it took one message: all that there
// was, less than there was room for, and no more than a buffer of the loop holds.
func (f *stream) note(l *uringwake.Loop, message bool) {
	if f.home != l || !message {
		f.home, f.streak = l, 0
	}
	if message {
		f.streak++
	}
}

// ahead reports whether bytes may be received before they are asked for. With the bytes of
// a unix socket descriptors may come, which are lost unless ReadMsgUnix receives them.
func (s *sock) ahead() bool { return s.kind == unix.SOCK_STREAM && s.network != "unix" }

// start starts a receive on the loop l of the task that calls it, if that is worthwhile.
func (f *stream) start(ctx context.Context, l *uringwake.Loop) {
	if f.home != l || f.streak < longStreak || !f.sock.ahead() {
		return
	}
	f.streak = 0
	o, err := newReceive(ctx, f.sock.fd)
	if err != nil { // there are no buffers, now or at all, Linux 5.19; or no cancels
		f.stop()
		return
	}
	if !f.claim() {
		o.Release()
		return
	}
	f.used = true
	f.started(o.Start(f))
}

// claim reports whether the caller may start a receive.
func (f *stream) claim() bool {
	mu := &f.sock.rd.mu
	mu.Lock()
	defer mu.Unlock()
	if f.armed || f.off {
		return false
	}
	f.armed, f.full = true, false
	return true
}

// started stores the name of the receive, and cancels it if stop did not know that.
func (f *stream) started(h bridge.Handle) {
	mu := &f.sock.rd.mu
	mu.Lock()
	f.receive = h
	off := f.off
	mu.Unlock()
	if off {
		h.Cancel()
	}
}

// newReceive returns the operation. One that could not be canceled would keep the socket
// open.
func newReceive(ctx context.Context, fd int) (bridge.Op, error) {
	if err := bridge.HaveCancel(ctx); err != nil {
		return nil, err
	}
	if err := bridge.HaveBuffers(ctx); err != nil {
		return nil, err
	}
	o, err := bridge.NewOp(ctx)
	if err != nil {
		return nil, err
	}
	bridge.PrepareReceive(o, fd, 0)
	return o, nil
}

// read reads what has come, and waits if that is nothing. It reports false if the caller
// has to ask the kernel. The caller has the lock of the read side.
func (f *stream) read(ctx context.Context, p []byte) (n int, ok bool, err error) {
	if !f.used {
		return 0, false, nil
	}
	n, armed, err := f.take(p)
	if n == 0 && err == nil && armed {
		return f.await(ctx, p)
	}
	return n, n > 0 || err != nil, noEOF(err)
}

func (f *stream) await(ctx context.Context, p []byte) (n int, ok bool, err error) {
	side := &f.sock.rd
	parker := side.parkerFor(ctx)
	side.setWaiter(parker)
	defer side.setWaiter(nil)
	for {
		why := side.ended() // before take: a result wins
		n, armed, err := f.take(p)
		switch {
		case n > 0 || err != nil:
			return n, true, noEOF(err)
		case !armed:
			return 0, false, nil
		case why != nil:
			return 0, true, why
		}
		if failed := parker.Park(ctx); failed != nil {
			if n, _, err := f.take(p); n > 0 || err != nil {
				return n, true, noEOF(err)
			}
			return 0, true, waitq.ParkError(ctx, failed)
		}
	}
}

// noEOF is err, or nil for io.EOF, which the caller finds in n.
func noEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// take moves pending bytes to p. If there are none, it returns how the receive has ended,
// once: then the kernel is asked again.
func (f *stream) take(p []byte) (n int, armed bool, err error) {
	mu := &f.sock.rd.mu
	mu.Lock()
	defer mu.Unlock()
	n = copy(p, f.pending[f.next:])
	f.next += n
	switch {
	case f.next < len(f.pending):
	case cap(f.pending) > keptUnread:
		f.pending, f.next = nil, 0
	default:
		f.pending, f.next = f.pending[:0], 0
	}
	if n == 0 && f.end != nil {
		err, f.end = f.end, nil
	}
	return n, f.armed, err
}

// unread returns how many bytes are pending. It is called with the mutex held.
func (f *stream) unread() int { return len(f.pending) - f.next }

// Completed takes a completion of the receive. It implements bridge.Sink.
func (f *stream) Completed(res int32, flags uint32, data []byte) wake.Waker {
	side := &f.sock.rd
	side.mu.Lock()
	defer side.mu.Unlock()
	f.keep(data)
	f.proved = f.proved || res >= 0
	switch {
	case flags&ring.CQEMore == 0:
		f.finish(res)
		if f.leavers != nil {
			return f
		}
	case f.unread() > mostUnread && !f.full:
		f.full = true
		return f
	}
	return side.waiter
}

// keep appends to what is pending.
func (f *stream) keep(data []byte) {
	if f.next > 0 && len(f.pending)+len(data) > cap(f.pending) {
		f.pending = f.pending[:copy(f.pending, f.pending[f.next:])]
		f.next = 0
	}
	f.pending = append(f.pending, data...)
}

// finish takes the last completion. Where the kernel had no buffer, and where the receive
// was canceled, the next reads are direct.
func (f *stream) finish(res int32) {
	f.armed = false
	switch e := unix.Errno(-res); {
	case res > 0:
	case res == 0:
		f.end = io.EOF
	case refusal(e) && !f.proved: // the kernel does not know it, Linux 6.0, or may not do it
		f.off = true
	case e != unix.ENOBUFS && e != unix.ECANCELED && e != unix.EINTR && e != unix.EAGAIN:
		f.end = os.NewSyscallError("read", e)
	}
}

// refusal reports whether an operation that the kernel refuses may complete with e.
func refusal(e unix.Errno) bool {
	return e == unix.EINVAL || e == unix.EOPNOTSUPP || e == unix.EACCES || e == unix.EPERM
}

// Wake does what Completed must not: it cancels a receive that has brought too much, and
// wakes all who wait. It implements wake.Waker.
func (f *stream) Wake() {
	side := &f.sock.rd
	side.mu.Lock()
	var wakers []wake.Waker
	if side.waiter != nil {
		wakers = append(wakers, side.waiter)
	}
	h, cancel := f.receive, f.armed && f.full
	if !f.armed {
		wakers, f.leavers = append(wakers, f.leavers...), nil
	}
	side.mu.Unlock()
	if cancel {
		h.Cancel()
	}
	wakeAll(wakers)
}

// wakeAll calls all wakers, even if one panics or ends the goroutine: a reader's may be of a
// foreign type.
func wakeAll(wakers []wake.Waker) {
	if len(wakers) > 0 {
		defer wakeAll(wakers[1:])
		wakers[0].Wake()
	}
}

// disarm ends the receive for good, and waits for its last completion. It returns how
// many bytes are pending.
func (f *stream) disarm(ctx context.Context) int {
	if h, armed := f.stop(); armed {
		f.awaitEnd(context.WithoutCancel(ctx), h)
	}
	mu := &f.sock.rd.mu
	mu.Lock()
	defer mu.Unlock()
	return f.unread()
}

// stop has no receive be started any more, and returns the newest and whether it is armed.
func (f *stream) stop() (h bridge.Handle, armed bool) {
	mu := &f.sock.rd.mu
	mu.Lock()
	defer mu.Unlock()
	f.off = true
	return f.receive, f.armed
}

func (f *stream) awaitEnd(ctx context.Context, h bridge.Handle) {
	p := wake.ParkerFrom(ctx)
	armed := f.leave(p)
	h.Cancel()
	for armed {
		p.Park(ctx) // an error is that of the parker: there is nothing to do but to look again
		armed = f.leave(nil)
	}
}

// leave reports whether the receive is armed. Then its end wakes w, if that is not nil.
func (f *stream) leave(w wake.Waker) bool {
	mu := &f.sock.rd.mu
	mu.Lock()
	defer mu.Unlock()
	if f.armed && w != nil {
		f.leavers = append(f.leavers, w)
	}
	return f.armed
}

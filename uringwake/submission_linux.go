package uringwake

import (
	"context"
	"log/slog"
	"math"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// submissionState is a Submission. The driver keeps the flight reachable, and the flight
// does not refer to the Submission, so that the garbage collector finds one that was
// dropped.
type submissionState struct {
	*flight
	cleanup runtime.Cleanup
}

// flight is the operation of a Submission, and the sink of its completions.
type flight struct {
	op     Op
	driver driver
	opcode uint8
	handle bridge.Handle // set before the Submission is returned

	mu       sync.Mutex
	line     waitq.Queue[struct{}]
	done     bool
	taken    bool // the result belongs to the caller
	canceled bool // by Cancel
	dropped  bool
	failed   error // why it was not started
	res      int32
	copied   bool
}

func start(ctx context.Context, op Op) *Submission {
	if op.kind == noKind {
		panic("uringwake: Start of the zero Op")
	}
	waitq.MustContext(ctx, "uringwake")
	f := &flight{op: op}
	s := &Submission{submissionState{flight: f}}
	if f.failed = f.launch(ctx); f.failed != nil {
		f.done = true
		return s
	}
	s.cleanup = runtime.AddCleanup(s, (*flight).drop, f)
	return s
}

// launch starts the operation. What may have to wait must be cancelable: by Cancel, and by
// the end of its loop.
func (f *flight) launch(ctx context.Context) error {
	call := calls[f.op.kind]
	if err := f.op.check(call); err != nil {
		return err
	}
	o, err := newOp(ctx)
	if err != nil {
		return err
	}
	f.op.prepare(o)
	if why := o.driver.cannotCancel(); why != nil && !o.brief() {
		o.Release()
		return &unsupported{call, "it may have to wait, and could not be canceled", why}
	}
	if err := f.op.useFixed(call, o); err != nil {
		o.Release()
		return err
	}
	f.driver, f.opcode, o.retries = o.driver, o.sqe.Opcode, true
	f.handle = o.Start(f)
	return nil
}

func (op *Op) check(call string) error {
	switch op.kind {
	case kindNop, kindTimeout:
		if op.file != nil {
			return &ring.Error{Call: call, Errno: unix.EINVAL}
		}
		return nil
	case kindRead, kindWrite:
		if op.n < -1 {
			return &ring.Error{Call: call, Errno: unix.EINVAL}
		}
	}
	if op.file != nil {
		return nil
	}
	return checkFD(call, op.fd)
}

func (op *Op) prepare(o *op) {
	o.keep = unsafe.Pointer(unsafe.SliceData(op.p))
	s := &o.sqe
	switch op.kind {
	case kindNop:
		s.PrepNop()
	case kindRead:
		s.PrepRead(op.fd, op.p, uint64(op.n))
	case kindWrite:
		s.PrepWrite(op.fd, op.p, uint64(op.n))
	case kindRecv:
		s.PrepRecv(op.fd, op.p, uint32(op.n))
	case kindSend:
		op.prepareSend(s)
	case kindSendZC:
		s.PrepSendZC(op.fd, op.p, uint32(op.n)|unix.MSG_NOSIGNAL, ring.SendZCReportUsage)
	case kindAccept:
		s.PrepAccept(op.fd, nil, nil, acceptFlags)
	case kindPoll:
		s.PrepPollAdd(op.fd, uint32(op.n))
	case kindTimeout:
		o.setTimeout(time.Duration(op.n))
	}
}

// prepareSend has a unix datagram socket write: a send that has to wait would send an empty
// message, see mustNotWait. Such a socket knows none of the other flags, and no SIGPIPE.
func (op *Op) prepareSend(s *ring.SQE) {
	flags := uint32(op.n) | unix.MSG_NOSIGNAL
	if flags&(unix.MSG_DONTWAIT|unix.MSG_OOB|unix.MSG_ZEROCOPY) == 0 && op.isUnixDatagram() {
		s.PrepWrite(op.fd, op.p, 0)
	} else {
		s.PrepSend(op.fd, op.p, flags)
	}
}

// isUnixDatagram reports whether op is for a unix datagram socket. The descriptor of an
// operation on a registered file may be another file's.
func (op *Op) isUnixDatagram() bool {
	if op.file != nil {
		return op.file.unixDatagram
	}
	return isUnixDatagram(op.fd)
}

func isUnixDatagram(fd int) bool {
	if !isType(fd, unix.SOCK_DGRAM) {
		return false
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_UNIX
}

const acceptFlags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK

// setTimeout prepares a timeout that ends when d has passed, from now on.
func (o *op) setTimeout(d time.Duration) {
	o.until = monotonic() + max(d, 0)
	if o.until < 0 {
		o.until = math.MaxInt64
	}
	o.sqe.PrepTimeout(&o.time, 0, 0)
}

// Completed implements bridge.Sink. A zero-copy send has two completions: the first one
// has the result, and with the second one the buffer is free.
func (f *flight) Completed(res int32, flags uint32, _ []byte) wake.Waker {
	f.mu.Lock()
	defer f.mu.Unlock()
	if flags&ring.CQENotif != 0 {
		f.copied = uint32(res)&ring.NotifUsageZCCopied != 0
	} else {
		f.res = res
	}
	if flags&ring.CQEMore != 0 {
		return nil
	}
	f.done = true
	if f.line.Len() == 0 && !f.dropped && f.op.file == nil && f.op.buffer == nil {
		return nil
	}
	line := f.line.Detach()
	return &landing{f, f.dropped, &line}
}

// landing is what is left to be done, with nothing locked, when a flight is done.
type landing struct {
	f       *flight
	dropped bool
	line    *waitq.List[struct{}]
}

// Wake wakes those who wait. Their wakers may panic or end the goroutine, so on a loop
// they are called as a posted function is.
func (w *landing) Wake() {
	w.f.op.release()
	if w.dropped {
		w.f.discard()
	}
	if l, ok := w.f.driver.(*Loop); ok && w.line.Front() != nil {
		l.ready.push(callTo(w.line.Release)) // which does not keep the buffer reachable
	} else {
		w.line.Release()
	}
}

// discard closes what nobody will take. It does so in a goroutine, since close(2) may wait.
func (f *flight) discard() {
	if f.op.kind == kindAccept && f.res >= 0 {
		go unix.Close(int(f.res))
	}
}

// join puts w in line, or reports false if the operation is done.
func (f *flight) join(w *waitq.Waiter[struct{}]) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.done {
		f.line.Push(w)
	}
	return !f.done
}

// leave takes w out of the line, and reports whether it was there.
func (f *flight) leave(w *waitq.Waiter[struct{}]) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.line.Has(w) && f.line.Remove(w)
}

func (s *Submission) wait(ctx context.Context) (Result, error) {
	waitq.MustContext(ctx, "uringwake")
	if r, done := s.look(); done {
		return r, r.Err
	}
	p := wake.ParkerFrom(ctx)
	w := &waitq.Waiter[struct{}]{Waker: p}
	if s.join(w) {
		defer s.leave(w)
		if err := w.Await(ctx, p); err != nil {
			runtime.KeepAlive(s)
			return Result{}, waitq.ParkError(ctx, err)
		}
	}
	r, _ := s.look()
	return r, r.Err
}

func (s *Submission) look() (Result, bool) {
	done := s.take()
	if done {
		s.cleanup.Stop()
	}
	runtime.KeepAlive(s)
	if !done {
		return Result{}, false
	}
	return s.result(), true
}

// take reports whether there is a result, which then belongs to the caller.
func (f *flight) take() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken = f.done
	return f.done
}

// result makes the result of an operation that is done. Nothing of f changes any more.
func (f *flight) result() Result {
	r := Result{Buf: f.op.p}
	if r.Err = f.err(); r.Err == nil {
		r.N, r.Copied = max(int(f.res), 0), f.copied
	}
	return r
}

func (f *flight) err() error {
	call := calls[f.op.kind]
	switch {
	case f.failed != nil:
		return f.failed
	case f.res >= 0, f.op.kind == kindTimeout && f.res == -int32(unix.ETIME):
		return nil
	case !isCanceled(f.res):
		return resultError(call, f.opcode, f.res)
	}
	if l, ok := f.driver.(*Loop); ok && l.isClosing() && !f.canceled {
		return ErrClosed
	}
	return &ring.Error{Call: call, Errno: unix.ECANCELED}
}

func (s *Submission) register(w wake.Waker) wake.Registration {
	r := &submissionWait{f: s.flight}
	r.w.Waker = w
	if !s.join(&r.w) {
		r.w.Wake()
	}
	return r
}

type submissionWait struct {
	f *flight
	w waitq.Waiter[struct{}]
}

// Stop leaves the line, and reports whether it prevented the wake.
func (r *submissionWait) Stop() bool {
	if !r.f.leave(&r.w) {
		return false
	}
	r.w.Waker = nil // r may be kept for long
	return true
}

func (s *Submission) cancel() {
	if f := s.flight; f.noteCancel() {
		f.handle.Cancel()
	}
	runtime.KeepAlive(s)
}

// noteCancel reports whether there is something to cancel. Otherwise others may read the
// result.
func (f *flight) noteCancel() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return false
	}
	f.canceled = true
	return true
}

// drop is called when the Submission is no longer reachable.
func (f *flight) drop() {
	f.mu.Lock()
	f.dropped = true
	done, taken, canceled := f.done, f.taken, f.canceled
	f.mu.Unlock()
	switch {
	case taken:
		return
	case done:
		f.discard()
	default:
		f.handle.Cancel()
	}
	if !canceled {
		go f.report(done) // a logger may wait, and other cleanups must not
	}
}

func (f *flight) report(done bool) {
	log := slog.Default()
	if l, ok := f.driver.(*Loop); ok && l.logger != nil {
		log = l.logger
	}
	log.Warn("uringwake: a Submission was dropped, and nobody has its result",
		"operation", calls[f.op.kind], "fd", f.op.fd, "done", done)
}

package uringwake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// wakeAll wakes all of them, even if one panics or ends the goroutine: they may be
// anybody's.
func wakeAll(wakers []wake.Waker) {
	next := 0
	defer func() {
		if next < len(wakers) {
			wakeAll(wakers[next:])
		}
	}()
	for next < len(wakers) {
		next++
		wakers[next-1].Wake()
	}
}

// An EventFD is a [wake.Waker] for whoever polls file descriptors: an event
// loop of somebody else's, or a ring that reads it. It needs no io_uring.
type EventFD struct {
	*handle
	file    *os.File // where there is no io_uring to wait with
	turn    chan struct{}
	closing context.Context
	cancel  context.CancelCauseFunc
}

// NewEventFD makes an eventfd that stands at 0. Its descriptor is close-on-exec,
// and blocks, as a ring wants that reads it; where io_uring is not to be had, or
// may not wait for files, it does not. An error, such as that of a lack of
// descriptors, may be another one next time.
func NewEventFD() (*EventFD, error) {
	err := canWaitForFiles()
	if doubt := inconclusive(err); doubt != nil {
		return nil, doubt
	}
	return newEventFD(err != nil)
}

func newEventFD(ringless bool) (*EventFD, error) {
	flags := unix.EFD_CLOEXEC
	if ringless {
		flags |= unix.EFD_NONBLOCK // for the netpoller
	}
	fd, err := unix.Eventfd(0, flags)
	if err != nil {
		return nil, &ring.Error{Call: "eventfd", Errno: errnoOf(err)}
	}
	e := &EventFD{handle: &handle{fd: fd, shut: closer(fd)}}
	e.closing, e.cancel = context.WithCancelCause(context.Background())
	if ringless {
		e.file, e.turn = os.NewFile(uintptr(fd), "eventfd"), make(chan struct{}, 1)
		e.shut = e.file.Close
	}
	runtime.AddCleanup(e, func(h *handle) { h.close() }, e.handle)
	return e, nil
}

// hasRoom reports whether a write to an eventfd that blocks would not. The kernel
// offers no write that does not wait there (no RWF_NOWAIT, to 6.18 at least), so
// it is asked before. Whoever fills the counter up between the two calls holds up
// this caller, and nobody else, until it is read.
func hasRoom(fd int) bool {
	p := unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	for {
		var now unix.Timespec
		n, _, e := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
		if e != unix.EINTR {
			return e != 0 || n != 0
		}
	}
}

var oneWake = binary.NativeEndian.AppendUint64(nil, 1)

// FD is the file descriptor, for others to poll or read. It is closed by Close.
func (e *EventFD) FD() int { return e.fd }

// Wake adds 1, unless the counter is full, as somebody else may have made it: then
// whoever waits has been woken. After Close it does nothing.
func (e *EventFD) Wake() {
	if !e.begin() {
		return
	}
	defer e.end()
	switch {
	case e.file != nil:
		writeEventFD(e.fd, 1)
	case hasRoom(e.fd):
		unix.Write(e.fd, oneWake) // tells the scheduler, in case that somebody fills it up just now
	}
}

// Wait waits until somebody has called Wake, and takes all wakes that came: it
// returns how many, or an error that matches os.ErrClosed after Close. A wake
// happens before the return of the Wait that takes it.
func (e *EventFD) Wait(ctx context.Context) (uint64, error) {
	waitq.MustContext(ctx, "uringwake")
	if ctx.Err() != nil {
		return 0, waitq.ContextError(ctx)
	}
	if !e.begin() {
		return 0, os.ErrClosed
	}
	defer e.end()
	var buf [8]byte
	if err := e.take(ctx, buf[:]); err != nil {
		return 0, err
	}
	return binary.NativeEndian.Uint64(buf[:]), nil
}

func (e *EventFD) take(ctx context.Context, p []byte) error {
	if e.file == nil {
		return e.read(ctx, p)
	}
	return tryBlocking(ctx, func() error { return e.readFile(ctx, p) })
}

func (e *EventFD) read(ctx context.Context, p []byte) error {
	both, cancel := context.WithCancelCause(tamed(ctx))
	defer cancel(nil)
	defer context.AfterFunc(e.closing, func() { cancel(os.ErrClosed) })()
	_, err := Read(both, e.fd, p, -1)
	if err != nil && ctx.Err() == nil && e.closing.Err() != nil {
		return os.ErrClosed
	}
	return err
}

// readFile is read by way of the netpoller: one at a time, since a file has
// one deadline.
func (e *EventFD) readFile(ctx context.Context, p []byte) error {
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return waitq.ContextError(ctx)
	case <-e.closing.Done():
		return os.ErrClosed
	}
	expire := func() { e.file.SetReadDeadline(time.Unix(1, 0)) }
	defer context.AfterFunc(tamed(ctx), expire)()
	defer context.AfterFunc(e.closing, expire)()
	for {
		// An expiry before this is seen by the looks, one after it by Read;
		// and one that comes late, for the last in turn, only goes around.
		e.file.SetReadDeadline(time.Time{})
		if ctx.Err() != nil || over(ctx.Done()) {
			return waitq.ContextError(ctx)
		}
		if e.closing.Err() != nil {
			return os.ErrClosed
		}
		if _, err := e.file.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

// Close closes the descriptor, once nobody uses it: a Wait in progress returns
// an error that matches os.ErrClosed. A second Close returns nil. An EventFD
// that nobody refers to any more is closed too.
func (e *EventFD) Close() error {
	err := e.handle.close()
	e.cancel(os.ErrClosed)
	return err
}

// A MsgRing is a [wake.Waker] for somebody's ring, whoever runs it: each wake is
// a completion in it.
type MsgRing struct {
	*handle
	message ring.SQE
	direct  bool
	last    atomic.Pointer[error]
}

// NewMsgRing makes a waker whose wakes appear in the ring ringFD as completions
// with that user data and result; Linux 5.18. Nothing else marks them as
// messages: the ring's owner keeps such user data apart. A loop of this process
// keeps what is below 1<<63, so that nobody ends its operations; more is refused.
//
// It holds the ring by a descriptor of its own, so that it never writes to a
// file that has got the number ringFD later. The ring stays until the MsgRing
// is closed, or nobody refers to it any more: its memory, the files of what it had
// in flight when its process died, and, since nobody takes them, the wakes sent to
// it since, of 256 bytes each in the kernel. Close the wakers into a ring whose
// process has ended.
func NewMsgRing(ringFD int, userData uint64, res int32) (*MsgRing, error) {
	direct := HaveSendMsgRing()
	if err := inconclusive(direct); err != nil {
		return nil, err
	}
	if direct != nil {
		if err := HaveMsgRing(); err != nil {
			return nil, err
		}
	}
	if err := checkFD("msg_ring", ringFD); err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(uintptr(ringFD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &ring.Error{Call: "msg_ring", Errno: errnoOf(err)}
	}
	m := &MsgRing{handle: &handle{fd: fd, shut: closer(fd)}, direct: direct == nil}
	m.message.PrepMsgRing(fd, uint32(res), userData, 0)
	if !isRing(fd) {
		m.Close()
		return nil, &ring.Error{Call: "msg_ring", Errno: unix.EBADFD}
	}
	if userData&uint64(ours) != 0 && ownRing(fd) {
		m.Close()
		return nil, fmt.Errorf("uringwake: user data %#x is a name of a loop's own operations: %w", userData, unix.EINVAL)
	}
	runtime.AddCleanup(m, func(h *handle) { h.close() }, m.handle)
	return m, nil
}

// isRing reports whether fd is a ring, as far as /proc tells.
func isRing(fd int) bool {
	name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	return err != nil || name == "anon_inode:[io_uring]"
}

// Wake sends the message. It never blocks; after Close it does nothing. Err
// tells if it failed.
func (m *MsgRing) Wake() {
	if !m.begin() {
		return
	}
	if m.direct {
		m.sent(ring.SendMsgRing(&m.message))
		return
	}
	d, err := goroutineDriver()
	if err != nil {
		m.sent(err)
		return
	}
	o := d.newOp()
	o.sqe = m.message
	o.waker = &sending{m, o}
	d.launch(o)
}

func (m *MsgRing) sent(err error) {
	if err != nil {
		m.last.Store(&err)
	}
	m.end()
}

// sending is a message on its way through the goroutine driver.
type sending struct {
	m  *MsgRing
	op *op
}

func (s *sending) Wake() {
	var err error
	if s.op.res < 0 {
		err = s.op.err("msg_ring")
	}
	s.op.release()
	s.m.sent(err)
}

// Err is the error of the last Wake that failed, or nil. A wake into a ring
// whose thread has exited succeeds, and is lost: the kernel does not tell.
func (m *MsgRing) Err() error {
	if err := m.last.Load(); err != nil {
		return *err
	}
	return nil
}

// Close lets go of the ring. A second Close returns nil.
func (m *MsgRing) Close() error { return m.handle.close() }

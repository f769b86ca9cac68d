package uringwake

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// This file declares what is the same on all systems. Task.Wake, Park and Yield are
// declared next to their code, so that a wake is one call.

// Supported returns nil if loops and operations work on this system. Otherwise its
// error says why they do not and matches errors.ErrUnsupported: the system is not
// Linux, the kernel is older than 5.13 or was built without io_uring, or a sysctl,
// a seccomp filter or a security module forbids it. An error that does not match
// errors.ErrUnsupported, such as a lack of file descriptors, leaves the question open:
// the next call may return nil.
//
// Supported returns nil where the kernel refuses only single operations. Each of those
// uses another operation or a system call instead, or fails with an error that matches
// errors.ErrUnsupported.
func Supported() error { return supported.ask() }

// HaveMsgRing returns nil if rings can send messages to each other
// (IORING_OP_MSG_RING, Linux 5.18). Otherwise it returns an error of the same kind as
// [Supported].
func HaveMsgRing() error { return msgRing.ask() }

// HaveSendMsgRing returns nil if a thread that has no ring can send messages to a ring
// (IORING_REGISTER_SEND_MSG_RING, Linux 6.13). Otherwise it returns an error of the
// same kind as [Supported].
func HaveSendMsgRing() error { return sendMsgRing.ask() }

// HaveFutex returns nil if [FutexWait] works (IORING_OP_FUTEX_WAIT, Linux 6.7).
// Otherwise it returns an error of the same kind as [Supported]. [FutexWake] works
// wherever Supported returns nil.
func HaveFutex() error { return haveFutex() }

// A Loop runs any number of tasks, one at a time, with one ring and one OS thread.
// [NewLoop] makes a Loop, and Close ends it.
//
// A task that blocks the thread (on a contended sync.Mutex, a channel or a system
// call) blocks all tasks of its loop: see [Blocking]. A task must not call
// runtime.LockOSThread or UnlockOSThread: the program would end.
type Loop struct{ loopState }

// NewLoop starts a loop, which runs until [Loop.Close]. A nil o means the zero
// LoopOptions. NewLoop returns an error if an option is out of range, or an error of
// the same kind as [Supported] if no ring can be made.
func NewLoop(o *LoopOptions) (*Loop, error) {
	if o == nil {
		o = new(LoopOptions)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	return startLoop(o)
}

// Go runs f as a task. The context of f has the values of ctx and carries the task. It
// ends with ctx, or when the loop closes (with the cause [ErrClosed]), or when f has
// returned (with a cause that matches context.Canceled), so it is only for f. [wake.Go]
// under it starts a task that may outlive this one. Go may be called from any goroutine
// or task, and never blocks. It returns [ErrClosed] if the loop is closing or closed.
func (l *Loop) Go(ctx context.Context, f func(ctx context.Context)) error { return l.spawn(ctx, f) }

// Post runs f on the loop's thread, as a plain function that must not wait. Functions
// that one goroutine posts run in the order of the calls of Post. Post may be called
// from any goroutine or task, and never blocks. It returns [ErrClosed] if the loop is
// closing or closed. If it returns nil, f will run.
func (l *Loop) Post(f func()) error { return l.post(f) }

// Close ends the loop. The loop refuses new tasks, and the contexts of its tasks end
// with the cause [ErrClosed], which cancels their operations. Close waits until all
// tasks have returned, and the ring, the thread and the file descriptors are freed.
//
// If ctx ends first, Close returns its error and the loop continues to close; Close
// may be called again to wait for the end. In a task or a posted function of the same
// loop, Close returns an error at once, and the loop closes afterwards.
func (l *Loop) Close(ctx context.Context) error { return l.closeAndWait(ctx) }

// Stats returns the counters of the loop. They may be old: the loop publishes them when
// it goes to sleep and every 1024 turns. Stats may be called from any goroutine or
// task, and does not slow down the loop.
func (l *Loop) Stats() LoopStats { return l.stats() }

// FD returns the ring's file descriptor, or -1 once the loop is closed. Other code may
// send messages to it, which are passed to [LoopOptions].OnMessage.
func (l *Loop) FD() int { return l.ringFD() }

// Doorbell returns how the loop is woken: [DoorbellEventFD] or [DoorbellMsgRing].
func (l *Loop) Doorbell() Doorbell { return l.doorbell() }

// A Task is a function that a [Loop] runs in turns with other tasks. It is the
// [wake.Parker] of its own context, so that every wait of this module suspends the
// task and does not block the loop's thread. It is also the [wake.Spawner] and the
// [wake.Sleeper] of that context. [Loop.Go], [Runtime.Go] and [wake.Go] start tasks.
//
// Wake may be called from any goroutine or task. In the terminology of the Go memory
// model, it synchronizes before the return of the Park that takes its permit. After
// the task has ended, Wake does nothing.
type Task struct{ taskState }

// TaskFrom returns the task that ctx carries. It returns nil if ctx belongs to a
// goroutine, or its task is hidden by wake.WithParker(ctx, nil).
func TaskFrom(ctx context.Context) *Task {
	p, _ := wake.FromContext(ctx)
	t, _ := p.(*Task)
	return t
}

// Loop returns the loop that runs the task.
func (t *Task) Loop() *Loop { return t.loop }

// ID returns the number of the task, which no other task of this process has.
func (t *Task) ID() uint64 { return t.id }

// Spawn runs f as a task on the loop of t, as [wake.Go] does. ctx is the context of t, or
// derived from it. Spawn may be called from any goroutine or task, even if t has returned,
// and never blocks. It returns [ErrClosed] if the loop is closing or closed; f is not run
// then.
//
// The context of f has the values of ctx and carries the new task. It ends with ctx, or
// when the loop closes (with the cause ErrClosed), or when f has returned. It does not end
// because t has returned: from then on it ends with the parent of t's context, or at the
// deadline of ctx. The end of t's context has canceled the contexts derived from it, so
// their cancel functions do not reach f after that.
func (t *Task) Spawn(ctx context.Context, f func(ctx context.Context)) error { return t.spawn(ctx, f) }

// Sleep is the function [Sleep] for code that has the task and not its context: t sleeps
// on the timer of its loop, whatever parker ctx carries. Only the task itself may call
// it, as with Park.
func (t *Task) Sleep(ctx context.Context, d time.Duration) error { return t.sleep(ctx, d) }

var (
	_ wake.Parker  = (*Task)(nil)
	_ wake.Spawner = (*Task)(nil)
	_ wake.Sleeper = (*Task)(nil)
)

// Blocking calls f, which may block. In a task, f runs in a new goroutine while the
// task sleeps, so that f may lock a contended mutex, use a channel or make system
// calls without blocking the loop. In a goroutine, f is called directly.
//
// Blocking returns when f has returned, even if ctx has ended. If f panics or calls
// runtime.Goexit, Blocking does the same in its caller; in a task the value of the
// panic is a [*PanicError].
func Blocking(ctx context.Context, f func()) {
	waitq.MustContext(ctx, "uringwake")
	if t := TaskFrom(ctx); t != nil {
		t.block(f)
		return
	}
	f()
}

// Nop submits an operation that does nothing, and waits for its completion. It
// corresponds to io_uring_prep_nop; Linux 5.1.
func Nop(ctx context.Context) error { return nop(ctx) }

// Read reads into p from offset off, or from the file's own position if off is -1,
// as pread(2) and read(2) do. It returns the number of bytes read: 0 at the end of a
// file, less than len(p) if no more is available now. off is ignored for a file
// without a position, such as a pipe. Read also waits if the file descriptor has
// O_NONBLOCK. It corresponds to io_uring_prep_read; Linux 5.6.
//
// Only one call at a time may use a file's own position. Of concurrent calls some may
// read the same bytes, and some bytes may be skipped.
//
// While Read waits, it keeps the file open, and may use a second descriptor for that.
// When ctx ends, Read returns as soon as the kernel no longer uses p. If bytes were
// read by then, Read returns their number and no error.
//
// In a goroutine whose ctx cannot end, a read of a regular file is a system call, as in
// package os.
//
// Where the kernel refuses reads on a ring, Read uses poll(2) and preadv2(2), and fails
// for files that those cannot read without blocking, such as terminals.
func Read(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	return read(ctx, fd, p, off)
}

// Write writes p at offset off, or at the file's own position if off is -1, as
// pwrite(2) and write(2) do. It returns the number of bytes written, which may be
// less than len(p) without an error. off is ignored for a file without a position,
// such as a pipe. Write also waits if the file descriptor has O_NONBLOCK. It
// corresponds to io_uring_prep_write; Linux 5.6.
//
// Only one call at a time may use a file's own position. Concurrent calls may overwrite
// what another one has written. This does not apply to a file with O_APPEND.
//
// While Write waits, it keeps the file open, and may use a second descriptor for that.
// When ctx ends, Write returns as soon as the kernel no longer uses p. If bytes were
// written by then, Write returns their number and no error. In a goroutine, a write to a
// regular file is a system call, as in package os, which does not end with ctx.
//
// Where the kernel refuses writes on a ring, Write uses poll(2) and pwritev2(2), and
// fails for files that those cannot write without blocking, such as terminals.
func Write(ctx context.Context, fd int, p []byte, off int64) (int, error) {
	return write(ctx, fd, p, off)
}

// PollFD waits until fd is ready for at least one of events (unix.POLLIN and the like),
// as poll(2) does. It returns the events that fd is ready for, including unix.POLLERR
// and unix.POLLHUP. Where the kernel refuses the operation, PollFD fails if fd is not
// ready, and always in a task. It corresponds to io_uring_prep_poll_add; Linux 5.1.
func PollFD(ctx context.Context, fd int, events uint32) (uint32, error) {
	return pollFD(ctx, fd, events)
}

// Close closes fd as close(2) does, even if ctx has ended. Operations in flight on fd
// continue on the file that it referred to. If the error matches unix.ECANCELED, the
// kernel may not have closed fd. Where the kernel refuses the operation, Close uses
// close(2); so it does for a socket that lingers (SO_LINGER), since the operation would
// block a loop's thread. It corresponds to io_uring_prep_close; Linux 5.6.
func Close(ctx context.Context, fd int) error { return closeFD(ctx, fd) }

// Sleep waits until the duration d has passed and returns nil, or returns an error if
// ctx ends first. A d of zero or less has passed already. Sleep uses the monotonic
// clock, which stops while the system is suspended. In a goroutine, and where the
// kernel refuses timeouts, Sleep uses a timer of Go's runtime. It corresponds to
// io_uring_prep_timeout; Linux 5.4.
//
// In tasks, canceling many Sleeps at once is slow: for each of them the kernel searches
// all timers of the ring, so canceling tens of thousands of Sleeps takes seconds.
func Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, d) }

// FutexWait waits on addr if *addr is val, until it is woken by [FutexWake] or by
// FUTEX_WAKE of futex(2). Otherwise it returns nil at once. It may also return nil
// without having been woken, so the caller must look at *addr again. addr may point
// into memory that processes share. FutexWait and FutexWake do not work together with
// private futexes (FUTEX_PRIVATE_FLAG), such as those of locks in C libraries. It
// corresponds to io_uring_prep_futex_wait; Linux 6.7.
func FutexWait(ctx context.Context, addr *atomic.Uint32, val uint32) error {
	return futexWait(ctx, addr, val)
}

// FutexWake wakes up to n waiters that wait on addr in [FutexWait] or futex(2), and
// returns how many it woke. It panics if n is negative. In a goroutine, and where the
// kernel does not have the operation or refuses it, FutexWake uses futex(2). It
// corresponds to io_uring_prep_futex_wake; Linux 6.7.
func FutexWake(ctx context.Context, addr *atomic.Uint32, n int) (int, error) {
	return futexWake(ctx, addr, n)
}

// An EventFD is an eventfd(2) as a [wake.Waker], for code that polls or reads file
// descriptors, such as another event loop or ring. It needs Linux, but not io_uring.
type EventFD struct{ eventFDState }

// NewEventFD makes an eventfd with a count of 0. Its descriptor is close-on-exec, and in
// blocking mode, as rings that read it need it. Where a ring cannot wait for files, it
// is in nonblocking mode. NewEventFD may fail for lack of file descriptors or memory.
func NewEventFD() (*EventFD, error) { return newEventFD() }

// FD returns the file descriptor, which other code may poll or read. Close closes it.
func (e *EventFD) FD() int { return e.number() }

// Wake adds 1 to the count. It does nothing if the count has its maximum, to which only
// other code can set it, since that has woken all waiters. After Close, Wake does
// nothing.
func (e *EventFD) Wake() { e.wake() }

// Wait waits until the count is above 0, sets it to 0, and returns what it was: the
// number of wakes since the last Wait. After Close, Wait returns an error that matches
// os.ErrClosed. In the terminology of the Go memory model, a Wake synchronizes before
// the return of the Wait that counts it.
func (e *EventFD) Wait(ctx context.Context) (uint64, error) { return e.wait(ctx) }

// Close closes the descriptor as soon as no call uses it. A Wait in progress returns an
// error that matches os.ErrClosed. A second Close returns nil. An EventFD that is no
// longer reachable is closed by the garbage collector.
func (e *EventFD) Close() error { return e.shut() }

// A MsgRing is a [wake.Waker] for a ring, which may belong to other code: each wake is a
// completion in that ring.
type MsgRing struct{ msgRingState }

// NewMsgRing makes a waker for the ring with the file descriptor ringFD, in which each
// wake is a completion with the user data userData and the result res. Nothing else
// marks such a completion, so the owner of the ring must not use the same user data
// for other operations. If the ring is that of a [Loop] of this process, userData must
// be below 1<<63, so that no message is taken for the completion of an operation of
// the loop; otherwise NewMsgRing returns an error. NewMsgRing needs Linux 5.18, and
// fails where neither HaveMsgRing nor HaveSendMsgRing returns nil. It corresponds to
// io_uring_prep_msg_ring and io_uring_register_sync_msg.
//
// A MsgRing has its own descriptor of the ring, so that it never writes to another file
// that gets the number ringFD later. The kernel keeps the ring until the MsgRing is
// closed or no longer reachable. If the owner of the ring is another process, and ends
// before that, the kernel keeps the memory of the ring and the files of its operations
// in flight, and needs 256 bytes for each further wake. So close the MsgRings of such
// a ring.
func NewMsgRing(ringFD int, userData uint64, res int32) (*MsgRing, error) {
	return newMsgRing(ringFD, userData, res)
}

// Wake sends the message. It never blocks. After Close it does nothing. If sending
// fails, [MsgRing.Err] returns the error.
func (m *MsgRing) Wake() { m.wake() }

// Err returns the error of the last Wake that failed, or nil. A wake into a ring
// whose thread has exited is lost without an error: the kernel reports success.
func (m *MsgRing) Err() error { return m.err() }

// Close closes the MsgRing's descriptor of the ring, as soon as no Wake uses it. A
// second Close returns nil.
func (m *MsgRing) Close() error { return m.shut() }

func (o *LoopOptions) check() error {
	const most = 1 << 20 // the kernel's own limits are below
	if o.Entries > most || o.CQEntries > most || o.Entries < 0 || o.CQEntries < 0 ||
		o.Doorbell < DoorbellAuto || o.Doorbell > DoorbellMsgRing || o.StallLimit < 0 || o.MaxInFlight < 0 {
		return fmt.Errorf("uringwake: LoopOptions out of range: %d entries, %d completion entries, doorbell %d, stall limit %v, %d in flight",
			o.Entries, o.CQEntries, o.Doorbell, o.StallLimit, o.MaxInFlight)
	}
	return nil
}

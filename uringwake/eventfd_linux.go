package uringwake

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// eventFDState is an EventFD.
type eventFDState struct {
	*handle
	file    *os.File // where no ring can wait, else nil
	turn    chan struct{}
	closing context.Context
	cancel  context.CancelCauseFunc
}

func newEventFD() (*EventFD, error) {
	err := canWaitForFiles()
	if doubt := inconclusive(err); doubt != nil {
		return nil, doubt
	}
	return makeEventFD(err != nil)
}

func makeEventFD(ringless bool) (*EventFD, error) {
	flags := unix.EFD_CLOEXEC
	if ringless {
		flags |= unix.EFD_NONBLOCK // for the netpoller
	}
	fd, err := unix.Eventfd(0, flags)
	if err != nil {
		return nil, &ring.Error{Call: "eventfd", Errno: errnoOf(err)}
	}
	e := new(EventFD)
	e.handle = &handle{fd: fd, closeFD: closer(fd)}
	e.closing, e.cancel = context.WithCancelCause(context.Background())
	if ringless {
		e.file, e.turn = os.NewFile(uintptr(fd), "eventfd"), make(chan struct{}, 1)
		e.closeFD = e.file.Close
	}
	runtime.AddCleanup(e, func(h *handle) { h.close() }, e.handle)
	return e, nil
}

// hasRoom reports whether a write to a blocking eventfd would not block. The kernel
// has no write to it that does not wait (no RWF_NOWAIT, up to 6.18 at least), so wake
// asks before. If the counter is filled up between the two calls, this caller, and no
// other, waits until it is read.
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

func (e *EventFD) number() int { return e.fd }

func (e *EventFD) wake() {
	if !e.acquire() {
		return
	}
	defer e.release()
	switch {
	case e.file != nil:
		writeEventFD(e.fd, 1)
	case hasRoom(e.fd):
		unix.Write(e.fd, oneWake) // tells the scheduler, in case the counter is filled up just now
	}
}

func (e *EventFD) wait(ctx context.Context) (uint64, error) {
	waitq.MustContext(ctx, "uringwake")
	if ctx.Err() != nil {
		return 0, waitq.ContextError(ctx)
	}
	if !e.acquire() {
		return 0, os.ErrClosed
	}
	defer e.release()
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

// readFile is read by the netpoller. One call at a time runs, since a file has one
// deadline.
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
		// The looks see an expiry before this, Read sees one after it, and one
		// that comes late, meant for the call before, only repeats the loop.
		e.file.SetReadDeadline(time.Time{})
		if ctx.Err() != nil || isClosed(ctx.Done()) {
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

func (e *EventFD) shut() error {
	err := e.handle.close()
	e.cancel(os.ErrClosed)
	return err
}

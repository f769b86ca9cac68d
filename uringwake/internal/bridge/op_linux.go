package bridge

import (
	"context"
	"errors"
	"sync"
	"unsafe"

	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// NewOp returns an idle operation of the driver that serves the code under ctx: the loop
// of its task, or the ring of all goroutines. It returns the error of uringwake.Supported
// if there is no ring. The caller prepares the entry, and calls either Wait or Start,
// once; or Release.
var NewOp func(ctx context.Context) (Op, error)

// An Op is an operation that its user prepares.
type Op interface {
	// SQE returns the entry, to be prepared. Its user data belongs to the driver.
	SQE() *ring.SQE
	// Keep has p stay reachable until the last completion.
	Keep(p unsafe.Pointer)
	// Wait submits the operation and sleeps until the kernel no longer uses it. It
	// returns the result and the flags of the completion. If ctx has ended or i was
	// interrupted, the operation is canceled; if it came to nothing then, the error is
	// that of ctx, or ErrInterrupted. Otherwise a negative result is a *ring.Error with
	// that call. i may be nil. Then the operation belongs to its driver again.
	Wait(ctx context.Context, i *Interrupter, call string) (n int, flags uint32, err error)
	// Start submits a multishot operation and does not wait. In a task it goes to the
	// kernel when the tasks that are ready have run. The operation belongs to its
	// driver, which gives each completion to s.
	Start(s Sink) Handle
	// Release gives up an operation that was not submitted.
	Release()
}

// A Sink takes the completions of one multishot operation, in order. No completion
// follows one without ring.CQEMore.
type Sink interface {
	// Completed is called on the loop's thread, or under the lock of the goroutines'
	// ring: so it must not block, submit or cancel. data is the provided buffer of a
	// receive, which is the kernel's again when Completed has returned. The waker, if
	// it is not nil, is called soon after, with nothing locked.
	Completed(res int32, flags uint32, data []byte) wake.Waker
}

// A Handle names an operation that was started.
type Handle struct {
	op Cancelable
	id uint64
}

// NewHandle returns the handle of an operation that has that name now.
func NewHandle(op Cancelable, id uint64) Handle { return Handle{op, id} }

// Cancel asks the kernel to cancel the operation, if it has not ended. Its Sink still
// gets the last completion. Cancel may be called from any goroutine or task, and not by a
// Sink.
func (h Handle) Cancel() {
	if h.op != nil {
		h.op.CancelNamed(h.id)
	}
}

// Cancelable is an operation in flight.
type Cancelable interface {
	// CancelNamed has the operation canceled if it still has that name. Any goroutine
	// may call it.
	CancelNamed(id uint64)
}

// ErrInterrupted is the error of an operation that an Interrupter canceled.
var ErrInterrupted = errors.New("uringwake: operation interrupted")

// An Interrupter cancels the operation that waits with it, and those that come until
// Reset: what a deadline and Close need. One operation at a time may use it.
type Interrupter struct {
	mu  sync.Mutex
	on  bool
	now Handle
	hit bool // now was interrupted, even if Reset was called since
}

// Interrupt may be called from any goroutine or task.
func (i *Interrupter) Interrupt() {
	i.mu.Lock()
	i.on = true
	h := i.now
	i.hit = h.op != nil
	i.mu.Unlock()
	h.Cancel()
}

// Reset lets operations wait again.
func (i *Interrupter) Reset() {
	i.mu.Lock()
	i.on = false
	i.mu.Unlock()
}

// Interrupted reports whether Interrupt was called since the last Reset.
func (i *Interrupter) Interrupted() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.on
}

// Attach is called by the driver that has submitted h. It reports false if the driver
// must cancel it.
func (i *Interrupter) Attach(h Handle) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now, i.hit = h, i.on
	return !i.on
}

// Hit reports whether the operation that is attached was interrupted.
func (i *Interrupter) Hit() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hit
}

// Attached reports whether there is an operation that Interrupt would cancel.
func (i *Interrupter) Attached() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now.op != nil
}

// Detach is called by the driver when the operation has completed.
func (i *Interrupter) Detach() {
	i.mu.Lock()
	i.now, i.hit = Handle{}, false
	i.mu.Unlock()
}

// HaveCancel returns nil if the driver of ctx can cancel what waits, or why not. Then
// nothing must be started that does not end by itself.
var HaveCancel func(ctx context.Context) error

// HaveBuffers returns nil if the driver of ctx has provided buffers for a receive that
// goes on while nobody waits for it, or why not: a loop with a limit of operations in
// flight has no place for one. In a task, PrepareReceive may be used then.
var HaveBuffers func(ctx context.Context) error

// PrepareReceive fills the entry of op, which is of a task's loop, with a multishot
// receive into the buffers of that loop, of BufferSize each (Linux 6.0).
var PrepareReceive func(op Op, fd int, flags uint32)

// BufferSize is the size of a provided buffer, in bytes.
const BufferSize = 4096

// AfterFunc is that of package context, for which ctx may be of any type: its methods may
// return what they should not.
var AfterFunc func(ctx context.Context, f func()) (stop func() bool)

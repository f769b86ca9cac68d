package uringwake

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrClosed is the error of a loop that is closing or closed, and the cause with
// which the contexts of its tasks end.
var ErrClosed = errors.New("uringwake: loop is closed")

// A Doorbell is the way in which a sleeping loop is woken. A loop that does not sleep
// needs no doorbell.
type Doorbell int

const (
	// DoorbellAuto selects the faster doorbell of those that the kernel has, by a
	// short measurement once per process.
	DoorbellAuto Doorbell = iota
	// DoorbellEventFD is a write to an eventfd that the loop polls; Linux 5.13.
	DoorbellEventFD
	// DoorbellMsgRing is a message to the loop's ring. A goroutine sends it by
	// IORING_REGISTER_SEND_MSG_RING; before Linux 6.13 it writes to an eventfd
	// instead. A loop that has operations to submit anyway submits the message with
	// them, by IORING_OP_MSG_RING; Linux 5.18. If HaveMsgRing says that the kernel
	// does not have that, the loop uses DoorbellEventFD.
	DoorbellMsgRing
)

// LoopOptions configure a [Loop]. The zero value has sensible defaults.
type LoopOptions struct {
	// Entries is the size of the submission queue: the maximum number of
	// operations that one system call submits. It is rounded up to a power of
	// two, and reduced to the kernel's maximum. Zero means 256. More than 1<<20
	// is an error.
	Entries int
	// CQEntries is the size of the completion queue, with the same limits.
	// Further completions wait in the kernel, which takes more time. A size below
	// Entries means Entries, except that zero means 16 times Entries.
	CQEntries int
	// Doorbell is the way in which the loop is woken. Zero means DoorbellAuto.
	Doorbell Doorbell
	// SpinFor is the time for which an idle loop looks for wakes and completions
	// before it sleeps. The loop does so only while it has found any often enough
	// lately, and not while a goroutine waits for a processor. Zero means 50
	// microseconds. A negative SpinFor means that the loop sleeps at once.
	SpinFor time.Duration
	// StallLimit is the time for which a task, or a function that Post runs, may
	// use the loop's thread without parking, yielding or returning. A longer use
	// is reported to Logger, once, with its stack. Zero means no limit.
	StallLimit time.Duration
	// MaxInFlight is the maximum number of operations that the kernel has at a time,
	// which limits the memory that it needs for them. Further operations wait in the
	// loop, in the order in which they came, until others have completed. They can be
	// canceled while they wait. A multishot operation counts as one until it ends. Zero
	// means no limit. With a limit, operations that wait for long, such as a receive on
	// an idle connection or a Sleep, delay those behind them, and tasks may wait for
	// each other for ever. Only closing a descriptor does not wait for others.
	MaxInFlight int
	// Logger receives the reports of stalls, and of each [Submission] that became
	// unreachable before its result was taken. Nil means slog.Default().
	Logger *slog.Logger
	// OnPanic is called on the loop's thread with the value and the stack of a
	// panic in a task or in a function that Post runs. A nil OnPanic means that
	// such a panic ends the program, like a panic in a goroutine.
	OnPanic func(value any, stack []byte)
	// OnMessage is called on the loop's thread with the user data and the result
	// of each message that other code sends to the loop's FD with user data
	// below 1<<63. A nil OnMessage means that such messages are ignored.
	OnMessage func(userData uint64, res int32)
}

// RuntimeOptions configure a [Runtime]. The zero value has sensible defaults.
type RuntimeOptions struct {
	// Loops is the number of loops. Zero means GOMAXPROCS.
	Loops int
	// Loop are the options of each loop.
	Loop LoopOptions
}

// LoopStats counts what a loop has done since it was made.
type LoopStats struct {
	Tasks     int    // tasks that have not returned
	InFlight  int    // operations that have not completed
	Turns     uint64 // rounds of the loop: take the mail, run what is ready, submit, reap
	Resumes   uint64 // times that a task started or continued to run
	Mail      uint64 // wakes, tasks and posted functions that came through the mailbox
	Sleeps    uint64 // times that the loop blocked in the kernel
	Spins     uint64 // times that the loop looked for mail before it slept; see LoopOptions.SpinFor
	SpinHits  uint64 // spins that found mail or completions
	Enters    uint64 // calls of io_uring_enter that the loop made
	Doorbells uint64 // system calls made only to wake the loop
	// Submitted and Completed count submissions and completions, including those
	// of the loop's own operations.
	Submitted, Completed uint64
}

// A PanicError is the value of the panic that ends the program when a task, or a
// function that Post runs, panics. It is also the value of a panic that [Blocking]
// passes on to a task.
type PanicError struct {
	Value any    // the argument of the first panic
	Stack []byte // the stack of the first panic, as of debug.Stack
}

// Error returns a text that contains the value and the stack of the panic.
func (e *PanicError) Error() string {
	return fmt.Sprintf("uringwake: panic on a loop: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns Value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

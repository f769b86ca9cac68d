package uringwake

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrClosed is the error of what comes to a loop that is closing or closed, and
// the cause with which its tasks' contexts end.
var ErrClosed = errors.New("uringwake: loop is closed")

// A Doorbell is how a sleeping loop is woken. An awake one needs none.
type Doorbell int

const (
	// DoorbellAuto takes what the kernel has and what was faster in a short
	// measurement, made once per process.
	DoorbellAuto Doorbell = iota
	// DoorbellEventFD is a write to an eventfd that the loop polls; Linux 5.13.
	DoorbellEventFD
	// DoorbellMsgRing is a message from ring to ring: from a goroutine by
	// IORING_REGISTER_SEND_MSG_RING (Linux 6.13, else by an eventfd), from
	// another loop that has submissions to make by IORING_OP_MSG_RING (5.18)
	// among them.
	DoorbellMsgRing
)

// LoopOptions say how a loop is made. The zero value is a good choice.
type LoopOptions struct {
	// Entries is the size of the submission queue: how many operations go
	// to the kernel in one call. 0 is 256; rounded up to a power of two.
	Entries int
	// CQEntries is the size of the completion queue. More completions than
	// that are not lost, but cost more. 0 is 16 times Entries.
	CQEntries int
	// Doorbell is how the loop is woken.
	Doorbell Doorbell
	// SpinFor bounds how long a loop that has nothing to do looks for mail
	// before it sleeps. It does so only while that pays, and never while a
	// goroutine waits for a processor. 0 is 50 microseconds; negative is
	// never.
	SpinFor time.Duration
	// HoldLimit is after how long a task, or a function that Post runs, that
	// does not let the loop go on is reported to Logger, with its stack. 0
	// is never.
	HoldLimit time.Duration
	// Logger takes reports; nil is slog.Default().
	Logger *slog.Logger
	// OnPanic takes the panics of tasks and of functions that Post runs. It
	// runs on the loop. If it is nil, a panic ends the program, as one in a
	// goroutine does.
	OnPanic func(value any, stack []byte)
	// OnMessage takes the messages that others send to the loop's FD with
	// user data below 1<<63. It runs on the loop.
	OnMessage func(userData uint64, res int32)
}

// RuntimeOptions say how a [Runtime] is made. The zero value is a good choice.
type RuntimeOptions struct {
	// Loops is how many; 0 is GOMAXPROCS.
	Loops int
	// Loop is how each of them is made.
	Loop LoopOptions
}

// LoopStats counts what a loop has done since it was made.
type LoopStats struct {
	Tasks    int    // living now
	InFlight int    // operations that the kernel has now
	Turns    uint64 // rounds of: take the mail, run what is ready, submit, reap
	Resumes  uint64 // times that a task was given the thread
	Mail     uint64 // wakes and posts that came through the mailbox
	Sleeps   uint64 // times that the loop blocked in the kernel
	Spins    uint64 // times that it looked for mail before
	SpinHits uint64 // and found some
	Enters   uint64 // system calls made by the loop
	Rings    uint64 // system calls made to wake it, but for those that are among another loop's Enters
	// Submitted and Completed count entries of the two queues, the loop's
	// own among them.
	Submitted, Completed uint64
}

// PanicError is what the program dies of when a task panics, or what runs on
// its loop by Post: as a goroutine's panic, but the stack is the task's.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("uringwake: panic on a loop: %v\n\n%s", e.Value, e.Stack)
}

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

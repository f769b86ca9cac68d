//go:build !linux

package uringwake

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

var errNoRing = fmt.Errorf("uringwake: io_uring is Linux's, and this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

// Supported returns an error that matches errors.ErrUnsupported: there is no
// io_uring here.
func Supported() error { return errNoRing }

// HaveMsgRing returns [Supported]'s error.
func HaveMsgRing() error { return errNoRing }

// HaveSendMsgRing returns [Supported]'s error.
func HaveSendMsgRing() error { return errNoRing }

// HaveFutex returns [Supported]'s error.
func HaveFutex() error { return errNoRing }

// A Loop cannot be made here.
type Loop struct{}

// NewLoop returns [Supported]'s error.
func NewLoop(*LoopOptions) (*Loop, error) { return nil, errNoRing }

// Go returns [Supported]'s error.
func (*Loop) Go(context.Context, func(context.Context)) error { return errNoRing }

// Post returns [Supported]'s error.
func (*Loop) Post(func()) error { return errNoRing }

// Close returns [Supported]'s error.
func (*Loop) Close(context.Context) error { return errNoRing }

// Stats returns zeros.
func (*Loop) Stats() LoopStats { return LoopStats{} }

// FD returns -1.
func (*Loop) FD() int { return -1 }

// Doorbell returns [DoorbellAuto].
func (*Loop) Doorbell() Doorbell { return DoorbellAuto }

// A Runtime cannot be made here.
type Runtime struct{}

// NewRuntime returns [Supported]'s error.
func NewRuntime(*RuntimeOptions) (*Runtime, error) { return nil, errNoRing }

// Default returns [Supported]'s error.
func Default() (*Runtime, error) { return nil, errNoRing }

// Go returns [Supported]'s error.
func (*Runtime) Go(context.Context, func(context.Context)) error { return errNoRing }

// Loops returns nothing.
func (*Runtime) Loops() []*Loop { return nil }

// Close returns [Supported]'s error.
func (*Runtime) Close(context.Context) error { return errNoRing }

// A Task cannot be made here.
type Task struct{}

// TaskFrom returns nil: no code runs in a task here.
func TaskFrom(context.Context) *Task { return nil }

// Loop returns nil.
func (*Task) Loop() *Loop { return nil }

// ID returns 0.
func (*Task) ID() uint64 { return 0 }

// Wake does nothing.
func (*Task) Wake() {}

// Park returns [Supported]'s error.
func (*Task) Park(context.Context) error { return errNoRing }

// Yield does nothing.
func (*Task) Yield() {}

// Blocking calls f.
func Blocking(_ context.Context, f func()) { f() }

// Nop returns [Supported]'s error.
func Nop(context.Context) error { return errNoRing }

// Read returns [Supported]'s error.
func Read(context.Context, int, []byte, int64) (int, error) { return 0, errNoRing }

// Write returns [Supported]'s error.
func Write(context.Context, int, []byte, int64) (int, error) { return 0, errNoRing }

// PollFD returns [Supported]'s error.
func PollFD(context.Context, int, uint32) (uint32, error) { return 0, errNoRing }

// Close returns [Supported]'s error.
func Close(context.Context, int) error { return errNoRing }

// Sleep returns [Supported]'s error.
func Sleep(context.Context, time.Duration) error { return errNoRing }

// FutexWait returns [Supported]'s error.
func FutexWait(context.Context, *atomic.Uint32, uint32) error { return errNoRing }

// FutexWake returns [Supported]'s error.
func FutexWake(context.Context, *atomic.Uint32, int) (int, error) { return 0, errNoRing }

// An EventFD cannot be made here.
type EventFD struct{}

// NewEventFD returns [Supported]'s error.
func NewEventFD() (*EventFD, error) { return nil, errNoRing }

// FD returns -1.
func (*EventFD) FD() int { return -1 }

// Wake does nothing.
func (*EventFD) Wake() {}

// Wait returns [Supported]'s error.
func (*EventFD) Wait(context.Context) (uint64, error) { return 0, errNoRing }

// Close returns [Supported]'s error.
func (*EventFD) Close() error { return errNoRing }

// A MsgRing cannot be made here.
type MsgRing struct{}

// NewMsgRing returns [Supported]'s error.
func NewMsgRing(int, uint64, int32) (*MsgRing, error) { return nil, errNoRing }

// Wake does nothing.
func (*MsgRing) Wake() {}

// Err returns [Supported]'s error.
func (*MsgRing) Err() error { return errNoRing }

// Close returns [Supported]'s error.
func (*MsgRing) Close() error { return errNoRing }

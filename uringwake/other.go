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

// There is no io_uring on this system: what makes something, and each operation,
// returns errNoRing. No Loop, Task, EventFD or MsgRing is ever made, so that their
// methods are called on zero values only.

var errNoRing = fmt.Errorf("uringwake: io_uring needs Linux, and this is %s: %w", runtime.GOOS, errors.ErrUnsupported)

type probe struct{}

func (probe) ask() error { return errNoRing }

var supported, msgRing, sendMsgRing probe

func haveFutex() error { return errNoRing }

type loopState struct{}

func startLoop(*LoopOptions) (*Loop, error) { return nil, errNoRing }

func (*Loop) spawn(context.Context, func(context.Context)) error { return errNoRing }
func (*Loop) post(func()) error                                  { return errNoRing }
func (*Loop) closeAndWait(context.Context) error                 { return errNoRing }
func (*Loop) stats() LoopStats                                   { return LoopStats{} }
func (*Loop) ringFD() int                                        { return -1 }
func (*Loop) doorbell() Doorbell                                 { return DoorbellAuto }
func (*Loop) startClosing()                                      {}
func (*Loop) isClosing() bool                                    { return true }

type taskState struct {
	loop *Loop
	id   uint64
}

// Wake does nothing.
func (*Task) Wake() {}

// Park returns [Supported]'s error.
func (*Task) Park(context.Context) error { return errNoRing }

// Yield does nothing.
func (*Task) Yield() {}

func (*Task) block(f func())                                     { f() }
func (*Task) spawn(context.Context, func(context.Context)) error { return errNoRing }
func (*Task) sleep(context.Context, time.Duration) error         { return errNoRing }

func nop(context.Context) error                                   { return errNoRing }
func read(context.Context, int, []byte, int64) (int, error)       { return 0, errNoRing }
func write(context.Context, int, []byte, int64) (int, error)      { return 0, errNoRing }
func pollFD(context.Context, int, uint32) (uint32, error)         { return 0, errNoRing }
func closeFD(context.Context, int) error                          { return errNoRing }
func sleep(context.Context, time.Duration) error                  { return errNoRing }
func futexWait(context.Context, *atomic.Uint32, uint32) error     { return errNoRing }
func futexWake(context.Context, *atomic.Uint32, int) (int, error) { return 0, errNoRing }

func readv(context.Context, int, [][]byte, int64) (int, error)         { return 0, errNoRing }
func writev(context.Context, int, [][]byte, int64) (int, error)        { return 0, errNoRing }
func fsync(context.Context, int) error                                 { return errNoRing }
func fdatasync(context.Context, int) error                             { return errNoRing }
func fallocate(context.Context, int, uint32, int64, int64) error       { return errNoRing }
func ftruncate(context.Context, int, int64) error                      { return errNoRing }
func openat(context.Context, int, string, int, uint32) (int, error)    { return 0, errNoRing }
func statx(context.Context, int, string, int, uint32, *FileStat) error { return errNoRing }
func renameat(context.Context, int, string, int, string, uint32) error { return errNoRing }
func unlinkat(context.Context, int, string, int) error                 { return errNoRing }
func mkdirat(context.Context, int, string, uint32) error               { return errNoRing }
func linkat(context.Context, int, string, int, string, int) error      { return errNoRing }
func symlinkat(context.Context, string, int, string) error             { return errNoRing }
func splice(context.Context, int, int64, int, int64, int, uint32) (int, error) {
	return 0, errNoRing
}

func socket(context.Context, int, int, int) (int, error)       { return 0, errNoRing }
func bind(context.Context, int, SockAddr) error                { return errNoRing }
func listen(context.Context, int, int) error                   { return errNoRing }
func accept(context.Context, int, int) (int, SockAddr, error)  { return 0, SockAddr{}, errNoRing }
func connect(context.Context, int, SockAddr) error             { return errNoRing }
func shutdown(context.Context, int, int) error                 { return errNoRing }
func recv(context.Context, int, []byte, int) (int, error)      { return 0, errNoRing }
func send(context.Context, int, []byte, int) (int, error)      { return 0, errNoRing }
func recvmsg(context.Context, int, *Message, int) (int, error) { return 0, errNoRing }
func sendmsg(context.Context, int, *Message, int) (int, error) { return 0, errNoRing }

type eventFDState struct{}

func newEventFD() (*EventFD, error) { return nil, errNoRing }

func (*EventFD) number() int                          { return -1 }
func (*EventFD) wake()                                {}
func (*EventFD) wait(context.Context) (uint64, error) { return 0, errNoRing }
func (*EventFD) shut() error                          { return errNoRing }

type msgRingState struct{}

func newMsgRing(int, uint64, int32) (*MsgRing, error) { return nil, errNoRing }

func (*MsgRing) wake()       {}
func (*MsgRing) err() error  { return errNoRing }
func (*MsgRing) shut() error { return errNoRing }

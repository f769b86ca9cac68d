package ring_test

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// operands are kept apart, so that preparing allocates none.
var operands struct {
	p      [8]byte
	v      [2]unix.Iovec
	m      unix.Msghdr
	addr   unix.RawSockaddrAny
	n      uint32
	t      ring.Timespec
	st     unix.Statx_t
	how    unix.OpenHow
	event  unix.EpollEvent
	events [2]unix.EpollEvent
	fds    [2]int32
	futex  uint32
	futexv [2]ring.FutexWaitv
	info   unix.Siginfo
	pi     ring.AttrPI
}

type prepared struct {
	name string // of the method
	op   uint8
	f    func(s *ring.SQE)
}

// preps calls every Prep method.
func preps() []prepared {
	o := &operands
	p, path, addr, t := o.p[:], &o.p[0], &o.addr, &o.t
	return []prepared{
		{"PrepRead", ring.OpRead, func(s *ring.SQE) { s.PrepRead(1, p, 2) }},
		{"PrepWrite", ring.OpWrite, func(s *ring.SQE) { s.PrepWrite(1, p, 2) }},
		{"PrepReadv", ring.OpReadv, func(s *ring.SQE) { s.PrepReadv(1, o.v[:], 2, 3) }},
		{"PrepWritev", ring.OpWritev, func(s *ring.SQE) { s.PrepWritev(1, o.v[:], 2, 3) }},
		{"PrepReadFixed", ring.OpReadFixed, func(s *ring.SQE) { s.PrepReadFixed(1, p, 2, 3) }},
		{"PrepWriteFixed", ring.OpWriteFixed, func(s *ring.SQE) { s.PrepWriteFixed(1, p, 2, 3) }},
		{"PrepReadvFixed", ring.OpReadvFixed, func(s *ring.SQE) { s.PrepReadvFixed(1, o.v[:], 2, 3, 4) }},
		{"PrepWritevFixed", ring.OpWritevFixed, func(s *ring.SQE) { s.PrepWritevFixed(1, o.v[:], 2, 3, 4) }},
		{"PrepReadMultishot", ring.OpReadMultishot, func(s *ring.SQE) { s.PrepReadMultishot(1, 2, 3, 4) }},
		{"PrepFsync", ring.OpFsync, func(s *ring.SQE) { s.PrepFsync(1, 1) }},
		{"PrepSyncFileRange", ring.OpSyncFileRange, func(s *ring.SQE) { s.PrepSyncFileRange(1, 2, 3, 4) }},
		{"PrepFallocate", ring.OpFallocate, func(s *ring.SQE) { s.PrepFallocate(1, 2, 3, 4) }},
		{"PrepFtruncate", ring.OpFtruncate, func(s *ring.SQE) { s.PrepFtruncate(1, 2) }},
		{"PrepFadvise", ring.OpFadvise, func(s *ring.SQE) { s.PrepFadvise(1, 2, 3, 4) }},
		{"PrepFadvise64", ring.OpFadvise, func(s *ring.SQE) { s.PrepFadvise64(1, 2, 3, 4) }},
		{"PrepMadvise", ring.OpMadvise, func(s *ring.SQE) { s.PrepMadvise(p, 1) }},
		{"PrepMadvise64", ring.OpMadvise, func(s *ring.SQE) { s.PrepMadvise64(p, 1) }},
		{"PrepSplice", ring.OpSplice, func(s *ring.SQE) { s.PrepSplice(1, -1, 2, 3, 4, 5) }},
		{"PrepTee", ring.OpTee, func(s *ring.SQE) { s.PrepTee(1, 2, 3, 4) }},
		{"PrepPipe", ring.OpPipe, func(s *ring.SQE) { s.PrepPipe(&o.fds, 1) }},
		{"PrepPipeDirect", ring.OpPipe, func(s *ring.SQE) { s.PrepPipeDirect(&o.fds, 1, 2) }},
		{"PrepFgetxattr", ring.OpFgetxattr, func(s *ring.SQE) { s.PrepFgetxattr(1, path, p) }},
		{"PrepFsetxattr", ring.OpFsetxattr, func(s *ring.SQE) { s.PrepFsetxattr(1, path, p, 2) }},
		{"PrepGetxattr", ring.OpGetxattr, func(s *ring.SQE) { s.PrepGetxattr(path, p, path) }},
		{"PrepSetxattr", ring.OpSetxattr, func(s *ring.SQE) { s.PrepSetxattr(path, p, path, 1) }},
		{"PrepOpenat", ring.OpOpenat, func(s *ring.SQE) { s.PrepOpenat(1, path, 2, 3) }},
		{"PrepOpenatDirect", ring.OpOpenat, func(s *ring.SQE) { s.PrepOpenatDirect(1, path, 2, 3, 4) }},
		{"PrepOpenat2", ring.OpOpenat2, func(s *ring.SQE) { s.PrepOpenat2(1, path, &o.how) }},
		{"PrepOpenat2Direct", ring.OpOpenat2, func(s *ring.SQE) { s.PrepOpenat2Direct(1, path, &o.how, 2) }},
		{"PrepClose", ring.OpClose, func(s *ring.SQE) { s.PrepClose(1) }},
		{"PrepCloseDirect", ring.OpClose, func(s *ring.SQE) { s.PrepCloseDirect(1) }},
		{"PrepStatx", ring.OpStatx, func(s *ring.SQE) { s.PrepStatx(1, path, 2, 3, &o.st) }},
		{"PrepRenameat", ring.OpRenameat, func(s *ring.SQE) { s.PrepRenameat(1, path, 2, path, 3) }},
		{"PrepLinkat", ring.OpLinkat, func(s *ring.SQE) { s.PrepLinkat(1, path, 2, path, 3) }},
		{"PrepSymlinkat", ring.OpSymlinkat, func(s *ring.SQE) { s.PrepSymlinkat(path, 1, path) }},
		{"PrepUnlinkat", ring.OpUnlinkat, func(s *ring.SQE) { s.PrepUnlinkat(1, path, 2) }},
		{"PrepMkdirat", ring.OpMkdirat, func(s *ring.SQE) { s.PrepMkdirat(1, path, 2) }},
		{"PrepSocket", ring.OpSocket, func(s *ring.SQE) { s.PrepSocket(1, 2, 3, 0) }},
		{"PrepSocketDirect", ring.OpSocket, func(s *ring.SQE) { s.PrepSocketDirect(1, 2, 3, 4, 0) }},
		{"PrepBind", ring.OpBind, func(s *ring.SQE) { s.PrepBind(1, addr, 2) }},
		{"PrepListen", ring.OpListen, func(s *ring.SQE) { s.PrepListen(1, 2) }},
		{"PrepAccept", ring.OpAccept, func(s *ring.SQE) { s.PrepAccept(1, addr, &o.n, 2) }},
		{"PrepAcceptDirect", ring.OpAccept, func(s *ring.SQE) { s.PrepAcceptDirect(1, addr, &o.n, 2, 3) }},
		{"PrepAcceptMultishot", ring.OpAccept, func(s *ring.SQE) { s.PrepAcceptMultishot(1, 2) }},
		{"PrepAcceptMultishotDirect", ring.OpAccept, func(s *ring.SQE) { s.PrepAcceptMultishotDirect(1, 2) }},
		{"PrepConnect", ring.OpConnect, func(s *ring.SQE) { s.PrepConnect(1, addr, 2) }},
		{"PrepShutdown", ring.OpShutdown, func(s *ring.SQE) { s.PrepShutdown(1, 2) }},
		{"PrepSend", ring.OpSend, func(s *ring.SQE) { s.PrepSend(1, p, 2) }},
		{"PrepSendto", ring.OpSend, func(s *ring.SQE) { s.PrepSendto(1, p, 2, addr, 3) }},
		{"PrepSendBundle", ring.OpSend, func(s *ring.SQE) { s.PrepSendBundle(1, 2, 3, 4) }},
		{"PrepSendZC", ring.OpSendZC, func(s *ring.SQE) { s.PrepSendZC(1, p, 2, 3) }},
		{"PrepSendZCFixed", ring.OpSendZC, func(s *ring.SQE) { s.PrepSendZCFixed(1, p, 2, 3, 4) }},
		{"PrepSendVectorized", ring.OpSend, func(s *ring.SQE) { s.PrepSendVectorized(1, o.v[:], 2) }},
		{"PrepSendZCVectorized", ring.OpSendZC, func(s *ring.SQE) { s.PrepSendZCVectorized(1, o.v[:], 2, 1) }},
		{"PrepSendmsg", ring.OpSendmsg, func(s *ring.SQE) { s.PrepSendmsg(1, &o.m, 2) }},
		{"PrepSendmsgZC", ring.OpSendmsgZC, func(s *ring.SQE) { s.PrepSendmsgZC(1, &o.m, 2) }},
		{"PrepSendmsgZCFixed", ring.OpSendmsgZC, func(s *ring.SQE) { s.PrepSendmsgZCFixed(1, &o.m, 2, 3) }},
		{"PrepRecv", ring.OpRecv, func(s *ring.SQE) { s.PrepRecv(1, p, 2) }},
		{"PrepRecvMultishot", ring.OpRecv, func(s *ring.SQE) { s.PrepRecvMultishot(1, 2, 3) }},
		{"PrepRecvmsg", ring.OpRecvmsg, func(s *ring.SQE) { s.PrepRecvmsg(1, &o.m, 2) }},
		{"PrepRecvmsgMultishot", ring.OpRecvmsg, func(s *ring.SQE) { s.PrepRecvmsgMultishot(1, &o.m, 2, 3) }},
		{"PrepRecvZC", ring.OpRecvZC, func(s *ring.SQE) { s.PrepRecvZC(1, 2, 3) }},
		{"PrepCmdSock", ring.OpURingCmd, func(s *ring.SQE) { s.PrepCmdSock(1, 2, 3, 4, p) }},
		{"PrepNop", ring.OpNop, func(s *ring.SQE) { s.PrepNop() }},
		{"PrepPollAdd", ring.OpPollAdd, func(s *ring.SQE) { s.PrepPollAdd(1, 2) }},
		{"PrepPollMultishot", ring.OpPollAdd, func(s *ring.SQE) { s.PrepPollMultishot(1, 2) }},
		{"PrepPollRemove", ring.OpPollRemove, func(s *ring.SQE) { s.PrepPollRemove(1) }},
		{"PrepPollUpdate", ring.OpPollRemove, func(s *ring.SQE) { s.PrepPollUpdate(1, 2, 3, 4) }},
		{"PrepEpollCtl", ring.OpEpollCtl, func(s *ring.SQE) { s.PrepEpollCtl(1, 2, 3, &o.event) }},
		{"PrepEpollWait", ring.OpEpollWait, func(s *ring.SQE) { s.PrepEpollWait(1, o.events[:], 0) }},
		{"PrepTimeout", ring.OpTimeout, func(s *ring.SQE) { s.PrepTimeout(t, 1, 2) }},
		{"PrepTimeoutRemove", ring.OpTimeoutRemove, func(s *ring.SQE) { s.PrepTimeoutRemove(1, 0) }},
		{"PrepTimeoutUpdate", ring.OpTimeoutRemove, func(s *ring.SQE) { s.PrepTimeoutUpdate(t, 1, 0) }},
		{"PrepLinkTimeout", ring.OpLinkTimeout, func(s *ring.SQE) { s.PrepLinkTimeout(t, 1) }},
		{"PrepCancel64", ring.OpAsyncCancel, func(s *ring.SQE) { s.PrepCancel64(1, 2) }},
		{"PrepCancelFD", ring.OpAsyncCancel, func(s *ring.SQE) { s.PrepCancelFD(1, 1) }},
		{"PrepCancelAny", ring.OpAsyncCancel, func(s *ring.SQE) { s.PrepCancelAny(1) }},
		{"PrepCancelOp", ring.OpAsyncCancel, func(s *ring.SQE) { s.PrepCancelOp(1, 1) }},
		{"PrepMsgRing", ring.OpMsgRing, func(s *ring.SQE) { s.PrepMsgRing(1, 2, 3, 0) }},
		{"PrepMsgRingFlags", ring.OpMsgRing, func(s *ring.SQE) { s.PrepMsgRingFlags(1, 2, 3, 0, 4) }},
		{"PrepMsgRingFD", ring.OpMsgRing, func(s *ring.SQE) { s.PrepMsgRingFD(1, 2, 3, 4, 0) }},
		{"PrepFilesUpdate", ring.OpFilesUpdate, func(s *ring.SQE) { s.PrepFilesUpdate(o.fds[:], 1) }},
		{"PrepFixedFDInstall", ring.OpFixedFDInstall, func(s *ring.SQE) { s.PrepFixedFDInstall(1, 0) }},
		{"PrepProvideBuffers", ring.OpProvideBuffers, func(s *ring.SQE) { s.PrepProvideBuffers(p, 1, 2, 3, 4) }},
		{"PrepRemoveBuffers", ring.OpRemoveBuffers, func(s *ring.SQE) { s.PrepRemoveBuffers(1, 2) }},
		{"PrepURingCmd", ring.OpURingCmd, func(s *ring.SQE) { s.PrepURingCmd(1, 2) }},
		{"PrepCmdDiscard", ring.OpURingCmd, func(s *ring.SQE) { s.PrepCmdDiscard(1, 2, 3) }},
		{"PrepFutexWait", ring.OpFutexWait, func(s *ring.SQE) { s.PrepFutexWait(&o.futex, 1, 2, 3, 0) }},
		{"PrepFutexWake", ring.OpFutexWake, func(s *ring.SQE) { s.PrepFutexWake(&o.futex, 1, 2, 3, 0) }},
		{"PrepFutexWaitv", ring.OpFutexWaitv, func(s *ring.SQE) { s.PrepFutexWaitv(o.futexv[:], 0) }},
		{"PrepWaitid", ring.OpWaitid, func(s *ring.SQE) { s.PrepWaitid(1, 2, &o.info, 3, 0) }},
	}
}

// Whatever an entry held, preparing it leaves nothing of it, and allocates
// nothing.
func TestPrepOverwritesTheWholeEntry(t *testing.T) {
	for _, p := range preps() {
		t.Run(p.name, func(t *testing.T) {
			var clean, dirty ring.SQE
			b := (*[unsafe.Sizeof(dirty)]byte)(unsafe.Pointer(&dirty))
			for i := range b {
				b[i] = 0xff
			}
			p.f(&clean)
			p.f(&dirty)
			require.Equal(t, clean, dirty)
			require.Equal(t, p.op, clean.Opcode)
			require.Zero(t, clean.UserData)
			require.Zero(t, testing.AllocsPerRun(10, func() { p.f(&clean) }))
		})
	}
}

func TestEveryPrepMethodIsTested(t *testing.T) {
	tested := map[string]bool{}
	ops := map[uint8]bool{}
	for _, p := range preps() {
		tested[p.name] = true
		ops[p.op] = true
	}
	typ := reflect.TypeFor[*ring.SQE]()
	for i := range typ.NumMethod() {
		if name := typ.Method(i).Name; strings.HasPrefix(name, "Prep") {
			require.True(t, tested[name], name)
		}
	}
	for op := range uint8(lastOp + 1) {
		require.True(t, ops[op], "opcode %d has no Prep method", op)
	}
}

// A goroutine's stack moves when it grows, so what an entry points at lies on
// the heap.
func TestOperandsLieOnTheHeap(t *testing.T) {
	var s ring.SQE
	require.EqualValues(t, 1, testing.AllocsPerRun(10, func() {
		var p [64]byte
		s.PrepRead(0, p[:], 0)
	}))
	require.EqualValues(t, 1, testing.AllocsPerRun(10, func() {
		var ts ring.Timespec
		s.PrepTimeout(&ts, 0, 0)
	}))
}

func TestEntrySetters(t *testing.T) {
	var s ring.SQE
	s.SetFixedFile()
	s.SetDrain()
	s.SetLink()
	s.SetHardlink()
	s.SetAsync()
	s.SetBufferGroup(7)
	s.SetSkipSuccess()
	require.EqualValues(t, 0x7f, s.Flags, "all flags of the ABI")
	require.EqualValues(t, 7, s.BufIndex)
	s.SetFlags(ring.SQEAsync)
	require.EqualValues(t, ring.SQEAsync, s.Flags)
	s.SetFixedBuffer(8)
	require.EqualValues(t, 8, s.BufIndex)
	s.SetData(9)
	require.EqualValues(t, 9, s.UserData)
	s.SetPersonality(10)
	require.EqualValues(t, 10, s.Personality)
	s.SetDirect(0)
	require.EqualValues(t, 1, s.FileIndex, "0 is no slot")
	s.SetDirect(ring.FileIndexAlloc)
	require.EqualValues(t, uint32(1<<32-1), s.FileIndex)
	s.SetWriteStream(3)
	require.EqualValues(t, 3, *(*uint8)(unsafe.Pointer(&s.FileIndex)))
	s.SetAddrLen(16)
	require.EqualValues(t, 16, *(*uint16)(unsafe.Pointer(&s.FileIndex)))
	s.SetPI(&operands.pi)
	require.EqualValues(t, uintptr(unsafe.Pointer(&operands.pi)), s.Addr3)
	require.EqualValues(t, ring.RWAttrFlagPI, s.AttrMask)
}

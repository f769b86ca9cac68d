package main

import (
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// An opcode is asked for twice: by what the kernel says that it knows, and by an
// entry that a kernel which knows it does not call EINVAL.
type opcode struct {
	name    string
	op      uint8
	prepare func(l *lab, s *ring.SQE) // nil: there is no such entry
}

const nowhere = -1 // no file: EBADF, once the entry is understood

var opcodes = []opcode{
	{"OpNop", ring.OpNop, func(_ *lab, s *ring.SQE) { s.PrepNop() }},
	{"OpReadv", ring.OpReadv, func(l *lab, s *ring.SQE) { s.PrepReadv(nowhere, l.iovec(l.bytes(1)), 0, 0) }},
	{"OpWritev", ring.OpWritev, func(l *lab, s *ring.SQE) { s.PrepWritev(nowhere, l.iovec(l.bytes(1)), 0, 0) }},
	{"OpFsync", ring.OpFsync, func(_ *lab, s *ring.SQE) { s.PrepFsync(nowhere, 0) }},
	{"OpReadFixed", ring.OpReadFixed, func(l *lab, s *ring.SQE) { s.PrepReadFixed(nowhere, l.bytes(1), 0, 0) }},
	{"OpWriteFixed", ring.OpWriteFixed, func(l *lab, s *ring.SQE) { s.PrepWriteFixed(nowhere, l.bytes(1), 0, 0) }},
	{"OpPollAdd", ring.OpPollAdd, func(_ *lab, s *ring.SQE) { s.PrepPollAdd(nowhere, unix.POLLIN) }},
	{"OpPollRemove", ring.OpPollRemove, func(_ *lab, s *ring.SQE) { s.PrepPollRemove(0) }},
	{"OpSyncFileRange", ring.OpSyncFileRange, func(_ *lab, s *ring.SQE) { s.PrepSyncFileRange(nowhere, 1, 0, 0) }},
	{"OpSendmsg", ring.OpSendmsg, func(l *lab, s *ring.SQE) { s.PrepSendmsg(nowhere, pointed(l, unix.Msghdr{}), 0) }},
	{"OpRecvmsg", ring.OpRecvmsg, func(l *lab, s *ring.SQE) { s.PrepRecvmsg(nowhere, pointed(l, unix.Msghdr{}), 0) }},
	{"OpTimeout", ring.OpTimeout, func(l *lab, s *ring.SQE) { s.PrepTimeout(l.soon(), 0, 0) }},
	{"OpTimeoutRemove", ring.OpTimeoutRemove, func(_ *lab, s *ring.SQE) { s.PrepTimeoutRemove(0, 0) }},
	{"OpAccept", ring.OpAccept, func(_ *lab, s *ring.SQE) { s.PrepAccept(nowhere, nil, nil, 0) }},
	{"OpAsyncCancel", ring.OpAsyncCancel, func(_ *lab, s *ring.SQE) { s.PrepCancel64(0, 0) }},
	{"OpLinkTimeout", ring.OpLinkTimeout, func(l *lab, s *ring.SQE) { s.PrepLinkTimeout(l.soon(), 0) }},
	{"OpConnect", ring.OpConnect, func(l *lab, s *ring.SQE) { s.PrepConnect(nowhere, pointed(l, unix.RawSockaddrAny{}), 2) }},
	{"OpFallocate", ring.OpFallocate, func(_ *lab, s *ring.SQE) { s.PrepFallocate(nowhere, 0, 0, 1) }},
	{"OpOpenat", ring.OpOpenat, func(l *lab, s *ring.SQE) { s.PrepOpenat(unix.AT_FDCWD, l.nothing(), unix.O_RDONLY, 0) }},
	{"OpClose", ring.OpClose, func(_ *lab, s *ring.SQE) { s.PrepClose(nowhere) }},
	{"OpFilesUpdate", ring.OpFilesUpdate, func(l *lab, s *ring.SQE) { s.PrepFilesUpdate(*pointed(l, []int32{-1}), 0) }},
	{"OpStatx", ring.OpStatx, func(l *lab, s *ring.SQE) {
		s.PrepStatx(unix.AT_FDCWD, l.nothing(), 0, unix.STATX_TYPE, pointed(l, unix.Statx_t{}))
	}},
	{"OpRead", ring.OpRead, func(l *lab, s *ring.SQE) { s.PrepRead(nowhere, l.bytes(1), 0) }},
	{"OpWrite", ring.OpWrite, func(l *lab, s *ring.SQE) { s.PrepWrite(nowhere, l.bytes(1), 0) }},
	{"OpFadvise", ring.OpFadvise, func(_ *lab, s *ring.SQE) { s.PrepFadvise(nowhere, 0, 1, unix.FADV_NORMAL) }},
	{"OpMadvise", ring.OpMadvise, func(_ *lab, s *ring.SQE) { s.PrepMadvise(nil, unix.MADV_NORMAL) }},
	{"OpSend", ring.OpSend, func(l *lab, s *ring.SQE) { s.PrepSend(nowhere, l.bytes(1), 0) }},
	{"OpRecv", ring.OpRecv, func(l *lab, s *ring.SQE) { s.PrepRecv(nowhere, l.bytes(1), 0) }},
	{"OpOpenat2", ring.OpOpenat2, func(l *lab, s *ring.SQE) {
		s.PrepOpenat2(unix.AT_FDCWD, l.nothing(), pointed(l, unix.OpenHow{}))
	}},
	{"OpEpollCtl", ring.OpEpollCtl, func(l *lab, s *ring.SQE) {
		s.PrepEpollCtl(nowhere, nowhere, unix.EPOLL_CTL_ADD, pointed(l, unix.EpollEvent{}))
	}},
	{"OpSplice", ring.OpSplice, func(_ *lab, s *ring.SQE) { s.PrepSplice(nowhere, -1, nowhere, -1, 1, 0) }},
	{"OpProvideBuffers", ring.OpProvideBuffers, func(l *lab, s *ring.SQE) { s.PrepProvideBuffers(l.bytes(8), 8, 1, 1, 0) }},
	{"OpRemoveBuffers", ring.OpRemoveBuffers, func(_ *lab, s *ring.SQE) { s.PrepRemoveBuffers(1, 1) }},
	{"OpTee", ring.OpTee, func(_ *lab, s *ring.SQE) { s.PrepTee(nowhere, nowhere, 1, 0) }},
	{"OpShutdown", ring.OpShutdown, func(_ *lab, s *ring.SQE) { s.PrepShutdown(nowhere, unix.SHUT_RD) }},
	{"OpRenameat", ring.OpRenameat, func(l *lab, s *ring.SQE) {
		s.PrepRenameat(unix.AT_FDCWD, l.nothing(), unix.AT_FDCWD, l.nothing(), 0)
	}},
	{"OpUnlinkat", ring.OpUnlinkat, func(l *lab, s *ring.SQE) { s.PrepUnlinkat(unix.AT_FDCWD, l.nothing(), 0) }},
	{"OpMkdirat", ring.OpMkdirat, func(l *lab, s *ring.SQE) { s.PrepMkdirat(unix.AT_FDCWD, l.nothing(), 0o700) }},
	{"OpSymlinkat", ring.OpSymlinkat, func(l *lab, s *ring.SQE) { s.PrepSymlinkat(l.text("x"), unix.AT_FDCWD, l.nothing()) }},
	{"OpLinkat", ring.OpLinkat, func(l *lab, s *ring.SQE) {
		s.PrepLinkat(unix.AT_FDCWD, l.nothing(), unix.AT_FDCWD, l.nothing(), 0)
	}},
	{"OpMsgRing", ring.OpMsgRing, func(_ *lab, s *ring.SQE) { s.PrepMsgRing(nowhere, 0, 0, 0) }},
	{"OpFsetxattr", ring.OpFsetxattr, func(l *lab, s *ring.SQE) { s.PrepFsetxattr(nowhere, l.text("user.x"), l.bytes(1), 0) }},
	{"OpSetxattr", ring.OpSetxattr, func(l *lab, s *ring.SQE) {
		s.PrepSetxattr(l.text("user.x"), l.bytes(1), l.nothing(), 0)
	}},
	{"OpFgetxattr", ring.OpFgetxattr, func(l *lab, s *ring.SQE) { s.PrepFgetxattr(nowhere, l.text("user.x"), l.bytes(1)) }},
	{"OpGetxattr", ring.OpGetxattr, func(l *lab, s *ring.SQE) { s.PrepGetxattr(l.text("user.x"), l.bytes(1), l.nothing()) }},
	{"OpSocket", ring.OpSocket, func(_ *lab, s *ring.SQE) { s.PrepSocket(1<<20, 0, 0, 0) }},
	{"OpURingCmd", ring.OpURingCmd, func(_ *lab, s *ring.SQE) { s.PrepURingCmd(0, nowhere) }},
	{"OpSendZC", ring.OpSendZC, func(l *lab, s *ring.SQE) { s.PrepSendZC(nowhere, l.bytes(1), 0, 0) }},
	{"OpSendmsgZC", ring.OpSendmsgZC, func(l *lab, s *ring.SQE) { s.PrepSendmsgZC(nowhere, pointed(l, unix.Msghdr{}), 0) }},
	{"OpReadMultishot", ring.OpReadMultishot, func(_ *lab, s *ring.SQE) { s.PrepReadMultishot(nowhere, 0, 0, 1) }},
	{"OpWaitid", ring.OpWaitid, func(_ *lab, s *ring.SQE) { s.PrepWaitid(unix.P_PID, 1<<30, nil, unix.WEXITED, 0) }},
	{"OpFutexWait", ring.OpFutexWait, func(l *lab, s *ring.SQE) { s.PrepFutexWait(pointed(l, uint32(0)), 1, 1<<32-1, futexU32, 0) }},
	{"OpFutexWake", ring.OpFutexWake, func(l *lab, s *ring.SQE) { s.PrepFutexWake(pointed(l, uint32(0)), 1, 1<<32-1, futexU32, 0) }},
	{"OpFutexWaitv", ring.OpFutexWaitv, func(l *lab, s *ring.SQE) {
		v := *pointed(l, make([]ring.FutexWaitv, 1))
		v[0].Futex(pointed(l, uint32(0)), 1, futexU32)
		s.PrepFutexWaitv(v, 0)
	}},
	{"OpFixedFDInstall", ring.OpFixedFDInstall, func(_ *lab, s *ring.SQE) { s.PrepFixedFDInstall(0, 0) }},
	{"OpFtruncate", ring.OpFtruncate, func(_ *lab, s *ring.SQE) { s.PrepFtruncate(nowhere, 0) }},
	{"OpBind", ring.OpBind, func(l *lab, s *ring.SQE) { s.PrepBind(nowhere, pointed(l, unix.RawSockaddrAny{}), 2) }},
	{"OpListen", ring.OpListen, func(_ *lab, s *ring.SQE) { s.PrepListen(nowhere, 1) }},
	{"OpRecvZC", ring.OpRecvZC, nil}, // EINVAL without an interface's queue
	{"OpEpollWait", ring.OpEpollWait, func(l *lab, s *ring.SQE) {
		s.PrepEpollWait(nowhere, *pointed(l, make([]unix.EpollEvent, 1)), 0)
	}},
	{"OpReadvFixed", ring.OpReadvFixed, func(l *lab, s *ring.SQE) { s.PrepReadvFixed(nowhere, l.iovec(l.bytes(1)), 0, 0, 0) }},
	{"OpWritevFixed", ring.OpWritevFixed, func(l *lab, s *ring.SQE) { s.PrepWritevFixed(nowhere, l.iovec(l.bytes(1)), 0, 0, 0) }},
	{"OpPipe", ring.OpPipe, func(_ *lab, s *ring.SQE) { s.PrepPipe(nil, unix.O_CLOEXEC) }},
}

const futexU32 = 2 // FUTEX2_SIZE_U32

// nothing names what is not there, in a directory that is not either.
func (l *lab) nothing() *byte { return l.text(l.path("no") + "/nothing") }

// head prepares what the next entry, a timeout, is linked to.
func (l *lab) head() {
	r, _ := l.pipe()
	l.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN); s.SetLink() })
}

// find asks in both ways. A kernel that was built without an opcode has a number
// for it, and EOPNOTSUPP.
func (o *opcode) find(l *lab) finding {
	p, err := l.registrar().Probe()
	l.must(err)
	if o.prepare == nil {
		if !p.Supported(o.op) && o.op <= p.LastOp() {
			return finding{no, notBuilt}
		}
		if !p.Supported(o.op) {
			return finding{no, "by ring.GetProbe"}
		}
		return finding{yes, "by ring.GetProbe"}
	}
	if o.op == ring.OpLinkTimeout {
		l.head()
	}
	c := l.do(func(s *ring.SQE) { o.prepare(l, s) })
	switch tried := taken(errno(c)); {
	case errno(c) == unix.EOPNOTSUPP && !p.Supported(o.op):
		return finding{no, notBuilt}
	case tried.answer == yes && !p.Supported(o.op), tried.answer == no && p.Supported(o.op):
		return finding{unclear, "IORING_REGISTER_PROBE says otherwise than " + errnoName(c)}
	default:
		return tried
	}
}

func errnoName(c ring.CQE) string {
	if c.Res >= 0 {
		return "success"
	}
	return name(errno(c))
}

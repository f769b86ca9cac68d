package main

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// try is a probe of one entry.
func try(prepare func(l *lab, s *ring.SQE)) probe {
	return func(l *lab) finding {
		return taken(errno(l.do(func(s *ring.SQE) { prepare(l, s) })))
	}
}

// timeoutFlags, pollFlags and cancelFlags are refused by a kernel that does not
// know them.
var timeoutFlags = map[string]probe{
	"FsyncDatasync": try(func(l *lab, s *ring.SQE) { s.PrepFsync(l.file(), ring.FsyncDatasync) }),
	"TimeoutAbs":    try(func(l *lab, s *ring.SQE) { s.PrepTimeout(l.soon(), 0, ring.TimeoutAbs) }),
	"TimeoutUpdate": try(func(l *lab, s *ring.SQE) { s.PrepTimeoutUpdate(l.ever(), 0, 0) }),
	"TimeoutBoottime": try(func(l *lab, s *ring.SQE) {
		s.PrepTimeout(l.soon(), 0, ring.TimeoutBoottime)
	}),
	"TimeoutRealtime": try(func(l *lab, s *ring.SQE) { s.PrepTimeout(l.soon(), 0, ring.TimeoutRealtime) }),
	"LinkTimeoutUpdate": try(func(l *lab, s *ring.SQE) {
		s.PrepTimeoutUpdate(l.ever(), 0, ring.LinkTimeoutUpdate)
	}),
	"TimeoutETimeSuccess": func(l *lab) finding {
		l.prep(func(s *ring.SQE) { s.PrepTimeout(l.soon(), 0, ring.TimeoutETimeSuccess); s.SetLink() })
		return taken(errno(l.of(l.prep(func(s *ring.SQE) { s.PrepNop() }))))
	},
	"TimeoutMultishot": func(l *lab) finding {
		c := l.do(func(s *ring.SQE) { s.PrepTimeout(l.soon(), 0, ring.TimeoutMultishot) })
		return saw(c.More(), "more to come", c)
	},
}

var pollFlags = map[string]probe{
	"PollAddMulti": completionFlags["CQEMore"],
	"PollUpdateEvents": try(func(_ *lab, s *ring.SQE) {
		s.PrepPollUpdate(0, 0, unix.POLLIN, ring.PollUpdateEvents)
	}),
	"PollUpdateUserData": try(func(_ *lab, s *ring.SQE) { s.PrepPollUpdate(0, 1, 0, ring.PollUpdateUserData) }),
	"PollAddLevel": func(l *lab) finding {
		r, w := l.pipe()
		l.fill(w, "x")
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN); s.Len = ring.PollAddLevel })))
	},
	"AsyncCancelAll":     try(func(_ *lab, s *ring.SQE) { s.PrepCancel64(0, ring.AsyncCancelAll) }),
	"AsyncCancelFD":      try(func(l *lab, s *ring.SQE) { s.PrepCancelFD(l.file(), 0) }),
	"AsyncCancelAny":     try(func(_ *lab, s *ring.SQE) { s.PrepCancelAny(0) }),
	"AsyncCancelFDFixed": try(func(_ *lab, s *ring.SQE) { s.PrepCancelFD(0, ring.AsyncCancelFDFixed) }),
	"AsyncCancelUserData": func(l *lab) finding {
		r, _ := l.pipe()
		l.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) })
		second := l.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) })
		l.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) })
		return l.cancels(second, func(s *ring.SQE) { s.PrepCancelFD(r, ring.AsyncCancelUserData); s.Addr = second })
	},
	"AsyncCancelOp": func(l *lab) finding {
		r, _ := l.pipe()
		l.prep(func(s *ring.SQE) { s.PrepTimeout(l.ever(), 0, 0) })
		poll := l.prep(func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN) })
		return l.cancels(poll, func(s *ring.SQE) { s.PrepCancelOp(ring.OpPollAdd, 0) })
	},
}

// cancels finds whether a cancel ends that one of several.
func (l *lab) cancels(data uint64, prepare func(s *ring.SQE)) finding {
	cancel := l.prep(prepare)
	l.submit()
	c := l.next()
	if c.UserData == cancel && c.Res < 0 {
		return finding{no, errnoName(c)}
	}
	if c.UserData == cancel {
		c = l.next()
	}
	if c.UserData != data {
		return finding{no, "cancels another one"}
	}
	return saw(errno(c) == unix.ECANCELED, "the one that was meant canceled", c)
}

// networkFlags are probed by sending and receiving.
var networkFlags = map[string]probe{
	"RecvSendPollFirst": func(l *lab) finding {
		return l.receive(func(s *ring.SQE, fd int) { s.PrepRecv(fd, l.bytes(8), 0); s.IOPrio = ring.RecvSendPollFirst })
	},
	"RecvMultishot": func(l *lab) finding {
		l.buffers(4, 8)
		return l.receive(func(s *ring.SQE, fd int) { s.PrepRecvMultishot(fd, 0, 1) })
	},
	"RecvSendBundle": func(l *lab) finding {
		l.buffers(4, 8)
		return l.receive(func(s *ring.SQE, fd int) {
			s.PrepRecv(fd, nil, 0)
			s.SetBufferGroup(1)
			s.IOPrio = ring.RecvSendBundle
		})
	},
	"RecvSendFixedBuf": func(l *lab) finding {
		p := l.bytes(8)
		l.must(l.registrar().RegisterBuffers([][]byte{p}))
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepSendZCFixed(l.udp(), p, 0, 0, 0) })))
	},
	"SendZCReportUsage": func(l *lab) finding {
		c, _ := l.sendZC(ring.SendZCReportUsage)
		return taken(errno(c))
	},
	"NotifUsageZCCopied": func(l *lab) finding { // to itself all is copied
		c, notif := l.sendZC(ring.SendZCReportUsage)
		return saw(uint32(notif.Res)&ring.NotifUsageZCCopied != 0, "a copy to oneself", c)
	},
	"SendVectorized": func(l *lab) finding {
		a, _ := l.pair(unix.SOCK_STREAM)
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepSendVectorized(a, l.iovec(l.bytes(8)), 0) })))
	},
	"AcceptMultishot": func(l *lab) finding {
		return l.accept(true, func(s *ring.SQE, fd int) { s.PrepAcceptMultishot(fd, unix.SOCK_CLOEXEC) })
	},
	"AcceptDontwait": func(l *lab) finding {
		return l.accept(false, func(s *ring.SQE, fd int) {
			s.PrepAccept(fd, nil, nil, unix.SOCK_CLOEXEC)
			s.IOPrio = ring.AcceptDontwait
		})
	},
	"AcceptPollFirst": func(l *lab) finding {
		return l.accept(true, func(s *ring.SQE, fd int) {
			s.PrepAccept(fd, nil, nil, unix.SOCK_CLOEXEC)
			s.IOPrio = ring.AcceptPollFirst
		})
	},
	"SocketOpSIOCINQ":  socketCommand(ring.SocketOpSIOCINQ),
	"SocketOpSIOCOUTQ": socketCommand(ring.SocketOpSIOCOUTQ),
	"SocketOpGetsockopt": func(l *lab) finding {
		c := l.do(func(s *ring.SQE) {
			s.PrepCmdSock(ring.SocketOpGetsockopt, l.udp(), unix.SOL_SOCKET, unix.SO_TYPE, l.bytes(4))
		})
		return command(c)
	},
	"SocketOpSetsockopt": func(l *lab) finding {
		c := l.do(func(s *ring.SQE) {
			s.PrepCmdSock(ring.SocketOpSetsockopt, l.udp(), unix.SOL_SOCKET, unix.SO_REUSEADDR, l.bytes(4))
		})
		return command(c)
	},
	// On a ring of short completions it is EINVAL; unknown commands are EOPNOTSUPP.
	"SocketOpTXTimestamp": socketCommand(ring.SocketOpTXTimestamp),
}

// receive is a receive on a socket where a byte waits.
func (l *lab) receive(prepare func(s *ring.SQE, fd int)) finding {
	a, z := l.pair(unix.SOCK_STREAM)
	l.fill(a, "x")
	return taken(errno(l.do(func(s *ring.SQE) { prepare(s, z) })))
}

// accept is one on a socket where a connection waits, or not.
func (l *lab) accept(waits bool, prepare func(s *ring.SQE, fd int)) finding {
	fd, dial := l.listen()
	if waits {
		dial()
	}
	c := l.do(func(s *ring.SQE) { prepare(s, fd) })
	if c.Res >= 0 {
		unix.Close(int(c.Res))
	}
	return taken(errno(c))
}

// sendZC sends without a copy, and returns the result and the notification.
func (l *lab) sendZC(flags uint16) (c, notif ring.CQE) {
	fd, p := l.udp(), l.bytes(8)
	c = l.do(func(s *ring.SQE) { s.PrepSendZC(fd, p, 0, flags) })
	if c.More() {
		notif = l.next()
	}
	return c, notif
}

func socketCommand(op uint32) probe {
	return func(l *lab) finding {
		return command(l.do(func(s *ring.SQE) { s.PrepCmdSock(op, l.udp(), 0, 0, nil) }))
	}
}

// command finds by what a command says: EOPNOTSUPP is one that is not known.
func command(c ring.CQE) finding {
	if errno(c) == unix.EOPNOTSUPP {
		return finding{no, "EOPNOTSUPP of a command"}
	}
	return finding{yes, errnoName(c)}
}

// messageFlags are of messages between rings.
var messageFlags = map[string]probe{
	"MsgData":        try(func(l *lab, s *ring.SQE) { s.PrepMsgRing(l.r.FD(), 0, 99, 0) }),
	"MsgSendFD":      func(l *lab) finding { return l.passFile(0) },
	"MsgRingCQESkip": func(l *lab) finding { return l.passFile(ring.MsgRingCQESkip) },
	"MsgRingFlagsPass": func(l *lab) finding {
		l.ring()
		to := l.setup(nil)
		c := l.do(func(s *ring.SQE) { s.PrepMsgRingFlags(to.FD(), 0, 99, 0, 1<<20) })
		message := to.CQ().Peek()
		return saw(message != nil && message.Flags == 1<<20, "flags that were passed", c)
	},
}

// passFile passes a registered file to another ring.
func (l *lab) passFile(flags uint32) finding {
	l.must(l.registrar().RegisterFiles([]int32{int32(l.file())}))
	to := l.setup(nil)
	l.must(to.Registrar().RegisterFilesSparse(1))
	return taken(errno(l.do(func(s *ring.SQE) { s.PrepMsgRingFD(to.FD(), 0, 0, 99, flags) })))
}

// nopFlags are ignored by kernels where a nop has none: those take any.
var nopFlags = map[string]probe{
	"NopInjectResult": func(l *lab) finding {
		c := l.do(func(s *ring.SQE) { s.PrepNop(); s.Len = 42; s.OpFlags = ring.NopInjectResult })
		return saw(c.Res == 42, "the result that was asked for", c)
	},
	"NopFile": func(l *lab) finding { return l.nop(ring.NopFile) },
	"NopFixedFile": func(l *lab) finding {
		return l.nop(ring.NopFile | ring.NopFixedFile)
	},
	"NopFixedBuffer": func(l *lab) finding { return l.nop(ring.NopFixedBuffer) },
	"NopTW":          func(l *lab) finding { return l.nop(ring.NopTW) },
	"NopCQE32": func(l *lab) finding {
		l.setup(&ring.Params{Flags: ring.SetupCQE32})
		return l.nop(ring.NopCQE32)
	},
}

func (l *lab) nop(flags uint32) finding {
	if c := l.do(func(s *ring.SQE) { s.PrepNop(); s.OpFlags = 1 << 30 }); c.Res == 0 {
		return finding{no, "any flag is ignored"}
	}
	return taken(errno(l.do(func(s *ring.SQE) { s.PrepNop(); s.FD = 0; s.OpFlags = flags })))
}

// fileFlags are of operations on files.
var fileFlags = map[string]probe{
	"FixedFDNoCloexec": func(l *lab) finding {
		l.must(l.registrar().RegisterFiles([]int32{int32(l.file())}))
		c := l.do(func(s *ring.SQE) { s.PrepFixedFDInstall(0, ring.FixedFDNoCloexec) })
		if c.Res >= 0 {
			unix.Close(int(c.Res))
		}
		return taken(errno(c))
	},
	"URingCmdFixed": func(l *lab) finding {
		l.must(l.registrar().RegisterBuffers([][]byte{l.bytes(8)}))
		fd := l.spare(unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0))
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepURingCmd(0, fd); s.OpFlags = ring.URingCmdFixed })))
	},
	"URingCmdMultishot": func(l *lab) finding { // of a command that no socket has
		group := func(flags uint32) ring.CQE {
			return l.do(func(s *ring.SQE) {
				s.PrepURingCmd(1<<20, l.udp())
				s.OpFlags, s.Flags = flags, ring.SQEBufferSelect
			})
		}
		c, without := group(ring.URingCmdMultishot), group(0)
		return saw(errno(c) == unix.EOPNOTSUPP && errno(without) == unix.EINVAL, "a buffer group, with it only", c)
	},
	"RWAttrFlagPI": func(l *lab) finding { // its attribute lies nowhere
		c := l.do(func(s *ring.SQE) {
			s.PrepRead(l.file(), l.bytes(8), 0)
			s.Addr3, s.AttrMask = 1, ring.RWAttrFlagPI
		})
		return saw(errno(c) == unix.EFAULT, "EFAULT of an attribute that is nowhere", c)
	},
	"SpliceFDInFixed": try(func(_ *lab, s *ring.SQE) { s.PrepSplice(0, -1, nowhere, -1, 1, ring.SpliceFDInFixed) }),
	"FileIndexAlloc": func(l *lab) finding {
		l.must(l.registrar().RegisterFilesSparse(1))
		name := l.text(l.path("new"))
		return taken(errno(l.do(func(s *ring.SQE) {
			s.PrepOpenatDirect(unix.AT_FDCWD, name, unix.O_RDWR|unix.O_CREAT, 0o600, ring.FileIndexAlloc)
		})))
	},
	"FilesSkip": func(l *lab) finding {
		l.must(l.registrar().RegisterFiles([]int32{int32(l.file())}))
		n, err := l.r.Registrar().RegisterFilesUpdate(0, []int32{ring.FilesSkip})
		return saw(err == nil && n == 1, "a slot left alone", ring.CQE{})
	},
	"BlockCmdDiscard": tryDiscard,
}

// tryDiscard asks a block device that is open to read only, which is EBADF. One
// that discards nothing, and a kernel without such commands, say EOPNOTSUPP; but
// a kernel that has some calls another one EINVAL.
func tryDiscard(l *lab) finding {
	fd, err := openBlockDevice()
	if err != nil {
		return finding{unclear, "needs a block device that may be read"}
	}
	l.spare(fd, nil)
	c := l.do(func(s *ring.SQE) { s.PrepCmdDiscard(fd, 0, 0) })
	other := l.do(func(s *ring.SQE) { s.PrepURingCmd(ring.BlockCmdDiscard+100, fd) })
	if errno(c) == unix.EOPNOTSUPP && errno(other) != unix.EINVAL {
		return finding{no, "EOPNOTSUPP of any command"}
	}
	return finding{yes, errnoName(c) + ", and " + errnoName(other) + " of another command"}
}

func openBlockDevice() (fd int, err error) {
	for _, name := range []string{"/dev/loop0", "/dev/vda", "/dev/sda"} {
		if fd, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			return fd, nil
		}
	}
	return -1, err
}

// incremental reads less than a buffer that is used up bit by bit.
func (l *lab) incremental() finding {
	b, err := l.registrar().SetupBufRing(1, 1, ring.PbufRingInc)
	l.must(err)
	b.Add(l.bytes(64), 0)
	b.Advance()
	r, w := l.pipe()
	l.fill(w, "x")
	c := l.do(func(s *ring.SQE) { s.PrepRead(r, nil, 0); s.Len = 64; s.SetBufferGroup(1) })
	return saw(c.Flags&ring.CQEBufMore != 0, "a buffer that is not used up", c)
}

// register is io_uring_register without a ring of package ring's.
func register(fd int, op uint32, arg unsafe.Pointer, n uint32) unix.Errno {
	_, _, e := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	runtime.KeepAlive(arg)
	return e
}

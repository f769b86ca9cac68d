package main

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// calls are functions of package ring's that need more than their constants do.
var calls = map[string]probe{
	"CloneBuffersOffset": func(l *lab) finding {
		return told(l.registrar().CloneBuffersOffset(l.buffered(), 0, 1, 1, 0))
	},
	"PrepCloseDirect": func(l *lab) finding {
		l.must(registerFile(l, l.registrar()))
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepCloseDirect(0) })))
	},
	// Where the field is not looked at, the length is 0: then no advice is bad, and
	// no memory is missing.
	"PrepFadvise64": try(func(l *lab, s *ring.SQE) { s.PrepFadvise64(l.file(), 0, 1, unix.FADV_NORMAL) }),
	"PrepMadvise64": func(l *lab) finding {
		p, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		l.must(err)
		l.onEnd(func() { unix.Munmap(p) })
		p[0] = 1
		c := l.do(func(s *ring.SQE) { s.PrepMadvise64(p, unix.MADV_DONTNEED) })
		return saw(p[0] == 0, "memory let go", c)
	},
	"PrepSendmsgZCFixed": func(l *lab) finding {
		p := l.bytes(8)
		l.must(l.registrar().RegisterBuffers([][]byte{p}))
		m := pointed(l, unix.Msghdr{Iov: &l.iovec(p)[0]})
		m.SetIovlen(1)
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepSendmsgZCFixed(l.udp(), m, 0, 0) })))
	},
	"PrepSendto": func(l *lab) finding { // a connected socket sends elsewhere
		from, to := l.udp(), l.datagrams()
		at, err := unix.Getsockname(to)
		l.must(err)
		raw := pointed(l, unix.RawSockaddrAny{})
		inet := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		inet.Family, inet.Addr = unix.AF_INET, [4]byte{127, 0, 0, 1}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&inet.Port))[:], uint16(at.(*unix.SockaddrInet4).Port))
		c := l.do(func(s *ring.SQE) { s.PrepSendto(from, l.bytes(1), 0, raw, unix.SizeofSockaddrInet4) })
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(to), Events: unix.POLLIN}}, 0)
		return saw(n == 1 && err == nil, "a byte that was sent elsewhere", c)
	},
	"SetWriteStream": func(*lab) finding { return finding{unclear, "needs a device with streams: others ignore it"} },
}

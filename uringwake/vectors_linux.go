package uringwake

import (
	"context"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func readv(ctx context.Context, fd int, v [][]byte, off int64) (int, error) {
	t := transfer{heldFile: heldFile{fd: fd}, call: "readv", v: iovecs(v), off: off,
		preparev: (*ring.SQE).PrepReadv, number: unix.SYS_PREADV2, ready: unix.POLLIN}
	return t.do(ctx)
}

func writev(ctx context.Context, fd int, v [][]byte, off int64) (int, error) {
	t := transfer{heldFile: heldFile{fd: fd}, call: "writev", v: iovecs(v), off: off,
		preparev: (*ring.SQE).PrepWritev, number: unix.SYS_PWRITEV2, ready: unix.POLLOUT}
	return t.do(ctx)
}

// iovecs returns the buffers as the kernel takes them. The result is not nil.
func iovecs(v [][]byte) []unix.Iovec {
	all := make([]unix.Iovec, len(v))
	for i, p := range v {
		all[i] = iovec(p)
	}
	return all
}

func iovec(p []byte) (v unix.Iovec) {
	v.Base = unsafe.SliceData(p)
	v.SetLen(len(p))
	return v
}

// skipIovecs removes the first n bytes from v, which it changes.
func skipIovecs(v []unix.Iovec, n int) []unix.Iovec {
	for len(v) > 0 && n >= int(v[0].Len) {
		n -= int(v[0].Len)
		v = v[1:]
	}
	if n > 0 {
		p := unsafe.Slice(v[0].Base, int(v[0].Len))
		v[0] = iovec(p[n:])
	}
	return v
}

// size is how many bytes are left.
func (t *transfer) size() int { return len(t.p) + sizeOf(t.v) }

func sizeOf(v []unix.Iovec) (n int) {
	for i := range v {
		n += int(v[i].Len)
	}
	return n
}

// message is vector for a socket.
func (t *transfer) message(flags int) (int, unix.Errno) {
	number := uintptr(unix.SYS_RECVMSG)
	if t.number == unix.SYS_PWRITEV2 {
		number = unix.SYS_SENDMSG
	}
	m := unix.Msghdr{Iov: unsafe.SliceData(t.v)}
	m.SetIovlen(len(t.v))
	n, _, e := syscall.Syscall(number, uintptr(t.fd), uintptr(unsafe.Pointer(&m)), uintptr(flags))
	runtime.KeepAlive(t.v)
	return result(n, e)
}

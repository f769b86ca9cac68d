package uringwake

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// This file is about files that do not support RWF_NOWAIT: terminals, and the older
// the kernel, the more kinds.

// nowWithoutFlag is now for a file that does not support RWF_NOWAIT, such as pipes and
// sockets of Linux 6.1, but has another way not to wait.
func (t *transfer) nowWithoutFlag() (n int, e unix.Errno) {
	switch flags, err := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0); {
	case kind(t.fd) == unix.S_IFSOCK:
		n, e = t.socket()
	case err == nil && flags&unix.O_NONBLOCK != 0 && !isRegular(t.fd):
		n, e = t.vector(0)
	default:
		return 0, unix.EOPNOTSUPP
	}
	if e == unix.EOPNOTSUPP { // the file's own error: it may never become ready
		e = unix.ENOSYS
	}
	return n, e
}

// socket is vector for a socket, which has MSG_DONTWAIT.
func (t *transfer) socket() (int, unix.Errno) {
	number, flags := uintptr(unix.SYS_RECVFROM), unix.MSG_DONTWAIT
	if t.number == unix.SYS_PWRITEV2 {
		number, flags = unix.SYS_SENDTO, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL|recordEnd(t.fd)
	}
	if t.size() > 0 && t.v != nil {
		return t.message(flags)
	}
	_, p := memory(t.p)
	n, _, e := syscall.Syscall6(number, uintptr(t.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(flags), 0, 0)
	runtime.KeepAlive(t.p)
	return result(n, e)
}

// recordEnd returns MSG_EOR where write(2) implies it.
func recordEnd(fd int) int {
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil && kind == unix.SOCK_SEQPACKET {
		return unix.MSG_EOR
	}
	return 0
}

// worker returns the flags that have one of the kernel's workers transfer. The
// keeper's thread must not, since it would copy with the ring locked.
//
// With IOSQE_ASYNC a worker starts at once, and looks first whether the file is ready:
// if another reader was faster, the kernel polls the file. When the file is ready
// again, a kernel that does not attempt such transfers spins forever, in the keeper's
// thread. Without the flag it leaves them to a worker that waits.
func (t *transfer) worker(why unix.Errno) (flags uint8) {
	if why != unix.EOPNOTSUPP || isRegular(t.fd) || attempts.ask() == nil {
		return ring.SQEAsync
	}
	return 0
}

// attempts finds out whether the kernel, when a file without RWF_NOWAIT is ready, attempts
// the transfer on the thread that submitted it: Linux 6.12 does, 6.1 does not.
var attempts = probe{test: testAttempts}

// testAttempts writes to such a file, a terminal, with an eventfd that counts what a
// worker completes. A write that has completed when the submission returns proves
// nothing: the worker may be fast.
func testAttempts() error {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return refusal("attempts of ready files", "no terminal to try with", &ring.Error{Call: "open", Errno: errnoOf(err)})
	}
	defer unix.Close(fd)
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return refusal("attempts of ready files", "no eventfd to try with", &ring.Error{Call: "eventfd", Errno: errnoOf(err)})
	}
	defer unix.Close(event)
	r, err := ring.Setup(2, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Registrar().RegisterEventFDAsync(event); err != nil {
		return refusal("attempts of ready files", "no notice of what a worker completes", err)
	}
	for range attemptRounds {
		r.SQ().GetSQE().PrepWrite(fd, []byte("x"), 0)
		c, err := submitOne(r)
		if err != nil {
			return err
		}
		if refusing(c.Res) {
			return leftToWorkers
		}
	}
	if n, _ := unix.Read(event, make([]byte, 8)); n == 8 {
		return leftToWorkers
	}
	return nil
}

var leftToWorkers = &unsupported{"attempts of ready files", "the kernel leaves those without RWF_NOWAIT to a worker, or refuses them", nil}

// attemptRounds is more than one, since a worker writes to the eventfd after it has
// completed the write.
const attemptRounds = 16

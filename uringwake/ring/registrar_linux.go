package ring

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Registrar tells the kernel of things that it keeps for the ring's
// operations. Any number of goroutines may use it: the kernel lets one after the
// other in. With [SetupSingleIssuer] only the ring's thread may: EEXIST.
//
// Its methods hold up the calling thread for as long as the kernel takes, and
// try again where a signal interrupted them.
type Registrar struct{ ring *Ring }

// call is io_uring_register on this ring.
func (r *Registrar) call(op uint32, arg unsafe.Pointer, n uint32) (int, error) {
	fd := r.ring.fd
	if fd < 0 {
		fd, op = r.ring.enterFD, op|RegisterUseRegisteredRing
	}
	for {
		res, e := register(fd, op, arg, n)
		if e != unix.EINTR {
			runtime.KeepAlive(r)
			return res, wrap("io_uring_register", e)
		}
	}
}

// register is the system call.
func register(fd int, op uint32, arg unsafe.Pointer, n uint32) (int, unix.Errno) {
	res, _, e := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	return int(res), e
}

// rsrcUpdate is struct io_uring_rsrc_update.
type rsrcUpdate struct {
	offset, resv uint32
	data         uint64
}

func (r *Registrar) unregisterRing(index uint32) error {
	_, err := r.call(UnregisterRingFDs, unsafe.Pointer(&rsrcUpdate{offset: index}), 1)
	return err
}

// SendMsgRing makes a completion in a ring, of an entry that a
// [SQE.PrepMsgRing] prepared, from any thread and without a ring of its own. Its
// flags must be 0. It stands for io_uring_register_sync_msg; Linux 6.13.
func SendMsgRing(s *SQE) error {
	_, _, e := unix.RawSyscall6(unix.SYS_IO_URING_REGISTER, ^uintptr(0), RegisterSendMsgRing, uintptr(unsafe.Pointer(s)), 1, 0, 0)
	return wrap("io_uring_register", e)
}

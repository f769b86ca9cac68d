package ring

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Registrar tells the kernel of things that it keeps for the ring's
// operations. Any number of goroutines may use it: the kernel lets one after the
// other in. Only RegisterRingFD, UnregisterRingFD, CloseRingFD and ResizeRings
// change the Ring itself: nothing of it may be in use beside them.
//
// With [SetupSingleIssuer] only the ring's thread may register: EEXIST. A thing
// that the kernel has never heard of matches errors.ErrUnsupported from Linux
// 6.0 on, and on stable kernels such as 5.10.223; where not, EINVAL leaves it
// open.
//
// The methods hold up the calling thread for as long as the kernel takes, and
// try again where a signal interrupted them.
type Registrar struct {
	ring *Ring

	mu   sync.Mutex
	maps []mapping // until Close
}

// A mapping is memory that the kernel reads or writes, and what is to be done
// when it is gone, so that nobody uses what is mapped there then.
type mapping struct {
	mem  []byte
	gone func() // or nil
}

// call is io_uring_register on this ring, until no signal interrupts it.
func (r *Registrar) call(op uint32, arg unsafe.Pointer, n uint32) (int, error) {
	for {
		res, err := r.try(op, arg, n)
		if !errors.Is(err, unix.EINTR) {
			return res, err
		}
	}
}

func (r *Registrar) try(op uint32, arg unsafe.Pointer, n uint32) (int, error) {
	fd := r.ring.fd
	switch {
	case r.ring.enterFD < 0:
		return 0, errClosed()
	case fd < 0:
		fd, op = r.ring.enterFD, op|RegisterUseRegisteredRing
	}
	res, e := register(fd, op, arg, n)
	runtime.KeepAlive(r)
	return res, wrapRegister(fd, op, e)
}

func wrapRegister(fd int, op uint32, e unix.Errno) error {
	return wrapIf("io_uring_register", e, func(e unix.Errno) bool { return unknownRegister(fd, op, e) })
}

// do is call for those that answer nothing.
func (r *Registrar) do(op uint32, arg unsafe.Pointer, n uint32) error {
	_, err := r.call(op, arg, n)
	return err
}

// register is the system call.
func register(fd int, op uint32, arg unsafe.Pointer, n uint32) (int, unix.Errno) {
	res, _, e := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	return int(res), e
}

// hold keeps a mapping until it is released or the ring is closed.
func (r *Registrar) hold(m []byte, gone func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.maps = append(r.maps, mapping{m, gone})
}

// release unmaps m, unless that was done.
func (r *Registrar) release(m []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.maps, func(o mapping) bool { return unsafe.SliceData(o.mem) == unsafe.SliceData(m) })
	if i < 0 {
		return nil
	}
	if gone := r.maps[i].gone; gone != nil {
		gone()
	}
	r.maps = slices.Delete(r.maps, i, i+1)
	return wrap("munmap", errnoOf(unix.Munmap(m)))
}

// unmap releases all.
func (r *Registrar) unmap() error {
	r.mu.Lock()
	maps := slices.Clone(r.maps)
	r.mu.Unlock()
	var errs []error
	for _, m := range maps {
		errs = append(errs, r.release(m.mem))
	}
	return errors.Join(errs...)
}

// SendMsgRing makes a completion in a ring, of an entry that
// [SQE.PrepMsgRing] prepared, from any thread and without a ring of its own. Its
// flags must be 0. It stands for io_uring_register_sync_msg; Linux 6.13.
func SendMsgRing(s *SQE) error {
	const nobody = ^uintptr(0)
	_, _, e := unix.Syscall6(unix.SYS_IO_URING_REGISTER, nobody, RegisterSendMsgRing, uintptr(unsafe.Pointer(s)), 1, 0, 0)
	if e == 0 {
		return nil
	}
	return wrapRegister(-1, RegisterSendMsgRing, e)
}

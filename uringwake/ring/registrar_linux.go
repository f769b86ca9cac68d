package ring

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Registrar registers files, buffers and the like, which the kernel keeps for the
// ring's operations. Any number of goroutines may use it: the kernel runs one call at a
// time. Only RegisterRingFD, UnregisterRingFD, CloseRingFD and ResizeRings change the
// Ring itself: no other part of it may be in use meanwhile.
//
// With [SetupSingleIssuer] only the ring's thread may register; calls in other threads
// fail with EEXIST. The error of a registration that the kernel does not know matches
// errors.ErrUnsupported on Linux 6.0 and later, and on some older stable kernels such
// as 5.10.223. On other kernels it is EINVAL, which may also mean a wrong argument.
//
// The methods block the calling thread until the kernel has done the registration, and
// repeat the call if a signal interrupts it.
type Registrar struct {
	ring *Ring

	mu   sync.Mutex
	maps []mapping // until Close
}

// A mapping is memory that the kernel reads or writes, with a function to call once
// it is unmapped, so that what is mapped there later is not used.
type mapping struct {
	mem  []byte
	gone func() // or nil
}

// call makes the system call on this ring, again if a signal interrupts it.
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

// do is call for registrations without a result.
func (r *Registrar) do(op uint32, arg unsafe.Pointer, n uint32) error {
	_, err := r.call(op, arg, n)
	return err
}

// register is io_uring_register.
func register(fd int, op uint32, arg unsafe.Pointer, n uint32) (int, unix.Errno) {
	res, _, e := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	return int(res), e
}

// hold keeps a mapping until release or until the ring is closed.
func (r *Registrar) hold(m []byte, gone func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.maps = append(r.maps, mapping{m, gone})
}

// release unmaps m, unless that was done already.
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

// unmap releases all mappings.
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

// SendMsgRing sends the message that [SQE.PrepMsgRing] has prepared in s, and so makes a
// completion in another ring. It may be called from any thread, and needs no ring of
// the caller. The flags of s must be 0. It corresponds to io_uring_register_sync_msg;
// Linux 6.13.
func SendMsgRing(s *SQE) error {
	const nobody = ^uintptr(0)
	_, _, e := unix.Syscall6(unix.SYS_IO_URING_REGISTER, nobody, RegisterSendMsgRing, uintptr(unsafe.Pointer(s)), 1, 0, 0)
	if e == 0 {
		return nil
	}
	return wrapRegister(-1, RegisterSendMsgRing, e)
}

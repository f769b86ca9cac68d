package ring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// PrepFutexWait waits for a wake if the word holds value, and otherwise completes
// with EAGAIN. mask selects the wakes that count, futexFlags are FUTEX2_..., flags
// must be 0. It corresponds to io_uring_prep_futex_wait; Linux 6.7.
func (s *SQE) PrepFutexWait(word *uint32, value, mask uint64, futexFlags, flags uint32) {
	*s = SQE{Opcode: OpFutexWait, FD: int32(futexFlags), Off: value, Addr: operand(unsafe.Pointer(word)),
		OpFlags: flags, Addr3: mask}
}

// PrepFutexWake wakes up to n waiters of the word; the result is how many. It
// corresponds to io_uring_prep_futex_wake; Linux 6.7.
func (s *SQE) PrepFutexWake(word *uint32, n, mask uint64, futexFlags, flags uint32) {
	s.PrepFutexWait(word, n, mask, futexFlags, flags)
	s.Opcode = OpFutexWake
}

// FutexWaitv is one word of several to wait on: struct futex_waitv; Linux 5.16.
type FutexWaitv struct {
	Value uint64
	addr  uint64
	Flags uint32 // FUTEX2_...
	resv  uint32
}

// Futex sets the word to wait on and its value. The caller keeps word reachable
// until the completion: v does not. Linux 5.16.
func (v *FutexWaitv) Futex(word *uint32, value uint64, flags uint32) {
	*v = FutexWaitv{Value: value, addr: operand(unsafe.Pointer(word)), Flags: flags}
}

// PrepFutexWaitv waits until one of several words is woken; the result is the index of
// that word. flags must be 0. It corresponds to io_uring_prep_futex_waitv; Linux 6.7.
func (s *SQE) PrepFutexWaitv(v []FutexWaitv, flags uint32) {
	*s = SQE{Opcode: OpFutexWaitv, Addr: operand(unsafe.Pointer(unsafe.SliceData(v))), Len: count(len(v)), OpFlags: flags}
}

// PrepWaitid waits until a child process changes state. idType is unix.P_..., options
// are unix.WEXITED and the like, info may be nil, and flags must be 0. It corresponds
// to io_uring_prep_waitid; Linux 6.7.
func (s *SQE) PrepWaitid(idType, id int, info *unix.Siginfo, options, flags uint32) {
	*s = SQE{Opcode: OpWaitid, FD: file(id), Off: operand(unsafe.Pointer(info)), Len: uint32(file(idType)),
		OpFlags: flags, FileIndex: options}
}

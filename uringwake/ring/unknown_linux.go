package ring

import (
	"errors"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// EINVAL means both a wrong argument and a thing that the kernel does not know. What
// follows finds out which by asking for that one thing alone. It runs only after a
// failure.

// noSuchFD is not a file: calls that the kernel knows return EBADF.
const noSuchFD = 1<<31 - 1

// unknownRegister reports whether the kernel certainly has no such opcode of
// io_uring_register. Kernels before 6.0 check the file first, and leave it open.
func unknownRegister(fd int, op uint32, e unix.Errno) bool {
	op &^= RegisterUseRegisteredRing
	switch {
	case e == unix.EINVAL:
		_, e = register(noSuchFD, op, nil, 0)
		return e == unix.EINVAL
	case e == unix.EBADF && fd == -1: // from no ring at all: Linux 6.13
		_, e = register(-1, op, nil, 0)
		return e == unix.EBADF
	}
	return false
}

// companions are the setup flags that work alone, or with one other.
var companions = map[uint32]uint32{
	SetupClamp:        0,
	SetupRDisabled:    0,
	SetupSubmitAll:    0,
	SetupCoopTaskrun:  0,
	SetupTaskrunFlag:  SetupCoopTaskrun,
	SetupSQE128:       0,
	SetupCQE32:        0,
	SetupSingleIssuer: 0,
	SetupDeferTaskrun: SetupSingleIssuer,
	SetupNoSQArray:    0,
	SetupHybridIOPoll: SetupIOPoll,
	SetupCQEMixed:     0,
}

// unknownSetup reports whether the kernel certainly does not know one of these setup
// flags. For a flag that is not in companions only Linux 6.18 tells.
func unknownSetup(flags uint32, e unix.Errno) bool {
	if e != unix.EINVAL {
		return false
	}
	if c, err := Query(); err == nil {
		return uint64(flags)&^c.SetupFlags != 0
	}
	for flag, with := range companions {
		if flags&flag != 0 && refusesSetup(flag|with) {
			return true
		}
	}
	return flags&SetupNoMmap != 0 && refusesNoMmap()
}

// refusesNoMmap tries a ring whose queues take a page each, which every kernel
// takes that knows SetupNoMmap.
func refusesNoMmap() bool {
	r := new(Ring)
	fd, err := r.create(1, &Params{Flags: SetupNoMmap}, anonymous)
	if err == nil {
		unix.Close(fd)
		_ = r.unmap()
	}
	return errnoOf(err) == unix.EINVAL
}

func refusesSetup(flags uint32) bool {
	p := Params{Flags: flags}
	fd, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, 2, uintptr(unsafe.Pointer(&p)), 0)
	if e == 0 {
		unix.Close(int(fd))
	}
	return e == unix.EINVAL
}

// unknownPart returns err, marked as unsupported if it is one of these and the
// kernel certainly does not know a part of what it was asked for.
func unknownPart(err error, unknown func() bool, these ...unix.Errno) error {
	if e, ok := errors.AsType[*Error](err); ok && slices.Contains(these, e.Errno) && !e.Unsupported {
		e.Unsupported = unknown()
	}
	return err
}

// onScratch calls f with a new ring, so that what f finds depends on the kernel
// only. It returns false if there is no ring.
func onScratch(f func(r *Registrar) bool) bool {
	r, err := Setup(1, nil)
	if err != nil {
		return false
	}
	defer r.Close()
	return f(r.Registrar())
}

// clonesAll reports whether the kernel clones all buffers or none: it does not clone
// one that is empty, to a ring that has none.
func clonesAll() bool {
	return onScratch(func(from *Registrar) bool {
		return onScratch(func(to *Registrar) bool {
			arg := cloneBuffers{srcFD: uint32(from.ring.fd), nr: 1}
			if from.RegisterBuffersSparse(1) != nil {
				return false
			}
			_, e := register(to.ring.fd, RegisterCloneBuffers, unsafe.Pointer(&arg), 1)
			return e == unix.EINVAL
		})
	})
}

// fillsSlots reports whether the kernel makes no empty slots: registrations with
// tags, which are older, refuse the flag.
func fillsSlots() bool {
	return onScratch(func(r *Registrar) bool { return errnoOf(r.slots(RegisterFiles2, 1)) == unix.EINVAL })
}

// pollsDynamically reports whether the kernel knows no other way to track network
// devices.
func pollsDynamically() bool {
	return onScratch(func(r *Registrar) bool {
		n := NAPI{Param: NAPITrackingStatic}
		_, e := register(r.ring.fd, RegisterNAPI, unsafe.Pointer(&n), 1)
		return e == unix.EINVAL
	})
}

// enterFailed returns err, marked as unsupported if the kernel certainly does not
// know one of these enter flags: one that it knows does nothing by itself.
func (q *SubmissionQueue) enterFailed(err error, flags uint32) error {
	return unknownPart(err, func() bool {
		for _, flag := range []uint32{EnterAbsTimer, EnterExtArgReg, EnterNoIOWait} {
			if flags&flag == 0 {
				continue
			}
			if _, err := q.ring.sys(0, 0, flag, 0, 0); errnoOf(err) == unix.EINVAL {
				return true
			}
		}
		return false
	}, unix.EINVAL)
}

package ring

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RegisterEventFD has the kernel add 1 to an eventfd at each completion. It
// corresponds to io_uring_register_eventfd; Linux 5.2.
//
// Before Linux 5.17 it waits until no operation is in flight, so it does not return while
// there is a multishot operation. The same holds for RegisterEventFDAsync and
// UnregisterEventFD.
func (r *Registrar) RegisterEventFD(fd int) error {
	n := file(fd)
	return r.do(RegisterEventFD, unsafe.Pointer(&n), 1)
}

// RegisterEventFDAsync has the kernel add 1 to an eventfd at each completion that
// was not there when the submission returned. It corresponds to
// io_uring_register_eventfd_async; Linux 5.6.
func (r *Registrar) RegisterEventFDAsync(fd int) error {
	n := file(fd)
	return r.do(RegisterEventFDAsync, unsafe.Pointer(&n), 1)
}

// UnregisterEventFD undoes RegisterEventFD and RegisterEventFDAsync. It corresponds
// to io_uring_unregister_eventfd; Linux 5.2.
func (r *Registrar) UnregisterEventFD() error { return r.do(UnregisterEventFD, nil, 0) }

// RegisterPersonality keeps the calling thread's credentials, and returns their
// number for [SQE.SetPersonality]. It corresponds to io_uring_register_personality;
// Linux 5.6.
func (r *Registrar) RegisterPersonality() (uint16, error) {
	id, err := r.call(RegisterPersonality, nil, 0)
	return uint16(id), err
}

// UnregisterPersonality forgets credentials. It corresponds to
// io_uring_unregister_personality; Linux 5.6.
func (r *Registrar) UnregisterPersonality(id uint16) error {
	return r.do(UnregisterPersonality, nil, uint32(id))
}

// A Restriction is one thing that a restricted ring may do, or one that it must do:
// struct io_uring_restriction; Linux 5.10.
type Restriction struct {
	Opcode uint16 // Restriction...
	Arg    uint8  // a Register... or Op..., or SQE... flags
	resv   uint8
	resv2  [3]uint32
}

// AllowRegister allows an opcode of io_uring_register; Linux 5.10.
func AllowRegister(op uint8) Restriction { return Restriction{Opcode: RestrictionRegisterOp, Arg: op} }

// AllowOp allows an operation; Linux 5.10.
func AllowOp(op uint8) Restriction { return Restriction{Opcode: RestrictionSQEOp, Arg: op} }

// AllowFlags allows these flags of an entry; Linux 5.10.
func AllowFlags(flags uint8) Restriction {
	return Restriction{Opcode: RestrictionSQEFlagsAllowed, Arg: flags}
}

// RequireFlags requires these flags of every entry; Linux 5.10.
func RequireFlags(flags uint8) Restriction {
	return Restriction{Opcode: RestrictionSQEFlagsRequired, Arg: flags}
}

// RegisterRestrictions limits permanently what a ring with [SetupRDisabled] may do once
// it is enabled: it may do only what is listed, and nothing if the list is empty. Other
// operations complete with EACCES. It corresponds to io_uring_register_restrictions;
// Linux 5.10.
func (r *Registrar) RegisterRestrictions(list ...Restriction) error {
	if len(list) == 0 { // which the kernel takes for a mistake
		list = []Restriction{AllowFlags(0)}
	}
	return r.do(RegisterRestrictions, unsafe.Pointer(unsafe.SliceData(list)), count(len(list)))
}

// EnableRings enables a ring with [SetupRDisabled]; with [SetupSingleIssuer] the
// calling thread becomes the one that may submit. It corresponds to
// io_uring_enable_rings; Linux 5.10.
func (r *Registrar) EnableRings() error { return r.do(RegisterEnableRings, nil, 0) }

// RegisterIOWQAff limits the ring's workers to these CPUs. It corresponds to
// io_uring_register_iowq_aff; Linux 5.14.
func (r *Registrar) RegisterIOWQAff(cpus *unix.CPUSet) error {
	return r.do(RegisterIOWQAff, unsafe.Pointer(cpus), uint32(unsafe.Sizeof(*cpus)))
}

// UnregisterIOWQAff lets the ring's workers run on all CPUs. It corresponds to
// io_uring_unregister_iowq_aff; Linux 5.14.
func (r *Registrar) UnregisterIOWQAff() error { return r.do(UnregisterIOWQAff, nil, 0) }

// RegisterIOWQMaxWorkers limits the workers of a NUMA node for operations of bounded
// and of unbounded time, and returns the former limits. Zero changes nothing. It
// corresponds to io_uring_register_iowq_max_workers; Linux 5.15.
func (r *Registrar) RegisterIOWQMaxWorkers(bounded, unbounded uint32) (oldBounded, oldUnbounded uint32, err error) {
	n := [2]uint32{IOWQBound: bounded, IOWQUnbound: unbounded}
	err = r.do(RegisterIOWQMaxWorkers, unsafe.Pointer(&n), uint32(len(n)))
	if err != nil {
		return 0, 0, err
	}
	return n[IOWQBound], n[IOWQUnbound], nil
}

// RegisterClock chooses the clock of waits: unix.CLOCK_MONOTONIC, which is the
// default, or unix.CLOCK_BOOTTIME. It corresponds to io_uring_register_clock; Linux
// 6.12.
func (r *Registrar) RegisterClock(clock uint32) error {
	err := r.do(RegisterClock, unsafe.Pointer(&[4]uint32{clock}), 0)
	if err == nil {
		r.ring.clock.Store(clock)
	}
	return err
}

// NAPI says how a ring polls network devices while it waits: struct io_uring_napi;
// Linux 6.9.
type NAPI struct {
	BusyPoll uint32 // microseconds
	Prefer   uint8  // 1: rather than interrupts
	Opcode   uint8  // NAPI...Op, NAPIStatic...; Linux 6.13
	pad      [2]uint8
	Param    uint32 // NAPITracking..., or the number to add or delete; Linux 6.13
	resv     uint32
}

// RegisterNAPI sets how the ring polls network devices, and stores the former
// setting in n. It corresponds to io_uring_register_napi; Linux 6.9.
func (r *Registrar) RegisterNAPI(n *NAPI) error {
	later := n != nil && (n.Opcode != 0 || n.Param != 0) // before n is what was before
	err := r.do(RegisterNAPI, unsafe.Pointer(n), 1)
	if later {
		return unknownPart(err, pollsDynamically, unix.EINVAL)
	}
	return err
}

// UnregisterNAPI undoes RegisterNAPI, and stores the former setting in n unless n is
// nil. It corresponds to io_uring_unregister_napi; Linux 6.9.
func (r *Registrar) UnregisterNAPI(n *NAPI) error { return r.do(UnregisterNAPI, unsafe.Pointer(n), 1) }

// A SyncCancel selects the operations that [Registrar.SyncCancel] cancels; Linux 6.0.
type SyncCancel struct {
	UserData uint64
	FD       int           // with AsyncCancelFD
	Flags    uint32        // AsyncCancel...
	Opcode   uint8         // with AsyncCancelOp; Linux 6.6
	Timeout  time.Duration // how long to wait for the end of the operations; 0 means no limit, less than 0 means not to wait
}

// syncCancel is struct io_uring_sync_cancel_reg.
type syncCancel struct {
	addr    uint64
	fd      int32
	flags   uint32
	timeout Timespec
	opcode  uint8
	pad     [7]uint8
	pad2    [3]uint64
}

// SyncCancel cancels operations and waits until they are canceled. It fails with
// ENOENT if there are none, and with ETIME at the end of the Timeout. It corresponds
// to io_uring_register_sync_cancel; Linux 6.0.
func (r *Registrar) SyncCancel(c SyncCancel) error {
	arg := syncCancel{addr: c.UserData, fd: file(c.FD), flags: c.Flags, opcode: c.Opcode}
	end := time.Now().Add(c.Timeout)
	for again := false; ; again = true {
		arg.timeout = Timespec{-1, -1}
		if c.Timeout != 0 {
			arg.timeout = TimespecOf(max(time.Until(end), 0))
		}
		_, err := r.try(RegisterSyncCancel, unsafe.Pointer(&arg), 1)
		switch {
		case again && errors.Is(err, unix.ENOENT): // the operations have ended after a signal interrupted the call
			return nil
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
}

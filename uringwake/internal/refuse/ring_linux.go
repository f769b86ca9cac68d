package refuse

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file makes the supervisor's own calls. It does not use package ring,
// whose tests use this package.

// params is struct io_uring_params, in words.
type params [30]uint32

const setupFlags = 2 // the word of params with the IORING_SETUP flags

func (p *params) bytes() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p))
}

// IORING_SETUP flags.
const (
	setupDisabled         = 1 << 6
	setupSingleIssuer     = 1 << 12
	setupRegisteredFDOnly = 1 << 15
)

// IORING_REGISTER opcodes.
const (
	registerProbe        = 8
	registerRestrictions = 11
	registerEnableRings  = 12
)

// A restriction is struct io_uring_restriction: something that is allowed.
type restriction struct {
	kind uint16
	arg  uint8
	_    uint8
	_    [3]uint32
}

// Kinds of restriction, IORING_RESTRICTION.
const (
	allowRegister = 0
	allowOpcode   = 1
	allowFlags    = 2
)

func setup(entries uint32, p *params) (int, unix.Errno) {
	fd, _, e := unix.Syscall6(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0, 0, 0, passMark)
	return int(fd), e
}

// register is io_uring_register; arg is an address, ours or a caller's.
//
//go:uintptrescapes
func register(fd int, op uint32, arg uintptr, count uint32) unix.Errno {
	_, _, e := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op), arg, uintptr(count), 0, passMark)
	return e
}

// setupRestricted makes a ring that allows all but the refused opcodes.
func setupRestricted(entries uint32, p *params, refused opcodes) (int, unix.Errno) {
	asked := p[setupFlags]
	disabled := asked&setupDisabled != 0 // the caller enables it
	if asked&setupRegisteredFDOnly != 0 || asked&setupSingleIssuer != 0 && !disabled {
		return -1, unix.EINVAL // they bind the ring to this thread
	}
	p[setupFlags] |= setupDisabled
	fd, e := setup(entries, p)
	if e != 0 {
		return -1, e
	}
	e = restrict(fd, refused)
	if e == 0 && !disabled {
		p[setupFlags] &^= setupDisabled
		e = register(fd, registerEnableRings, 0, 0)
	}
	if e != 0 {
		unix.Close(fd)
		return -1, e
	}
	return fd, 0
}

// restrict allows all but the refused opcodes. The kernel does not tell how
// many registrations it knows, and takes a list with none that it does not.
func restrict(fd int, refused opcodes) unix.Errno {
	var probe [probeHeader]byte
	if e := register(fd, registerProbe, uintptr(unsafe.Pointer(&probe)), 0); e != 0 {
		return e
	}
	last := int(probe[0])
	for registers := 128; registers > registerEnableRings; registers-- {
		list := allowed(registers, last, refused)
		e := register(fd, registerRestrictions, uintptr(unsafe.Pointer(&list[0])), uint32(len(list)))
		if e != unix.EINVAL {
			return e
		}
	}
	return unix.EINVAL
}

// allowed lists all flags, that many registrations, and the opcodes up to the
// last but for those refused.
func allowed(registers, last int, refused opcodes) []restriction {
	list := []restriction{{kind: allowFlags, arg: 0xff}}
	for op := range registers {
		list = append(list, restriction{kind: allowRegister, arg: uint8(op)})
	}
	for op := range last + 1 {
		if !refused[uint8(op)] {
			list = append(list, restriction{kind: allowOpcode, arg: uint8(op)})
		}
	}
	return list
}

// A probe is a header, which begins with the last opcode that the kernel knows,
// and an entry for each opcode.
const (
	probeHeader = 16
	probeEntry  = 8
	probeFlags  = 2 // where an entry has its flags, two bytes
)

// probeAnyRing fills in a probe by a ring of its own. It takes the caller's
// address only.
func probeAnyRing(arg uintptr, count uint32) unix.Errno {
	fd, e := setup(1, new(params))
	if e != 0 {
		return e
	}
	defer unix.Close(fd)
	return register(fd, registerProbe, arg, count)
}

// hide clears what a probe of count entries says of some opcodes.
func hide(addr uint64, count uint32, hidden opcodes) unix.Errno {
	for op := range hidden {
		if uint32(op) >= count {
			continue
		}
		flags := addr + probeHeader + probeEntry*uint64(op) + probeFlags
		if e := poke(flags, []byte{0, 0}); e != 0 {
			return e
		}
	}
	return 0
}

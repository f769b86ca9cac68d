package ring

import (
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A RegionDesc describes memory to register: struct io_uring_region_desc; Linux 6.13.
type RegionDesc struct {
	UserAddr   uint64 // the address of memory of the caller, whole pages, with MemRegionTypeUser
	Size       uint64 // the size in bytes
	Flags      uint32 // MemRegionTypeUser, or 0 for memory that the kernel allocates
	ID         uint32 // must be 0
	MmapOffset uint64 // set by the kernel: the offset at which to map memory that it has allocated
	resv       [4]uint64
}

// memRegion is struct io_uring_mem_region_reg.
type memRegion struct {
	region uint64
	flags  uint64
	resv   [2]uint64
}

// RegisterRegion registers memory for use by other calls. flags may have
// [MemRegionRegWaitArg], on a ring that is not enabled yet; then memory of the caller
// must stay mapped until the ring is closed. It corresponds to
// io_uring_register_region; Linux 6.13.
func (r *Registrar) RegisterRegion(d *RegionDesc, flags uint64) error {
	arg := &memRegion{region: operand(unsafe.Pointer(d)), flags: flags}
	if err := r.do(RegisterMemRegion, unsafe.Pointer(arg), 1); err != nil {
		return err
	}
	if flags&MemRegionRegWaitArg == 0 {
		return nil
	}
	return r.findWaits(d)
}

// findWaits notes where the options of waits lie, since a wait that goes on after a
// signal must know its end.
func (r *Registrar) findWaits(d *RegionDesc) error {
	base := pointer(d.UserAddr)
	if d.Flags&MemRegionTypeUser == 0 {
		m, err := unix.Mmap(r.ring.fd, int64(d.MmapOffset), int(d.Size), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			return wrap("mmap", errnoOf(err))
		}
		r.hold(m, nil)
		base = unsafe.Pointer(unsafe.SliceData(m))
	}
	r.ring.waits = unsafe.Slice((*RegWait)(base), d.Size/uint64(unsafe.Sizeof(RegWait{})))
	return nil
}

// pointer returns an address in the kernel's structures as the pointer that the
// caller made it of.
func pointer(addr uint64) unsafe.Pointer {
	p := uintptr(addr)
	return *(*unsafe.Pointer)(unsafe.Pointer(&p))
}

// A RegWait has the options of a wait, in a registered region: struct
// io_uring_reg_wait; Linux 6.13.
type RegWait struct {
	Timeout     Timespec
	MinWait     uint32 // microseconds
	Flags       uint32 // RegWaitTS if Timeout is to be used
	Sigmask     uint64 // the address of a signal mask, or 0
	SigmaskSize uint32
	pad         [3]uint32
	pad2        [2]uint64
}

// options returns what the kernel reads there.
func (w *RegWait) options() (o WaitOptions) {
	if w.Flags&RegWaitTS != 0 {
		t := w.Timeout
		o.Timeout = &t
	}
	o.MinWait = time.Duration(w.MinWait) * time.Microsecond
	if w.Sigmask != 0 {
		o.Sigmask = (*uint64)(pointer(w.Sigmask))
	}
	return o
}

// A WaitRegion holds options of waits, so that the kernel need not copy them for
// each wait.
type WaitRegion struct {
	waits []RegWait // nil once the ring is closed
	n     int
}

// SetupWaitRegion registers memory for the options of n waits, on a ring with
// [SetupRDisabled] that is not enabled yet. Closing the ring frees the memory. It
// corresponds to io_uring_register_wait_reg; Linux 6.13.
func (r *Registrar) SetupWaitRegion(n int) (*WaitRegion, error) {
	const size = unsafe.Sizeof(RegWait{})
	if n < 1 || n > maxMemory/int(size) {
		return nil, wrap("io_uring_register", unix.EINVAL)
	}
	mem, err := anonymous(uint64(n) * uint64(size))
	if err != nil {
		return nil, err
	}
	base := unsafe.Pointer(unsafe.SliceData(mem))
	d := RegionDesc{UserAddr: address(base), Size: uint64(len(mem)), Flags: MemRegionTypeUser}
	if err := r.RegisterRegion(&d, MemRegionRegWaitArg); err != nil {
		return nil, errors.Join(err, unmapAll([][]byte{mem}))
	}
	w := &WaitRegion{waits: unsafe.Slice((*RegWait)(base), n), n: n}
	r.hold(mem, func() { w.waits = nil })
	return w, nil
}

// At returns the options with index i, which the caller sets before a wait. It panics
// once the ring is closed.
func (w *WaitRegion) At(i int) *RegWait {
	if w.waits == nil {
		panic("ring: WaitRegion used after Ring.Close")
	}
	return &w.waits[i]
}

// Len returns for how many waits there are options.
func (w *WaitRegion) Len() int { return w.n }

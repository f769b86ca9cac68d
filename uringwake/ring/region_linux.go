package ring

import (
	"errors"
	"unsafe"
)

// RegionDesc is memory to register: struct io_uring_region_desc; Linux 6.13.
type RegionDesc struct {
	UserAddr   uint64 // with MemRegionTypeUser: whole pages
	Size       uint64 // bytes
	Flags      uint32 // MemRegionTypeUser, or 0: the kernel allocates it
	ID         uint32 // 0
	MmapOffset uint64 // answered: where to map the kernel's
	resv       [4]uint64
}

// memRegion is struct io_uring_mem_region_reg.
type memRegion struct {
	region uint64
	flags  uint64
	resv   [2]uint64
}

// RegisterRegion registers memory for use by other calls; flags may have
// [MemRegionRegWaitArg], on a ring that is disabled as yet. It stands for
// io_uring_register_region; Linux 6.13.
func (r *Registrar) RegisterRegion(d *RegionDesc, flags uint64) error {
	arg := &memRegion{region: operand(unsafe.Pointer(d)), flags: flags}
	return r.do(RegisterMemRegion, unsafe.Pointer(arg), 1)
}

// RegWait are the options of a wait in a registered region: struct
// io_uring_reg_wait; Linux 6.13.
type RegWait struct {
	Timeout     Timespec
	MinWait     uint32 // microseconds
	Flags       uint32 // RegWaitTS, if Timeout counts
	Sigmask     uint64 // the address of a mask
	SigmaskSize uint32
	pad         [3]uint32
	pad2        [2]uint64
}

// A WaitRegion holds options of waits, which the kernel need not copy for each.
type WaitRegion struct{ waits []RegWait }

// SetupWaitRegion registers room for n options of waits, on a ring with
// [SetupRDisabled] that is not enabled yet. Closing the ring frees it. It stands
// for io_uring_register_wait_reg; Linux 6.13.
func (r *Registrar) SetupWaitRegion(n int) (*WaitRegion, error) {
	mem, err := anonymous(uint64(max(n, 1)) * uint64(unsafe.Sizeof(RegWait{})))
	if err != nil {
		return nil, err
	}
	base := unsafe.Pointer(unsafe.SliceData(mem))
	d := RegionDesc{UserAddr: address(base), Size: uint64(len(mem)), Flags: MemRegionTypeUser}
	if err := r.RegisterRegion(&d, MemRegionRegWaitArg); err != nil {
		return nil, errors.Join(err, unmapAll([][]byte{mem}))
	}
	r.hold(mem)
	return &WaitRegion{waits: unsafe.Slice((*RegWait)(base), n)}, nil
}

// At is the options with that index, to be filled in before a wait.
func (w *WaitRegion) At(i int) *RegWait { return &w.waits[i] }

// Len is how many there are.
func (w *WaitRegion) Len() int { return len(w.waits) }

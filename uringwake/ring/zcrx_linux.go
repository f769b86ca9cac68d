package ring

import (
	"runtime"
	"unsafe"
)

// ZcrxIfqReg binds a receive queue of a network interface to a ring, for
// [SQE.PrepRecvZC]: struct io_uring_zcrx_ifq_reg; Linux 6.15.
type ZcrxIfqReg struct {
	IfIndex   uint32
	IfQueue   uint32
	RQEntries uint32 // of the refill queue, a power of two
	Flags     uint32
	area      uint64
	region    uint64
	Offsets   ZcrxOffsets // answered: where in the region the refill queue lies
	ID        uint32      // answered: the queue for PrepRecvZC
	resv2     uint32
	resv      [3]uint64
}

// ZcrxOffsets is struct io_uring_zcrx_offsets.
type ZcrxOffsets struct {
	Head, Tail, RQEs uint32
	resv2            uint32
	resv             [2]uint64
}

// ZcrxAreaReg is the memory that is received into: struct
// io_uring_zcrx_area_reg; Linux 6.15.
type ZcrxAreaReg struct {
	Addr     uint64 // whole pages
	Len      uint64
	Token    uint64 // answered: goes into the refill queue
	Flags    uint32
	DMABufFD uint32
	resv     [2]uint64
}

// RegisterZcrxIfq binds the queue: area is where data goes, region holds the
// refill queue. The ring needs [SetupDeferTaskrun] and either
// [SetupCQE32] or [SetupCQEMixed], the caller CAP_NET_ADMIN. It stands for
// io_uring_register_ifq; Linux 6.15.
func (r *Registrar) RegisterZcrxIfq(q *ZcrxIfqReg, area *ZcrxAreaReg, region *RegionDesc) error {
	q.area, q.region = operand(unsafe.Pointer(area)), operand(unsafe.Pointer(region))
	err := r.do(RegisterZcrxIfq, unsafe.Pointer(q), 1)
	q.area, q.region = 0, 0
	runtime.KeepAlive(area)
	runtime.KeepAlive(region)
	return err
}

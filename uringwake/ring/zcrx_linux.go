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
	Flags    uint32 // ZcrxAreaDMABuf
	DMABufFD uint32 // with ZcrxAreaDMABuf, of which Addr and Len are a part then; Linux 6.16
	resv     [2]uint64
}

// ZcrxRQE is an entry of the refill queue, by which the caller gives a buffer
// back: struct io_uring_zcrx_rqe; Linux 6.15.
type ZcrxRQE struct {
	Off uint64 // where the buffer is: the completion's Off, in the area of that token
	Len uint32
	_   uint32
}

// ZcrxCQE is what a completion of [SQE.PrepRecvZC] has to say beside its length,
// see [CompletionQueue.Extra]: struct io_uring_zcrx_cqe; Linux 6.15.
type ZcrxCQE struct {
	Off uint64 // where the data is in the area, see ZcrxAreaShift
	pad uint64
}

// ZcrxExtra takes a completion's Extra apart.
func ZcrxExtra(extra [2]uint64) ZcrxCQE { return ZcrxCQE{Off: extra[0], pad: extra[1]} }

// Area is the number of the area.
func (c ZcrxCQE) Area() uint16 { return uint16(c.Off >> ZcrxAreaShift) }

// Start is the first byte of the data in its area.
func (c ZcrxCQE) Start() uint64 { return c.Off &^ ZcrxAreaMask }

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

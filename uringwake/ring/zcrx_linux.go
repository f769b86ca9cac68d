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
	Offsets   ZcrxOffsets // set by the kernel: where in the region the refill queue lies
	ID        uint32      // set by the kernel: the queue for PrepRecvZC
	resv2     uint32
	resv      [3]uint64
}

// ZcrxOffsets is struct io_uring_zcrx_offsets.
type ZcrxOffsets struct {
	Head, Tail, RQEs uint32
	resv2            uint32
	resv             [2]uint64
}

// A ZcrxAreaReg describes the memory into which data is received: struct
// io_uring_zcrx_area_reg; Linux 6.15.
type ZcrxAreaReg struct {
	Addr     uint64 // the address; Addr and Len are whole pages
	Len      uint64
	Token    uint64 // set by the kernel: goes into the refill queue
	Flags    uint32 // ZcrxAreaDMABuf
	DMABufFD uint32 // the descriptor of a dma-buf, with ZcrxAreaDMABuf; Addr and Len are then a part of it; Linux 6.16
	resv     [2]uint64
}

// ZcrxRQE is an entry of the refill queue, by which the caller returns a buffer:
// struct io_uring_zcrx_rqe; Linux 6.15.
type ZcrxRQE struct {
	Off uint64 // where the buffer is: ZcrxCQE.Start | ZcrxAreaReg.Token
	Len uint32
	_   uint32
}

// ZcrxCQE is what a completion of [SQE.PrepRecvZC] says in addition to its length,
// see [CompletionQueue.Extra]: struct io_uring_zcrx_cqe; Linux 6.15.
type ZcrxCQE struct {
	Off uint64 // where the data is in the area, see ZcrxAreaShift
	pad uint64
}

// ZcrxExtra parses a completion's Extra.
func ZcrxExtra(extra [2]uint64) ZcrxCQE { return ZcrxCQE{Off: extra[0], pad: extra[1]} }

// Area returns the number of the area.
func (c ZcrxCQE) Area() uint16 { return uint16(c.Off >> ZcrxAreaShift) }

// Start returns the offset of the data in its area.
func (c ZcrxCQE) Start() uint64 { return c.Off &^ ZcrxAreaMask }

// RegisterZcrxIfq binds the queue: area is where data goes, region holds the refill
// queue. The ring needs [SetupDeferTaskrun] and either [SetupCQE32] or
// [SetupCQEMixed], and the caller CAP_NET_ADMIN. It corresponds to
// io_uring_register_ifq; Linux 6.15.
func (r *Registrar) RegisterZcrxIfq(q *ZcrxIfqReg, area *ZcrxAreaReg, region *RegionDesc) error {
	q.area, q.region = operand(unsafe.Pointer(area)), operand(unsafe.Pointer(region))
	err := r.do(RegisterZcrxIfq, unsafe.Pointer(q), 1)
	q.area, q.region = 0, 0
	runtime.KeepAlive(area)
	runtime.KeepAlive(region)
	return err
}

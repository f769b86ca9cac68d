package ring

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Capabilities are what the kernel knows: struct io_uring_query_opcode; Linux
// 6.18.
type Capabilities struct {
	Opcodes         uint32 // how many, of Op...
	RegisterOpcodes uint32 // how many, of Register...
	Features        uint64 // Feat...
	SetupFlags      uint64 // Setup...
	EnterFlags      uint64 // Enter...
	SQEFlags        uint64 // SQE...
}

// queryHeader is struct io_uring_query_hdr.
type queryHeader struct {
	next, data uint64
	op, size   uint32
	result     int32
	resv       [3]uint32
}

// Query asks the kernel what it knows. It needs no ring. It corresponds to
// io_uring_register_query with IO_URING_QUERY_OPCODES; Linux 6.18.
func Query() (*Capabilities, error) {
	c := new(Capabilities)
	h := queryHeader{data: operand(unsafe.Pointer(c)), op: QueryOpcodes, size: uint32(unsafe.Sizeof(*c))}
	_, e := register(-1, RegisterQuery, unsafe.Pointer(&h), 0)
	runtime.KeepAlive(c)
	if e == 0 && h.result < 0 {
		e = unix.Errno(-h.result)
	}
	if e != 0 {
		return nil, wrapRegister(-1, RegisterQuery, e)
	}
	return c, nil
}

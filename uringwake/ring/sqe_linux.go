package ring

import (
	"math"
	"runtime"
	"unsafe"
)

// An SQE is one submission. It has the layout of the first 64 bytes of struct
// io_uring_sqe; the names of the C unions' other members are at the fields.
//
// A Prep method overwrites all of it, the user data and flags too: set them
// after it. It allocates nothing and makes no system call. What its operands
// point at must stay where it is and reachable until the last completion, see
// the package's comment.
type SQE struct {
	Opcode      uint8  // Op...
	Flags       uint8  // SQE...
	IOPrio      uint16 // or flags of a send, receive or accept
	FD          int32  // or an index of a registered file
	Off         uint64 // addr2; cmd_op
	Addr        uint64 // splice_off_in; level and optname
	Len         uint32
	OpFlags     uint32 // rw_flags and all other ..._flags; poll32_events
	UserData    uint64 // comes back in the completion
	BufIndex    uint16 // buf_group
	Personality uint16 // of [Registrar.RegisterPersonality], or 0
	FileIndex   uint32 // splice_fd_in; optlen; addr_len; write_stream; zcrx_ifq_idx
	Addr3       uint64 // optval; attr_ptr; the command area starts here
	AttrMask    uint64 // attr_type_mask
}

// SetData sets what comes back in the completion. It stands for
// io_uring_sqe_set_data64; Linux 5.1.
func (s *SQE) SetData(userData uint64) { s.UserData = userData }

// SetFlags sets all of the entry's flags, SQE... It stands for
// io_uring_sqe_set_flags; Linux 5.1.
func (s *SQE) SetFlags(flags uint8) { s.Flags = flags }

// SetFixedFile says that FD is an index of a registered file. [SQEFixedFile];
// Linux 5.1.
func (s *SQE) SetFixedFile() { s.Flags |= SQEFixedFile }

// SetDrain has it start after all earlier ones have completed, and all later
// ones after it; on Linux 6.1 a later write into a pipe overtook it at times. It is EOPNOTSUPP on a ring that has had an entry with
// SetSkipSuccess. [SQEDrain]; Linux 5.2.
func (s *SQE) SetDrain() { s.Flags |= SQEDrain }

// SetLink has the next entry start after this one completed, and be canceled
// if this one failed. A read or write that is shorter than asked for has failed
// here, though its result is not negative. [SQELink]; Linux 5.3.
func (s *SQE) SetLink() { s.Flags |= SQELink }

// SetHardlink has the next entry start after this one completed, well or not, and
// be canceled if the kernel refused this one: see [SubmissionQueue.Submit].
// [SQEHardlink]; Linux 5.5.
func (s *SQE) SetHardlink() { s.Flags |= SQEHardlink }

// SetAsync leaves it to a worker without a first try. [SQEAsync]; Linux 5.6.
func (s *SQE) SetAsync() { s.Flags |= SQEAsync }

// SetSkipSuccess asks for no completion if it succeeds. If the head of a link has
// it and fails, the entries that are canceled for it have no completion either.
// [SQECQESkipSuccess]; Linux 5.17.
func (s *SQE) SetSkipSuccess() { s.Flags |= SQECQESkipSuccess }

// SetBufferGroup has the kernel take a provided buffer of that group when it
// needs one; the operation's own buffer must be nil. It stands for
// io_uring_sqe_set_buf_group with [SQEBufferSelect]; Linux 5.7.
func (s *SQE) SetBufferGroup(group uint16) {
	s.Flags |= SQEBufferSelect
	s.BufIndex = group
}

// SetFixedBuffer says that the operation's memory lies in a registered buffer;
// Linux 5.1.
func (s *SQE) SetFixedBuffer(index uint16) { s.BufIndex = index }

// SetPersonality has it run with registered credentials; Linux 5.6.
func (s *SQE) SetPersonality(id uint16) { s.Personality = id }

// SetDirect puts the file that the operation opens into that slot of the
// registered files, or into a free one with [FileIndexAlloc], instead of giving
// it a file descriptor; Linux 5.15, FileIndexAlloc 5.19.
func (s *SQE) SetDirect(slot uint32) {
	if slot != FileIndexAlloc {
		slot++ // 0 says that a file descriptor is wanted
	}
	s.FileIndex = slot
}

// SetAddrLen sets the length of a send's destination address; Linux 6.1.
func (s *SQE) SetAddrLen(n uint16) {
	s.FileIndex = 0
	*(*uint16)(unsafe.Pointer(&s.FileIndex)) = n
}

// SetWriteStream puts a write into one of the file's streams; Linux 6.16.
func (s *SQE) SetWriteStream(stream uint8) {
	s.FileIndex = 0
	*(*uint8)(unsafe.Pointer(&s.FileIndex)) = stream
}

// SetPI gives a read or write its protection information; Linux 6.14.
func (s *SQE) SetPI(a *AttrPI) {
	s.Addr3, s.AttrMask = operand(unsafe.Pointer(a)), RWAttrFlagPI
}

// AttrPI is the protection information of a read or write: struct
// io_uring_attr_pi; Linux 6.14.
type AttrPI struct {
	Flags  uint16
	AppTag uint16
	Len    uint32
	Addr   uint64
	Seed   uint64
	resv   uint64
}

// pair stores two 32-bit members of a C struct where a 64-bit one lies.
func pair(to *uint64, first, second uint32) {
	*(*[2]uint32)(unsafe.Pointer(to)) = [2]uint32{first, second}
}

// bigEndian is this machine's byte order.
const bigEndian = runtime.GOARCH == "s390x" || runtime.GOARCH == "ppc64" ||
	runtime.GOARCH == "mips" || runtime.GOARCH == "mips64"

// escape is how operand fools the compiler.
var escape struct {
	ever bool // false
	to   unsafe.Pointer
}

// operand is the address of what the kernel will read or write later. It moves
// its argument to the heap, for a stack may be moved or given away meanwhile;
// the caller keeps it reachable.
func operand(p unsafe.Pointer) uint64 {
	if escape.ever {
		escape.to = p
	}
	return uint64(uintptr(p))
}

// file is an int as the kernel holds descriptors and other numbers. One that does
// not fit there is -1, which is no file and no number of anything, rather than
// another one.
func file(fd int) int32 {
	if int(int32(fd)) != fd {
		return -1
	}
	return int32(fd)
}

// maxTransfer is the most that the kernel reads, writes, sends or receives in
// one operation, whatever it is asked for.
const maxTransfer = 0x7ffff000

// length is that of a buffer to transfer.
func length(p []byte) uint32 { return uint32(min(len(p), maxTransfer)) }

// count is a number of things, where the kernel has a limit far below.
func count(n int) uint32 { return uint32(min(uint64(n), math.MaxUint32)) }

// bytes and text are operand of a slice and of a NUL-terminated string.
func bytes(p []byte) uint64 { return operand(unsafe.Pointer(unsafe.SliceData(p))) }
func text(p *byte) uint64   { return operand(unsafe.Pointer(p)) }

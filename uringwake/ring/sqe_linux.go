package ring

import (
	"runtime"
	"unsafe"
)

// An SQE is one submission. It has the layout of the first 64 bytes of struct
// io_uring_sqe; the names of the C unions' other members are at the fields.
//
// A Prep method overwrites the whole entry, including the user data and the flags, so
// set these after it. It allocates nothing and makes no system call. What its operands
// point at must stay at its place and reachable until the last completion; see the
// package's documentation.
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

// SetData sets the user data, which comes back in the completion. It corresponds to
// io_uring_sqe_set_data64; Linux 5.1.
func (s *SQE) SetData(userData uint64) { s.UserData = userData }

// SetFlags sets all of the entry's flags, SQE... It corresponds to
// io_uring_sqe_set_flags; Linux 5.1.
func (s *SQE) SetFlags(flags uint8) { s.Flags = flags }

// SetFixedFile makes FD an index of a registered file. It sets [SQEFixedFile]; Linux 5.1.
func (s *SQE) SetFixedFile() { s.Flags |= SQEFixedFile }

// SetDrain has the operation start after all earlier operations have completed, and all
// later operations start after it. (On Linux 6.1 a later write into a pipe overtook it
// at times.) The operation fails with EOPNOTSUPP on a ring that has had an entry with
// SetSkipSuccess. SetDrain sets [SQEDrain]; Linux 5.2.
func (s *SQE) SetDrain() { s.Flags |= SQEDrain }

// SetLink has the next entry start after this one has completed, or be canceled if this
// one fails. A read or write that is shorter than asked for counts as failed, though
// its result is not negative. SetLink sets [SQELink]; Linux 5.3.
func (s *SQE) SetLink() { s.Flags |= SQELink }

// SetHardlink has the next entry start after this one has completed, even if it fails.
// The next entry is canceled only if the kernel refuses this one; see
// [SubmissionQueue.Submit]. SetHardlink sets [SQEHardlink]; Linux 5.5.
func (s *SQE) SetHardlink() { s.Flags |= SQEHardlink }

// SetAsync has a worker do the operation, without a first attempt by the thread that
// submits. It sets [SQEAsync]; Linux 5.6.
func (s *SQE) SetAsync() { s.Flags |= SQEAsync }

// SetSkipSuccess asks for no completion if the operation succeeds. If it is set in the
// first of several linked entries, and that one fails, the entries that are canceled
// because of that have no completion either. It sets [SQECQESkipSuccess]; Linux 5.17.
func (s *SQE) SetSkipSuccess() { s.Flags |= SQECQESkipSuccess }

// SetBufferGroup has the kernel take a provided buffer of that group when it needs
// one; the operation's own buffer must be nil. It corresponds to
// io_uring_sqe_set_buf_group with [SQEBufferSelect]; Linux 5.7.
func (s *SQE) SetBufferGroup(group uint16) {
	s.Flags |= SQEBufferSelect
	s.BufIndex = group
}

// SetFixedBuffer says that the operation's memory lies in the registered buffer with
// that index; Linux 5.1.
func (s *SQE) SetFixedBuffer(index uint16) { s.BufIndex = index }

// SetPersonality has the operation run with registered credentials; Linux 5.6.
func (s *SQE) SetPersonality(id uint16) { s.Personality = id }

// SetDirect has the operation put the file that it opens into that slot of the
// registered files, or into a free one with [FileIndexAlloc], instead of making a file
// descriptor; Linux 5.15, FileIndexAlloc 5.19.
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

// SetPI sets the protection information of a read or write; Linux 6.14.
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

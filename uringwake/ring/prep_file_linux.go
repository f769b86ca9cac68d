package ring

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offset -1 of a read or write, in two's complement, is the file's own position. Of
// several operations at once that use it, some lose bytes and some repeat them,
// since the kernel reads the position before and writes it after. For files without
// a position, such as pipes, the offset is ignored, where pread fails with ESPIPE.

// PrepRead reads into p at an offset. It corresponds to io_uring_prep_read; Linux
// 5.6.
func (s *SQE) PrepRead(fd int, p []byte, off uint64) {
	*s = SQE{Opcode: OpRead, FD: file(fd), Off: off, Addr: bytes(p), Len: length(p)}
}

// PrepWrite writes p at an offset. It corresponds to io_uring_prep_write; Linux 5.6.
func (s *SQE) PrepWrite(fd int, p []byte, off uint64) {
	*s = SQE{Opcode: OpWrite, FD: file(fd), Off: off, Addr: bytes(p), Len: length(p)}
}

// PrepReadv reads into several buffers; flags are unix.RWF_... It corresponds to
// io_uring_prep_readv2; Linux 5.1.
func (s *SQE) PrepReadv(fd int, v []unix.Iovec, off uint64, flags uint32) {
	*s = SQE{Opcode: OpReadv, FD: file(fd), Off: off, Addr: iovecs(v), Len: count(len(v)), OpFlags: flags}
}

// PrepWritev writes several buffers; flags are unix.RWF_... It corresponds to
// io_uring_prep_writev2; Linux 5.1.
func (s *SQE) PrepWritev(fd int, v []unix.Iovec, off uint64, flags uint32) {
	*s = SQE{Opcode: OpWritev, FD: file(fd), Off: off, Addr: iovecs(v), Len: count(len(v)), OpFlags: flags}
}

// PrepReadFixed reads into p, which lies in the registered buffer with that index.
// It corresponds to io_uring_prep_read_fixed; Linux 5.1.
func (s *SQE) PrepReadFixed(fd int, p []byte, off uint64, index uint16) {
	s.PrepRead(fd, p, off)
	s.Opcode, s.BufIndex = OpReadFixed, index
}

// PrepWriteFixed writes p, which lies in the registered buffer with that index. It
// corresponds to io_uring_prep_write_fixed; Linux 5.1.
func (s *SQE) PrepWriteFixed(fd int, p []byte, off uint64, index uint16) {
	s.PrepWrite(fd, p, off)
	s.Opcode, s.BufIndex = OpWriteFixed, index
}

// PrepReadvFixed reads into several parts of a registered buffer. It corresponds to
// io_uring_prep_readv_fixed; Linux 6.15.
func (s *SQE) PrepReadvFixed(fd int, v []unix.Iovec, off uint64, flags uint32, index uint16) {
	s.PrepReadv(fd, v, off, flags)
	s.Opcode, s.BufIndex = OpReadvFixed, index
}

// PrepWritevFixed writes several parts of a registered buffer. It corresponds to
// io_uring_prep_writev_fixed; Linux 6.15.
func (s *SQE) PrepWritevFixed(fd int, v []unix.Iovec, off uint64, flags uint32, index uint16) {
	s.PrepWritev(fd, v, off, flags)
	s.Opcode, s.BufIndex = OpWritevFixed, index
}

// PrepReadMultishot reads repeatedly into provided buffers of that group, whenever
// there is something to read. A size of 0 means a whole buffer. It corresponds to
// io_uring_prep_read_multishot; Linux 6.7.
func (s *SQE) PrepReadMultishot(fd int, size uint32, off uint64, group uint16) {
	*s = SQE{Opcode: OpReadMultishot, Flags: SQEBufferSelect, FD: file(fd), Off: off, Len: size, BufIndex: group}
}

// PrepFsync writes a file's cached data to its storage; flags are Fsync... It
// corresponds to io_uring_prep_fsync; Linux 5.1.
func (s *SQE) PrepFsync(fd int, flags uint32) {
	*s = SQE{Opcode: OpFsync, FD: file(fd), OpFlags: flags}
}

// PrepSyncFileRange writes n bytes of a file's cached data to its storage; flags are
// unix.SYNC_FILE_RANGE_... It corresponds to io_uring_prep_sync_file_range; Linux
// 5.2.
func (s *SQE) PrepSyncFileRange(fd int, n uint32, off uint64, flags uint32) {
	*s = SQE{Opcode: OpSyncFileRange, FD: file(fd), Off: off, Len: n, OpFlags: flags}
}

// PrepFallocate allocates or frees a file's space; mode is unix.FALLOC_FL_... It
// corresponds to io_uring_prep_fallocate; Linux 5.6.
func (s *SQE) PrepFallocate(fd int, mode uint32, off, n uint64) {
	*s = SQE{Opcode: OpFallocate, FD: file(fd), Off: off, Addr: n, Len: mode}
}

// PrepFtruncate sets a file's size. It corresponds to io_uring_prep_ftruncate; Linux
// 6.9.
func (s *SQE) PrepFtruncate(fd int, size int64) {
	*s = SQE{Opcode: OpFtruncate, FD: file(fd), Off: uint64(size)}
}

// PrepFadvise says how a part of a file will be used; advice is unix.FADV_... It
// corresponds to io_uring_prep_fadvise; Linux 5.6.
func (s *SQE) PrepFadvise(fd int, off uint64, n uint32, advice uint32) {
	*s = SQE{Opcode: OpFadvise, FD: file(fd), Off: off, Len: n, OpFlags: advice}
}

// PrepFadvise64 is PrepFadvise for any length. It corresponds to
// io_uring_prep_fadvise64; Linux 6.11. Older kernels return EINVAL, or some use a
// length of 0, which means all that follows.
func (s *SQE) PrepFadvise64(fd int, off, n uint64, advice uint32) {
	*s = SQE{Opcode: OpFadvise, FD: file(fd), Off: off, Addr: n, OpFlags: advice}
}

// PrepMadvise says how memory will be used; advice is unix.MADV_... Use it on memory
// from unix.Mmap, not on memory of the Go heap. It corresponds to
// io_uring_prep_madvise; Linux 5.6.
//
// It panics if p is 4 GiB or longer, since the kernel would use only a part of it: see
// PrepMadvise64.
func (s *SQE) PrepMadvise(p []byte, advice uint32) {
	if uint64(len(p)) > math.MaxUint32 {
		panic("ring: PrepMadvise of 4 GiB or more")
	}
	*s = SQE{Opcode: OpMadvise, FD: -1, Addr: bytes(p), Len: uint32(len(p)), OpFlags: advice}
}

// PrepMadvise64 is PrepMadvise for any length. It corresponds to
// io_uring_prep_madvise64; Linux 6.11. Older kernels return EINVAL, or some use a
// length of 0 and do nothing.
func (s *SQE) PrepMadvise64(p []byte, advice uint32) {
	*s = SQE{Opcode: OpMadvise, FD: -1, Off: uint64(len(p)), Addr: bytes(p), OpFlags: advice}
}

// PrepSplice moves n bytes from one file to another, one of which is a pipe, for
// which the offset is -1; flags are unix.SPLICE_F_... and [SpliceFDInFixed]. It
// corresponds to io_uring_prep_splice; Linux 5.7.
func (s *SQE) PrepSplice(fdIn int, offIn int64, fdOut int, offOut int64, n, flags uint32) {
	*s = SQE{Opcode: OpSplice, FD: file(fdOut), Off: uint64(offOut), Addr: uint64(offIn),
		Len: n, OpFlags: flags, FileIndex: uint32(file(fdIn))}
}

// PrepTee copies n bytes from one pipe to another and leaves them in the first. It
// corresponds to io_uring_prep_tee; Linux 5.8.
func (s *SQE) PrepTee(fdIn, fdOut int, n, flags uint32) {
	*s = SQE{Opcode: OpTee, FD: file(fdOut), Len: n, OpFlags: flags, FileIndex: uint32(file(fdIn))}
}

// PrepPipe makes a pipe and stores its ends, to read and to write, in fds; flags are
// unix.O_... It corresponds to io_uring_prep_pipe; Linux 6.16.
func (s *SQE) PrepPipe(fds *[2]int32, flags uint32) {
	*s = SQE{Opcode: OpPipe, Addr: operand(unsafe.Pointer(fds)), OpFlags: flags}
}

// PrepPipeDirect makes a pipe in the registered files: in slot and the one after it
// or, with [FileIndexAlloc], in two that it stores in fds. It corresponds to
// io_uring_prep_pipe_direct; Linux 6.16.
func (s *SQE) PrepPipeDirect(fds *[2]int32, flags, slot uint32) {
	s.PrepPipe(fds, flags)
	s.SetDirect(slot)
}

// PrepFgetxattr reads an extended attribute of an open file into value; the result
// is its length. It corresponds to io_uring_prep_fgetxattr; Linux 5.19.
func (s *SQE) PrepFgetxattr(fd int, name *byte, value []byte) {
	*s = SQE{Opcode: OpFgetxattr, FD: file(fd), Off: bytes(value), Addr: text(name), Len: count(len(value))}
}

// PrepFsetxattr sets an extended attribute of an open file; flags are unix.XATTR_...
// It corresponds to io_uring_prep_fsetxattr; Linux 5.19.
func (s *SQE) PrepFsetxattr(fd int, name *byte, value []byte, flags uint32) {
	s.PrepFgetxattr(fd, name, value)
	s.Opcode, s.OpFlags = OpFsetxattr, flags
}

// PrepGetxattr is PrepFgetxattr for a path. It corresponds to
// io_uring_prep_getxattr; Linux 5.19.
func (s *SQE) PrepGetxattr(name *byte, value []byte, path *byte) {
	s.PrepFgetxattr(0, name, value)
	s.Opcode, s.Addr3 = OpGetxattr, text(path)
}

// PrepSetxattr is PrepFsetxattr for a path. It corresponds to
// io_uring_prep_setxattr; Linux 5.19.
func (s *SQE) PrepSetxattr(name *byte, value []byte, path *byte, flags uint32) {
	s.PrepFsetxattr(0, name, value, flags)
	s.Opcode, s.Addr3 = OpSetxattr, text(path)
}

func iovecs(v []unix.Iovec) uint64 { return operand(unsafe.Pointer(unsafe.SliceData(v))) }

// escape makes the compiler believe that operands escape.
var escape struct {
	ever bool // false
	to   unsafe.Pointer
}

// operand returns the address of what the kernel will read or write later. It moves
// its argument to the heap, since a stack may be moved or freed meanwhile. The
// caller keeps it reachable.
func operand(p unsafe.Pointer) uint64 {
	if escape.ever {
		escape.to = p
	}
	return uint64(uintptr(p))
}

// file returns an int as the kernel holds descriptors and other numbers. One that
// does not fit becomes -1, which is not a valid one, rather than another number.
func file(fd int) int32 {
	if int(int32(fd)) != fd {
		return -1
	}
	return int32(fd)
}

// maxTransfer is the most that the kernel reads, writes, sends or receives in one
// operation.
const maxTransfer = 0x7ffff000

// length returns the length of a buffer to transfer.
func length(p []byte) uint32 { return uint32(min(len(p), maxTransfer)) }

// count returns a number of things, for which the kernel's limit is far below.
func count(n int) uint32 { return uint32(min(uint64(n), math.MaxUint32)) }

// bytes and text are operand for a slice and for a NUL-terminated string.
func bytes(p []byte) uint64 { return operand(unsafe.Pointer(unsafe.SliceData(p))) }
func text(p *byte) uint64   { return operand(unsafe.Pointer(p)) }

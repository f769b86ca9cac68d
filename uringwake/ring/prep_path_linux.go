package ring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Paths are NUL-terminated, as unix.BytePtrFromString makes them. The kernel
// reads them at submission since Linux 5.5 ([FeatSubmitStable]): with
// [SetupSQPoll] that is some time after Submit returned. The first descriptor
// may be unix.AT_FDCWD.

// PrepOpenat opens a file; flags are unix.O_..., and the result is its file
// descriptor. It corresponds to io_uring_prep_openat; Linux 5.6.
func (s *SQE) PrepOpenat(dirFD int, path *byte, flags, mode uint32) {
	*s = SQE{Opcode: OpOpenat, FD: file(dirFD), Addr: text(path), Len: mode, OpFlags: flags}
}

// PrepOpenatDirect opens a file into a slot of the registered files, or into a free
// one with [FileIndexAlloc]; unix.O_CLOEXEC is refused. It corresponds to
// io_uring_prep_openat_direct; Linux 5.15.
func (s *SQE) PrepOpenatDirect(dirFD int, path *byte, flags, mode, slot uint32) {
	s.PrepOpenat(dirFD, path, flags, mode)
	s.SetDirect(slot)
}

// PrepOpenat2 is PrepOpenat with more options. It corresponds to
// io_uring_prep_openat2; Linux 5.6.
func (s *SQE) PrepOpenat2(dirFD int, path *byte, how *unix.OpenHow) {
	*s = SQE{Opcode: OpOpenat2, FD: file(dirFD), Off: operand(unsafe.Pointer(how)), Addr: text(path),
		Len: uint32(unsafe.Sizeof(*how))}
}

// PrepOpenat2Direct is PrepOpenatDirect with more options. It corresponds to
// io_uring_prep_openat2_direct; Linux 5.15.
func (s *SQE) PrepOpenat2Direct(dirFD int, path *byte, how *unix.OpenHow, slot uint32) {
	s.PrepOpenat2(dirFD, path, how)
	s.SetDirect(slot)
}

// PrepClose closes a file descriptor. It corresponds to io_uring_prep_close; Linux
// 5.6.
func (s *SQE) PrepClose(fd int) { *s = SQE{Opcode: OpClose, FD: file(fd)} }

// PrepCloseDirect empties a slot of the registered files. It corresponds to
// io_uring_prep_close_direct; Linux 5.15.
func (s *SQE) PrepCloseDirect(slot uint32) { *s = SQE{Opcode: OpClose, FileIndex: slot + 1} }

// PrepStatx stores a file's attributes in st; flags are unix.AT_..., mask is
// unix.STATX_... It corresponds to io_uring_prep_statx; Linux 5.6.
func (s *SQE) PrepStatx(dirFD int, path *byte, flags, mask uint32, st *unix.Statx_t) {
	*s = SQE{Opcode: OpStatx, FD: file(dirFD), Off: operand(unsafe.Pointer(st)), Addr: text(path),
		Len: mask, OpFlags: flags}
}

// PrepRenameat renames a file; flags are unix.RENAME_... It corresponds to
// io_uring_prep_renameat; Linux 5.11.
func (s *SQE) PrepRenameat(oldDirFD int, oldPath *byte, newDirFD int, newPath *byte, flags uint32) {
	*s = SQE{Opcode: OpRenameat, FD: file(oldDirFD), Off: text(newPath), Addr: text(oldPath),
		Len: uint32(file(newDirFD)), OpFlags: flags}
}

// PrepLinkat makes another name for a file; flags are unix.AT_... It corresponds to
// io_uring_prep_linkat; Linux 5.15.
func (s *SQE) PrepLinkat(oldDirFD int, oldPath *byte, newDirFD int, newPath *byte, flags uint32) {
	s.PrepRenameat(oldDirFD, oldPath, newDirFD, newPath, flags)
	s.Opcode = OpLinkat
}

// PrepSymlinkat makes path a symbolic link to target. It corresponds to
// io_uring_prep_symlinkat; Linux 5.15.
func (s *SQE) PrepSymlinkat(target *byte, dirFD int, path *byte) {
	*s = SQE{Opcode: OpSymlinkat, FD: file(dirFD), Off: text(path), Addr: text(target)}
}

// PrepUnlinkat removes a file or, with unix.AT_REMOVEDIR, a directory. It
// corresponds to io_uring_prep_unlinkat; Linux 5.11.
func (s *SQE) PrepUnlinkat(dirFD int, path *byte, flags uint32) {
	*s = SQE{Opcode: OpUnlinkat, FD: file(dirFD), Addr: text(path), OpFlags: flags}
}

// PrepMkdirat makes a directory. It corresponds to io_uring_prep_mkdirat; Linux
// 5.15.
func (s *SQE) PrepMkdirat(dirFD int, path *byte, mode uint32) {
	*s = SQE{Opcode: OpMkdirat, FD: file(dirFD), Addr: text(path), Len: mode}
}

package uringwake

import "context"

// A FixedFile is a file that a ring keeps open, so that its operations need not look up
// and hold the descriptor each time. It belongs to one ring: that of a loop, or the one
// that all goroutines share. [RegisterFile] makes a FixedFile; the zero value must not be
// used.
type FixedFile struct{ fixedState }

// RegisterFile registers the file of fd with the ring that [Start] would use under ctx. The
// file stays open until Close even if fd is closed. A ring has at most 1024 files; with one
// more the error matches unix.ENOSPC. It corresponds to io_uring_register_files_update;
// Linux 5.5.
func RegisterFile(ctx context.Context, fd int) (*FixedFile, error) { return registerFile(ctx, fd) }

// Close has the ring close the file when no operation uses it. It does not wait for that.
// A second Close returns nil. A FixedFile that is no longer reachable is closed by the
// garbage collector, and one of a loop when the loop has ended.
func (f *FixedFile) Close() error {
	f.mustBeMade("FixedFile", "RegisterFile")
	return f.shut()
}

// A FixedBuffer is memory whose pages a ring holds, so that its operations need not look them
// up each time. It belongs to one ring, as a [FixedFile] does. [RegisterBuffer] makes a
// FixedBuffer; the zero value must not be used.
type FixedBuffer struct{ fixedState }

// RegisterBuffer registers p with the ring that [Start] would use under ctx. p must not be
// empty. Its pages stay in memory, and count against RLIMIT_MEMLOCK, until Close. A ring has
// at most 1024 buffers; with one more the error matches unix.ENOSPC. It corresponds to
// io_uring_register_buffers_update_tag; Linux 5.19.
func RegisterBuffer(ctx context.Context, p []byte) (*FixedBuffer, error) {
	return registerBuffer(ctx, p)
}

// Close has the ring release the pages when no operation uses them. It does not wait for
// that. A second Close returns nil. A FixedBuffer that is no longer reachable is closed by
// the garbage collector, and one of a loop when the loop has ended.
func (b *FixedBuffer) Close() error {
	b.mustBeMade("FixedBuffer", "RegisterBuffer")
	return b.shut()
}

// On returns a copy of op that uses the file f in place of op's descriptor. The operation
// fails if f is closed, or belongs to another ring, or if op has no descriptor.
func (op Op) On(f *FixedFile) Op {
	f.mustBeMade("FixedFile", "RegisterFile")
	op.file = f
	return op
}

// In returns a copy of op that uses its buffer as a part of b. The operation fails if the
// buffer does not lie in b, if b is closed or belongs to another ring, or if op is not a
// [ReadOp], [WriteOp] or [SendZCOp]. In corresponds to io_uring_prep_read_fixed and
// io_uring_prep_write_fixed, Linux 5.1, and io_uring_prep_send_zc_fixed, Linux 6.0.
func (op Op) In(b *FixedBuffer) Op {
	b.mustBeMade("FixedBuffer", "RegisterBuffer")
	op.buffer = b
	return op
}

package bridge

import "context"

// Read and Write are those of package uringwake, Poll is its PollFD. They return
// ErrInterrupted if i was interrupted before anything was transferred. i may be nil.
var (
	Read, Write func(ctx context.Context, fd int, p []byte, off int64, i *Interrupter) (int, error)
	Poll        func(ctx context.Context, fd int, events uint32, i *Interrupter) error
)

// ReadNow reads what can be read without waiting (RWF_NOWAIT), in a task on the loop's
// thread. off may be -1, the file's own position. The error is an errno: EAGAIN if
// nothing can be read now, others if the file or the kernel does not know such reads.
var ReadNow func(ctx context.Context, fd int, p []byte, off int64) (int, error)

// ReadHere and WriteHere transfer by a system call on the caller's thread, which waits for
// the device if need be. off may be -1, the file's own position. The error is an errno.
var ReadHere, WriteHere func(fd int, p []byte, off int64) (int, error)

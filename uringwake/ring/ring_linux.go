package ring

import (
	"errors"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Params are the parameters of [Setup], and what the kernel returns. It has the layout
// of struct io_uring_params.
type Params struct {
	SQEntries    uint32 // set by the kernel: the size of the submission queue
	CQEntries    uint32 // the size of the completion queue, with SetupCQSize; always set by the kernel
	Flags        uint32 // Setup...
	SQThreadCPU  uint32 // the CPU of the kernel's thread, with SetupSQAff
	SQThreadIdle uint32 // milliseconds after which the kernel's thread sleeps, with SetupSQPoll; 0 means 1000
	Features     uint32 // set by the kernel: Feat...
	WQFD         uint32 // the descriptor of a ring whose workers to share, with SetupAttachWQ
	resv         [3]uint32
	sqOff        sqOffsets
	cqOff        cqOffsets
}

type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, resv1 uint32
	userAddr                                                        uint64
}

type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, resv1 uint32
	userAddr                                                        uint64
}

// A Ring is one io_uring: a file descriptor and the memory that it shares with the
// kernel. Its three parts may be used by three goroutines at a time: the
// [SubmissionQueue] by one, the [CompletionQueue] by one, the [Registrar] by any
// number. No other call may run during Close.
//
// With [SetupSingleIssuer] only the OS thread that made the ring may enter it: lock
// the goroutine to its thread before Setup.
type Ring struct {
	fd       int
	enterFD  int // fd, or its index once it is registered
	enter    uint32
	flags    uint32
	features uint32
	sq       SubmissionQueue
	cq       CompletionQueue
	reg      Registrar
	maps     [][]byte
	waits    []RegWait     // of the registered region, see SubmitAndWaitReg
	clock    atomic.Uint32 // of waits; 0 is CLOCK_MONOTONIC

	arrayFollows bool // the completions: see arrayAt
}

// Setup makes a ring with room for entries submissions, rounded up to a power of
// two. It uses the parameters in p, and stores there what the kernel returns. A nil p
// means the zero Params, with a completion queue of twice that size. Setup corresponds
// to io_uring_queue_init_params; Linux 5.1.
//
// With [SetupNoMmap] the queues lie in memory that Setup allocates, as
// io_uring_queue_init_mem does. With [SetupRegisteredFDOnly] there is no file
// descriptor, FD is -1, and the thread that called Setup is the only one that
// can use the ring.
func Setup(entries uint32, p *Params) (*Ring, error) {
	if p == nil {
		p = new(Params)
	}
	if p.Flags&SetupRegisteredFDOnly != 0 && p.Flags&SetupNoMmap == 0 {
		return nil, wrap("io_uring_setup", unix.EINVAL)
	}
	r := &Ring{flags: p.Flags}
	fd, err := r.create(entries, p, anonymous)
	if errnoOf(err) == unix.EINVAL && p.Flags&SetupNoMmap != 0 {
		if again, e := r.create(entries, p, contiguous); e == nil {
			fd, err = again, nil
		}
	}
	if e, ok := err.(unix.Errno); ok {
		return nil, wrapIf("io_uring_setup", e, func(e unix.Errno) bool { return unknownSetup(p.Flags, e) })
	}
	if err != nil {
		return nil, err
	}
	r.fd, r.enterFD, r.flags, r.features = fd, fd, p.Flags, p.Features
	if p.Flags&SetupRegisteredFDOnly != 0 {
		r.fd, r.enter = -1, EnterRegisteredRing
	}
	if p.Flags&SetupNoMmap == 0 {
		if err := r.mmap(p); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	r.layOut(p)
	r.reg.ring, r.arrayFollows = r, p.sqOff.array == arrayAt(p)
	return r, nil
}

// create is io_uring_setup, with memory of this process if the ring needs that.
func (r *Ring) create(entries uint32, p *Params, alloc allocator) (fd int, err error) {
	if p.Flags&SetupNoMmap != 0 {
		if err := r.allocate(entries, p, alloc); err != nil {
			return -1, err
		}
	}
	n, _, e := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	if e != 0 {
		_ = r.unmap() // what the kernel said matters more
		return -1, e
	}
	return int(n), nil
}

// FD returns the ring's file descriptor, which is close-on-exec, or -1 if the ring
// has only a registered index.
func (r *Ring) FD() int { return r.fd }

// Flags returns the Setup... flags in force.
func (r *Ring) Flags() uint32 { return r.flags }

// Features returns the Feat... bits of the kernel.
func (r *Ring) Features() uint32 { return r.features }

// SQ returns the ring's submission queue.
func (r *Ring) SQ() *SubmissionQueue { return &r.sq }

// CQ returns the ring's completion queue.
func (r *Ring) CQ() *CompletionQueue { return &r.cq }

// Registrar returns the ring's registrar of files, buffers and the like.
func (r *Ring) Registrar() *Registrar { return &r.reg }

// Close unmaps the queues, which by themselves would keep the ring open, and closes the
// file descriptor. The kernel cancels the operations in flight some time later, without
// completions; their buffers must stay until then. A second Close returns nil. Close
// corresponds to io_uring_queue_exit; Linux 5.1.
//
// Pointers to entries, to completions and into a [WaitRegion] are invalid after Close:
// other memory may be mapped there. Later calls of methods of the ring or its parts
// return an error that matches EBADF, 0 or false, or panic; the methods that look into
// the queues panic with a nil dereference.
func (r *Ring) Close() error {
	if r.enterFD < 0 {
		return nil
	}
	err := errors.Join(r.unmap(), r.reg.unmap())
	if r.enter&EnterRegisteredRing != 0 {
		err = errors.Join(err, r.reg.unregisterRing(uint32(r.enterFD)))
	}
	if r.fd >= 0 {
		err = errors.Join(err, wrap("close", errnoOf(unix.Close(r.fd))))
	}
	r.fd, r.enterFD = -1, -1
	return err
}

// sys is io_uring_enter. It tells the Go scheduler, since the kernel may wait for
// this process: for a page of an operand that its userfaultfd handler or file system
// fills, or for an answer of its seccomp supervisor. The argument, if it is an
// address, lies in the ring. It calls package syscall's function since unix's costs
// a wrapper's frame.
func (r *Ring) sys(submit, wait, flags uint32, arg, size uintptr) (int, error) {
	n, _, e := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFD), uintptr(submit), uintptr(wait), uintptr(flags|r.enter), arg, size)
	runtime.KeepAlive(r)
	if e != 0 {
		return 0, enterError(e)
	}
	return int(n), nil
}

//go:noinline
func enterError(e syscall.Errno) error { return wrap("io_uring_enter", e) }

// DontFork keeps the queues out of the memory of child processes, which would share
// them until they execute another program. It corresponds to io_uring_ring_dontfork;
// Linux 5.1.
func (r *Ring) DontFork() error {
	if r.enterFD < 0 {
		return errClosed()
	}
	for _, m := range r.maps {
		if m == nil {
			continue
		}
		if err := unix.Madvise(m, unix.MADV_DONTFORK); err != nil {
			return wrap("madvise", errnoOf(err))
		}
	}
	return nil
}

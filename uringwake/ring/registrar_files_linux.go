package ring

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fileRange is struct io_uring_file_index_range.
type fileRange struct {
	off, n uint32
	resv   uint64
}

// RegisterFiles registers these files with the ring; -1 leaves a slot empty. After that
// the descriptors may be closed, since the ring keeps the files open. It corresponds to
// io_uring_register_files; Linux 5.1.
func (r *Registrar) RegisterFiles(fds []int32) error {
	return r.do(RegisterFiles, unsafe.Pointer(unsafe.SliceData(fds)), count(len(fds)))
}

// RegisterFilesTags is RegisterFiles with tags: when the kernel no longer uses a
// file, there is a completion with its tag as user data, unless that is 0. It
// corresponds to io_uring_register_files_tags; Linux 5.13.
func (r *Registrar) RegisterFilesTags(fds []int32, tags []uint64) error {
	if len(tags) != len(fds) {
		return wrap("io_uring_register", unix.EINVAL)
	}
	return r.registerTagged(RegisterFiles2, unsafe.Pointer(unsafe.SliceData(fds)), tags)
}

// RegisterFilesSparse makes n empty slots. It corresponds to
// io_uring_register_files_sparse; Linux 5.19.
func (r *Registrar) RegisterFilesSparse(n uint32) error { return r.sparse(RegisterFiles2, n) }

// RegisterFilesUpdate changes the slots from off on: -1 empties one, [FilesSkip]
// leaves it alone. It returns how many slots it has processed. It corresponds to
// io_uring_register_files_update; Linux 5.5.
func (r *Registrar) RegisterFilesUpdate(off uint32, fds []int32) (int, error) {
	arg := rsrcUpdate{offset: off, data: operand(unsafe.Pointer(unsafe.SliceData(fds)))}
	n, err := r.call(RegisterFilesUpdate, unsafe.Pointer(&arg), count(len(fds)))
	runtime.KeepAlive(fds)
	return n, err
}

// RegisterFilesUpdateTag is RegisterFilesUpdate with tags, which may be nil. It
// corresponds to io_uring_register_files_update_tag; Linux 5.13.
func (r *Registrar) RegisterFilesUpdateTag(off uint32, fds []int32, tags []uint64) (int, error) {
	return r.updateTagged(RegisterFilesUpdate2, off, unsafe.Pointer(unsafe.SliceData(fds)), len(fds), tags)
}

// UnregisterFiles unregisters the files. The kernel releases each of them once the
// operations that use it have completed; up to Linux 6.12 the call waits for that.
// It corresponds to io_uring_unregister_files; Linux 5.1.
func (r *Registrar) UnregisterFiles() error { return r.do(UnregisterFiles, nil, 0) }

// RegisterFileAllocRange limits the slots that [FileIndexAlloc] chooses from to the
// n slots from off on. It corresponds to io_uring_register_file_alloc_range; Linux
// 6.0.
func (r *Registrar) RegisterFileAllocRange(off, n uint32) error {
	return r.do(RegisterFileAllocRange, unsafe.Pointer(&fileRange{off: off, n: n}), 0)
}

// RegisterRingFD registers the ring's own descriptor, which saves a look-up in every
// enter. The index belongs to the calling thread: lock the goroutine to its thread, and
// use the ring from no other thread. It corresponds to io_uring_register_ring_fd; Linux
// 5.18.
func (r *Registrar) RegisterRingFD() error {
	if r.ring.enter&EnterRegisteredRing != 0 {
		return wrap("io_uring_register", unix.EEXIST)
	}
	const anyIndex = 1<<32 - 1
	arg := rsrcUpdate{offset: anyIndex, data: uint64(r.ring.fd)}
	if err := r.do(RegisterRingFDs, unsafe.Pointer(&arg), 1); err != nil {
		return err
	}
	r.ring.enterFD, r.ring.enter = int(arg.offset), EnterRegisteredRing
	return nil
}

// UnregisterRingFD undoes RegisterRingFD, on the same thread. It corresponds to
// io_uring_unregister_ring_fd; Linux 5.18.
func (r *Registrar) UnregisterRingFD() error {
	if r.ring.enter&EnterRegisteredRing == 0 || r.ring.fd < 0 {
		return wrap("io_uring_register", unix.EINVAL)
	}
	if err := r.unregisterRing(uint32(r.ring.enterFD)); err != nil {
		return err
	}
	r.ring.enterFD, r.ring.enter = r.ring.fd, 0
	return nil
}

// CloseRingFD closes the ring's descriptor after RegisterRingFD, so that the ring is
// used by its index only. It corresponds to io_uring_close_ring_fd; Linux 6.3.
func (r *Registrar) CloseRingFD() error {
	if r.ring.features&FeatRegRegRing == 0 {
		return wrap("io_uring_register", unix.EOPNOTSUPP)
	}
	if r.ring.enter&EnterRegisteredRing == 0 || r.ring.fd < 0 {
		return wrap("io_uring_register", unix.EBADF)
	}
	fd := r.ring.fd
	r.ring.fd = -1
	return wrap("close", errnoOf(unix.Close(fd)))
}

func (r *Registrar) unregisterRing(index uint32) error {
	return r.do(UnregisterRingFDs, unsafe.Pointer(&rsrcUpdate{offset: index}), 1)
}

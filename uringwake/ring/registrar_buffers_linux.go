package ring

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rsrcRegister is struct io_uring_rsrc_register.
type rsrcRegister struct {
	nr, flags        uint32
	resv, data, tags uint64
}

// rsrcUpdate is struct io_uring_rsrc_update, and io_uring_files_update.
type rsrcUpdate struct {
	offset, resv uint32
	data         uint64
}

// rsrcUpdate2 is struct io_uring_rsrc_update2.
type rsrcUpdate2 struct {
	offset, resv uint32
	data, tags   uint64
	nr, resv2    uint32
}

// cloneBuffers is struct io_uring_clone_buffers.
type cloneBuffers struct {
	srcFD, flags, srcOff, dstOff, nr uint32
	pad                              [3]uint32
}

// RegisterBuffers registers these buffers with the ring until they are unregistered.
// A nil one leaves a slot empty (5.13). It corresponds to io_uring_register_buffers;
// Linux 5.1.
func (r *Registrar) RegisterBuffers(buffers [][]byte) error {
	v := vectors(buffers)
	return r.do(RegisterBuffers, unsafe.Pointer(unsafe.SliceData(v)), count(len(v)))
}

// RegisterBuffersTags is RegisterBuffers with tags: when the kernel no longer uses a
// buffer, there is a completion with its tag as user data, unless that is 0. Do not
// wait for all of these after UnregisterBuffers: Linux 6.12 and some older kernels
// do not post all of them. It corresponds to io_uring_register_buffers_tags; Linux
// 5.13.
func (r *Registrar) RegisterBuffersTags(buffers [][]byte, tags []uint64) error {
	if len(tags) != len(buffers) {
		return wrap("io_uring_register", unix.EINVAL)
	}
	v := vectors(buffers)
	return r.registerTagged(RegisterBuffers2, unsafe.Pointer(unsafe.SliceData(v)), tags)
}

// RegisterBuffersSparse makes n empty slots. It corresponds to
// io_uring_register_buffers_sparse; Linux 5.19.
func (r *Registrar) RegisterBuffersSparse(n uint32) error { return r.sparse(RegisterBuffers2, n) }

// RegisterBuffersUpdateTag changes the slots from off on; tags may be nil. It
// returns how many it changed. It corresponds to
// io_uring_register_buffers_update_tag; Linux 5.13.
func (r *Registrar) RegisterBuffersUpdateTag(off uint32, buffers [][]byte, tags []uint64) (int, error) {
	v := vectors(buffers)
	return r.updateTagged(RegisterBuffersUpdate, off, unsafe.Pointer(unsafe.SliceData(v)), len(v), tags)
}

// UnregisterBuffers unregisters the buffers. The kernel releases each of them once the
// operations that use it have completed; up to Linux 6.12 the call waits for that.
// It corresponds to io_uring_unregister_buffers; Linux 5.1.
func (r *Registrar) UnregisterBuffers() error { return r.do(UnregisterBuffers, nil, 0) }

// CloneBuffers registers the registered buffers of src with this ring too, which must
// have none. It corresponds to io_uring_clone_buffers; Linux 6.12.
func (r *Registrar) CloneBuffers(src *Ring) error { return r.CloneBuffersOffset(src, 0, 0, 0, 0) }

// CloneBuffersOffset clones n buffers from srcOff on to the slots from dstOff on, or all
// buffers if these numbers are 0. flags may have [RegisterDstReplace]. It corresponds
// to io_uring_clone_buffers_offset; Linux 6.13.
func (r *Registrar) CloneBuffersOffset(src *Ring, dstOff, srcOff, n, flags uint32) error {
	if src.enterFD < 0 {
		return errClosed()
	}
	arg := cloneBuffers{srcFD: uint32(src.fd), flags: flags, srcOff: srcOff, dstOff: dstOff, nr: n}
	if src.fd < 0 {
		arg.srcFD, arg.flags = uint32(src.enterFD), flags|RegisterSrcRegistered
	}
	err := r.do(RegisterCloneBuffers, unsafe.Pointer(&arg), 1)
	runtime.KeepAlive(src)
	switch { // Linux 6.12 looks at what this ring has before it looks at flags
	case flags&RegisterDstReplace != 0:
		return unknownPart(err, clonesAll, unix.EINVAL, unix.EBUSY)
	case dstOff|srcOff|n != 0:
		return unknownPart(err, clonesAll, unix.EINVAL)
	}
	return err
}

func vectors(buffers [][]byte) []unix.Iovec {
	v := make([]unix.Iovec, len(buffers))
	for i, b := range buffers {
		if len(b) > 0 {
			v[i].Base = unsafe.SliceData(b)
			v[i].SetLen(len(b))
		}
	}
	return v
}

func (r *Registrar) sparse(op, n uint32) error {
	return unknownPart(r.slots(op, n), fillsSlots, unix.EINVAL)
}

func (r *Registrar) slots(op, n uint32) error {
	arg := rsrcRegister{nr: n, flags: RsrcRegisterSparse}
	return r.do(op, unsafe.Pointer(&arg), uint32(unsafe.Sizeof(arg)))
}

func (r *Registrar) registerTagged(op uint32, data unsafe.Pointer, tags []uint64) error {
	arg := rsrcRegister{nr: count(len(tags)), data: operand(data), tags: operand(unsafe.Pointer(unsafe.SliceData(tags)))}
	err := r.do(op, unsafe.Pointer(&arg), uint32(unsafe.Sizeof(arg)))
	runtime.KeepAlive(data)
	runtime.KeepAlive(tags)
	return err
}

func (r *Registrar) updateTagged(op, off uint32, data unsafe.Pointer, n int, tags []uint64) (int, error) {
	if tags != nil && len(tags) != n {
		return 0, wrap("io_uring_register", unix.EINVAL)
	}
	arg := rsrcUpdate2{offset: off, data: operand(data), tags: operand(unsafe.Pointer(unsafe.SliceData(tags))), nr: count(n)}
	done, err := r.call(op, unsafe.Pointer(&arg), uint32(unsafe.Sizeof(arg)))
	runtime.KeepAlive(data)
	runtime.KeepAlive(tags)
	return done, err
}

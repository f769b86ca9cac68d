package ring

import (
	"errors"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A BufRing is a queue of provided buffers. The kernel takes one when an operation
// with that buffer group needs it; see [SQE.SetBufferGroup] and [CQE.BufferID]. One
// goroutine at a time may use it. A buffer belongs to the kernel from Advance until
// a completion names it.
type BufRing struct {
	reg   *Registrar
	mem   []byte
	bufs  []buf
	group uint16
	tail  uint16 // of those added; the shared one follows in Advance
}

// buf is struct io_uring_buf. The ring's tail lies in the first one's resv.
type buf struct {
	addr uint64
	len  uint32
	id   uint16
	resv uint16
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	resv    [3]uint64
}

// bufStatus is struct io_uring_buf_status.
type bufStatus struct {
	group, head uint32
	resv        [8]uint32
}

// SetupBufRing makes a queue for that many buffers, a power of two up to 32768, with
// the number group as buffer group. flags may have [PbufRingMmap], for a queue in memory
// that the kernel allocates, and [PbufRingInc]. It corresponds to
// io_uring_setup_buf_ring; Linux 5.19.
func (r *Registrar) SetupBufRing(entries uint32, group, flags uint16) (*BufRing, error) {
	if bits.OnesCount32(entries) != 1 || entries > 1<<15 {
		return nil, wrap("io_uring_register", unix.EINVAL)
	}
	b := &BufRing{reg: r, group: group}
	var err error
	if flags&PbufRingMmap != 0 {
		err = b.mapOurs(entries, flags)
	} else {
		err = b.registerOwn(entries, flags)
	}
	if err != nil {
		return nil, unknownBufRing(r, err, entries, group, flags)
	}
	r.hold(b.mem, func() { b.bufs = nil })
	b.bufs = unsafe.Slice((*buf)(unsafe.Pointer(unsafe.SliceData(b.mem))), entries)
	return b, nil
}

// unknownBufRing returns err, marked as unsupported if the kernel certainly does not
// know one of flags: it takes the same call without them.
func unknownBufRing(r *Registrar, err error, entries uint32, group, flags uint16) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Errno != unix.EINVAL || flags == 0 {
		return err
	}
	plain := &BufRing{reg: r, group: group}
	if plain.registerOwn(entries, 0) != nil {
		return err
	}
	e.Unsupported = true
	return errors.Join(err, plain.unregister(), unmapAll([][]byte{plain.mem}))
}

// registerOwn registers memory that this process allocates.
func (b *BufRing) registerOwn(entries uint32, flags uint16) (err error) {
	if b.mem, err = anonymous(uint64(entries) * uint64(unsafe.Sizeof(buf{}))); err != nil {
		return err
	}
	arg := bufReg{addr: address(unsafe.Pointer(unsafe.SliceData(b.mem))), entries: entries, group: b.group, flags: flags}
	if err = b.reg.do(RegisterPbufRing, unsafe.Pointer(&arg), 1); err != nil {
		return errors.Join(err, unmapAll([][]byte{b.mem}))
	}
	return nil
}

// mapOurs maps memory that the kernel allocated.
func (b *BufRing) mapOurs(entries uint32, flags uint16) error {
	arg := bufReg{entries: entries, group: b.group, flags: flags}
	if err := b.reg.do(RegisterPbufRing, unsafe.Pointer(&arg), 1); err != nil {
		return err
	}
	var err error
	offset := int64(offPbufRing) | int64(b.group)<<offPbufShift
	size := int(entries) * int(unsafe.Sizeof(buf{}))
	b.mem, err = unix.Mmap(b.reg.ring.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return errors.Join(wrap("mmap", errnoOf(err)), b.unregister())
	}
	return nil
}

// Group returns the queue's buffer group.
func (b *BufRing) Group() uint16 { return b.group }

// Add appends the buffer p with the number id; the kernel sees it after the next
// Advance. The caller must keep p reachable while the kernel has it, and must not add
// more buffers than the queue holds. The kernel uses the first 0x7ffff000 bytes of a
// longer buffer. It corresponds to io_uring_buf_ring_add; Linux 5.19.
//
// Add and Advance panic after Free, and after the ring is closed.
func (b *BufRing) Add(p []byte, id uint16) {
	i := int(b.tail) & (len(b.bufs) - 1)
	if uint(i) >= uint(len(b.bufs)) {
		panic(bufRingGone)
	}
	e := &b.bufs[i]
	e.addr, e.len, e.id = bytes(p), length(p), id
	b.tail++
}

const bufRingGone = "ring: BufRing used after Free or Ring.Close"

// Advance passes all buffers that were added to the kernel. It corresponds to
// io_uring_buf_ring_advance; Linux 5.19.
func (b *BufRing) Advance() {
	if len(b.bufs) == 0 {
		panic(bufRingGone)
	}
	// There is no 16-bit store with release order, so store the id next to it too,
	// which only this method writes.
	half := [2]uint16{b.bufs[0].id, b.tail}
	storeRelease((*uint32)(unsafe.Pointer(&b.bufs[0].id)), *(*uint32)(unsafe.Pointer(&half)))
}

// Head returns the number of the buffer that the kernel takes next, counted from the
// first that was added. It corresponds to io_uring_buf_ring_head; Linux 6.8.
func (b *BufRing) Head() (uint16, error) {
	if b.bufs == nil {
		return 0, wrap("ring: buffer ring is gone", unix.EBADF)
	}
	arg := bufStatus{group: uint32(b.group)}
	err := b.reg.do(RegisterPbufStatus, unsafe.Pointer(&arg), 1)
	return uint16(arg.head), err
}

// Available returns how many buffers the kernel has. It corresponds to
// io_uring_buf_ring_available; Linux 6.8.
func (b *BufRing) Available() (int, error) {
	head, err := b.Head()
	if err != nil {
		return 0, err
	}
	return int(b.bufs[0].resv - head), nil
}

// Free unregisters the queue and frees its memory. [Ring.Close] does so too; after that
// Free does nothing. It corresponds to io_uring_free_buf_ring; Linux 5.19.
func (b *BufRing) Free() error {
	if b.bufs == nil {
		return nil
	}
	return errors.Join(b.unregister(), b.reg.release(b.mem))
}

func (b *BufRing) unregister() error {
	return b.reg.do(UnregisterPbufRing, unsafe.Pointer(&bufReg{group: b.group}), 1)
}

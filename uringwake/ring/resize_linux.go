package ring

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ResizeRings changes the size of the queues of a ring with [SetupDeferTaskrun], and
// keeps what is in them. It uses p.SQEntries and, with [SetupCQSize], p.CQEntries; the
// only other flag is [SetupClamp]. It fills in p as Setup does. EOVERFLOW means that
// the new queues cannot hold what is in the old ones. It corresponds to
// io_uring_resize_rings; Linux 6.13.
//
// No other call on either queue may run at the same time, and pointers to entries and
// completions are invalid afterwards. The call publishes the entries that GetSQE has
// returned, so prepare them before. If the new queues cannot be mapped, the ring is
// closed, since the kernel cannot undo the call.
func (r *Registrar) ResizeRings(p *Params) error {
	ring := r.ring
	if ring.enterFD < 0 {
		return errClosed()
	}
	if p.Flags&^(SetupCQSize|SetupClamp) != 0 {
		return wrap("io_uring_register", unix.EINVAL)
	}
	if !ring.knowsArray() {
		return wrap("io_uring_register", unix.EOPNOTSUPP)
	}
	ring.sq.flush() // the kernel copies what was published
	old := ring.maps
	ring.maps = nil
	err := ring.allocateResized(p)
	if err == nil {
		err = r.do(RegisterResizeRings, unsafe.Pointer(p), 1)
	}
	if err != nil {
		err = errors.Join(err, unmapAll(ring.maps))
		ring.maps = old
		return err
	}
	return ring.remap(old, p)
}

// allocateResized makes memory for a ring whose memory is not the kernel's.
func (r *Ring) allocateResized(p *Params) error {
	if r.flags&SetupNoMmap == 0 {
		return nil
	}
	sized := *p
	sized.Flags |= r.flags & (SetupSQE128 | SetupCQE32)
	if err := r.allocate(p.SQEntries, &sized, anonymous); err != nil {
		return err
	}
	p.sqOff.userAddr, p.cqOff.userAddr = sized.sqOff.userAddr, sized.cqOff.userAddr
	return nil
}

// remap maps the resized queues in place of the old ones; their counters go on.
func (r *Ring) remap(old [][]byte, p *Params) error {
	tail := r.sq.tail
	err := unmapAll(old)
	p.Flags, p.Features = r.flags, r.features
	if p.sqOff.array == 0 && p.Flags&SetupNoSQArray == 0 {
		p.sqOff.array = arrayAt(p)
	}
	if r.flags&SetupNoMmap == 0 {
		if e := r.mmap(p); e != nil {
			return errors.Join(err, e, r.Close())
		}
	}
	r.layOut(p)
	r.sq.tail, r.sq.headCached = tail, *r.sq.khead
	r.cq.head, r.cq.tailCached = *r.cq.khead, *r.cq.khead
	return err
}

// arrayAt returns where the index of the submission queue lies, which the kernel
// does not tell for a resized ring: after the completions, aligned as they are. With
// completions of twice the size the kernel doubles what comes before them too.
func arrayAt(p *Params) uint32 {
	align := p.cqOff.cqes
	end := (align + p.CQEntries*cqeSize) * (cqeBytes(p.Flags) / cqeSize)
	return (end + align - 1) &^ (align - 1)
}

// knowsArray reports whether arrayAt is right on this machine, by what the kernel
// told in Setup.
func (r *Ring) knowsArray() bool { return r.flags&SetupNoSQArray != 0 || r.arrayFollows }

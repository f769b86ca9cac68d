package ring

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets at which the parts of a ring are mapped.
const (
	offSQRing = 0
	offCQRing = 0x8000000
	offSQEs   = 0x10000000
)

const (
	sqeSize = 64
	cqeSize = 16
	// headerSize is above the size of the kernel's struct io_rings, which
	// precedes the completions in memory that this process allocates.
	headerSize = 4096
)

// sqeBytes returns the size of one submission queue entry.
func sqeBytes(flags uint32) uint32 {
	if flags&SetupSQE128 != 0 {
		return 2 * sqeSize
	}
	return sqeSize
}

// cqeBytes returns the size of one completion queue entry.
func cqeBytes(flags uint32) uint32 {
	if flags&SetupCQE32 != 0 {
		return 2 * cqeSize
	}
	return cqeSize
}

// mmap maps the queues: two rings, or one that holds both, and the entries.
func (r *Ring) mmap(p *Params) error {
	sqSize := p.sqOff.array + p.SQEntries*4
	if p.Flags&SetupNoSQArray != 0 {
		sqSize = p.sqOff.array // no array, and no offset of it
	}
	cqSize := p.cqOff.cqes + p.CQEntries*cqeBytes(p.Flags)
	if p.Features&FeatSingleMmap != 0 {
		sqSize = max(sqSize, cqSize)
	}
	if err := r.mapAt(offSQRing, sqSize); err != nil {
		return err
	}
	if p.Features&FeatSingleMmap == 0 {
		if err := r.mapAt(offCQRing, cqSize); err != nil {
			return err
		}
	} else {
		r.maps = append(r.maps, nil) // the first holds both
	}
	return r.mapAt(offSQEs, p.SQEntries*sqeBytes(p.Flags))
}

func (r *Ring) mapAt(offset int64, size uint32) error {
	m, err := unix.Mmap(r.fd, offset, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return wrap("mmap", errnoOf(err))
	}
	r.maps = append(r.maps, m)
	return nil
}

// An allocator makes memory of whole pages that is not the ring's.
type allocator func(size uint64) ([]byte, error)

// allocate makes memory for a ring that maps none.
func (r *Ring) allocate(entries uint32, p *Params, alloc allocator) error {
	sq := roundUp(entries)
	cq := 2 * sq
	if p.Flags&SetupCQSize != 0 {
		cq = roundUp(p.CQEntries)
	}
	rings, err := alloc(headerSize + uint64(cq)*uint64(cqeBytes(p.Flags)) + uint64(sq)*4)
	if err != nil {
		return err
	}
	r.maps = append(r.maps, rings, nil)
	sqes, err := alloc(uint64(sq) * uint64(sqeBytes(p.Flags)))
	if err != nil {
		err = errors.Join(err, unmapAll(r.maps))
		r.maps = nil
		return err
	}
	r.maps = append(r.maps, sqes)
	p.cqOff.userAddr = address(unsafe.Pointer(unsafe.SliceData(rings)))
	p.sqOff.userAddr = address(unsafe.Pointer(unsafe.SliceData(sqes)))
	return nil
}

// maxMemory is far above the kernel's own limits on entries.
const maxMemory = 1 << 30

// pages returns size rounded up to whole pages.
func pages(size, page uint64) (int, error) {
	if size > maxMemory {
		return 0, wrap("io_uring_setup", unix.EINVAL)
	}
	return int((size + page - 1) &^ (page - 1)), nil
}

const shared = unix.MAP_SHARED | unix.MAP_ANONYMOUS

// anonymous makes memory of ordinary pages.
func anonymous(size uint64) ([]byte, error) {
	n, err := pages(size, uint64(os.Getpagesize()))
	if err != nil {
		return nil, err
	}
	m, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, shared|unix.MAP_POPULATE)
	return m, wrap("mmap", errnoOf(err))
}

// contiguous makes memory that is physically contiguous: a page, or huge pages.
// Kernels before 6.10 need that for a ring's queues.
func contiguous(size uint64) ([]byte, error) {
	if size <= uint64(os.Getpagesize()) {
		return anonymous(size)
	}
	n, err := pages(size, hugePage())
	if err != nil {
		return nil, err
	}
	m, err := mapHuge(n)
	if err != nil {
		return nil, wrap("mmap", errnoOf(err))
	}
	return touch(m)
}

// hugePage is the size of the kernel's default huge pages, of which a mapping of
// them is a multiple. It is another one where ordinary pages are larger, or where
// default_hugepagesz sets it.
var hugePage = sync.OnceValue(func() uint64 {
	info, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := strings.Cut(string(info), "\nHugepagesize:")
	var kib uint64
	if n, _ := fmt.Sscan(rest, &kib); n == 1 && kib > 0 {
		return kib << 10
	}
	return 2 << 20
})

func mapHuge(n int) ([]byte, error) {
	return unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, shared|unix.MAP_HUGETLB)
}

// touch has the kernel find pages for m now. In a cgroup without huge pages mmap
// succeeds and the first touch fails, which kills the program.
func touch(m []byte) ([]byte, error) {
	if err := unix.Madvise(m, unix.MADV_POPULATE_WRITE); err != nil {
		return nil, errors.Join(wrap("madvise", errnoOf(err)), unmapAll([][]byte{m}))
	}
	return m, nil
}

func (r *Ring) unmap() error {
	err := unmapAll(r.maps)
	r.maps, r.waits, r.sq, r.cq = nil, nil, SubmissionQueue{}, CompletionQueue{}
	return err
}

func unmapAll(maps [][]byte) error {
	var errs []error
	for _, m := range maps {
		if m != nil {
			errs = append(errs, wrap("munmap", errnoOf(unix.Munmap(m))))
		}
	}
	return errors.Join(errs...)
}

// layOut points the queues at their parts.
func (r *Ring) layOut(p *Params) {
	sq := unsafe.Pointer(unsafe.SliceData(r.maps[0]))
	cq := sq
	if r.maps[1] != nil {
		cq = unsafe.Pointer(unsafe.SliceData(r.maps[1]))
	}
	r.layOutSQ(sq, p)
	r.layOutCQ(cq, p)
}

func (r *Ring) layOutSQ(base unsafe.Pointer, p *Params) {
	off := &p.sqOff
	r.sq = SubmissionQueue{
		ring:     r,
		khead:    word(base, off.head),
		ktail:    word(base, off.tail),
		kflags:   word(base, off.flags),
		kdropped: word(base, off.dropped),
		mask:     *word(base, off.ringMask),
		entries:  *word(base, off.ringEntries),
		sqes:     unsafe.Pointer(unsafe.SliceData(r.maps[2])),
		size:     sqeBytes(p.Flags),
	}
	if p.Flags&SetupNoSQArray == 0 {
		for i := range r.sq.entries { // entry i is always submitted as number i
			*word(base, off.array+4*i) = i
		}
	}
}

func (r *Ring) layOutCQ(base unsafe.Pointer, p *Params) {
	off := &p.cqOff
	r.cq = CompletionQueue{
		ring:      r,
		khead:     word(base, off.head),
		ktail:     word(base, off.tail),
		koverflow: word(base, off.overflow),
		mask:      *word(base, off.ringMask),
		entries:   *word(base, off.ringEntries),
		cqes:      unsafe.Add(base, off.cqes),
		size:      cqeBytes(p.Flags),
		mixed:     p.Flags&SetupCQEMixed != 0,
	}
	if off.flags != 0 {
		r.cq.kflags = word(base, off.flags)
	}
}

func word(base unsafe.Pointer, offset uint32) *uint32 { return (*uint32)(unsafe.Add(base, offset)) }

// roundUp returns the least power of two that is not below n.
func roundUp(n uint32) uint32 {
	size := uint32(1)
	for size < n && size < 1<<31 {
		size <<= 1
	}
	return size
}

// address returns a pointer as the kernel's structures hold it. The caller keeps the
// memory reachable until the kernel is done.
func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

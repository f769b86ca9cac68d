//go:build !wasm

package diskstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// bbolt trusts the pages of its file. Damaged ones can make it loop forever, overwrite pages in
// use, or take all memory. So verify reads the structure first: each page is used once, by the
// tree or as a free one, and each key is in order. Values have checksums, which Load verifies.

// The format of bbolt's pages, in the machine's byte order.
const (
	pageHeader = 16 // id 8, flags 2, count 2, overflow 4
	elemSize   = 16 // branch: pos 4, ksize 4, page 8; leaf: flags 4, pos 4, ksize 4, vsize 4
	bucketSize = 16 // root page 8, sequence 8; then, if the root page is 0, the page itself

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketLeaf   = 0x01

	metaSize   = 64
	metaSum    = 56 // where the checksum is
	noFreelist = ^uint64(0)
	maxDepth   = 64
)

// verify returns an error that matches errDamaged if the file at path cannot be used.
func verify(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return nil // Open makes it
	}
	if err := canRead(path); err != nil { // bbolt would report it as damage
		return err
	}
	var file *os.File
	db, err := bolt.Open(path, 0, &bolt.Options{
		Timeout: lockTime, ReadOnly: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			file, err = os.OpenFile(name, flag, mode)
			return file, err
		},
	})
	if err != nil && file != nil && err != bolterrors.ErrTimeout && info.Size() < int64(2*os.Getpagesize()) {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return err
	}
	defer db.Close()
	if info, err = file.Stat(); err != nil {
		return err
	}
	v := &verifier{file: file, pageSize: int64(db.Info().PageSize), size: info.Size()}
	return v.verify()
}

// canRead returns the error of the system if the file at path cannot be read.
func canRead(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Read(make([]byte, 1)); err == io.EOF {
		return nil
	}
	return err
}

// lockTime is the time for which Open waits for the lock of the file.
const lockTime = time.Second

// A verifier reads the structure of a file.
type verifier struct {
	file           io.ReaderAt
	pageSize, size int64
	pages          uint64   // page ids are less
	seen           []uint64 // a bit for each page, set once the page is used
}

func damagedAt(page uint64, what string) error {
	return fmt.Errorf("%w: page %d: %s", errDamaged, page, what)
}

func (v *verifier) verify() error {
	meta, err := v.meta()
	if err != nil {
		return err
	}
	root, free := binary.NativeEndian.Uint64(meta[16:]), binary.NativeEndian.Uint64(meta[32:])
	v.pages = binary.NativeEndian.Uint64(meta[40:])
	if v.pages > uint64(v.size/v.pageSize) {
		return damagedAt(v.pages, "behind the end of the file")
	}
	v.seen = make([]uint64, v.pages/64+1)
	if err := v.tree(root, nil, nil, true, 0); err != nil {
		return err
	}
	return v.freelist(free)
}

// meta returns the newer one of the two meta pages that are whole.
func (v *verifier) meta() (newest []byte, err error) {
	for page := range int64(2) {
		m := make([]byte, metaSize)
		if err := v.readAt(m, page*v.pageSize+pageHeader); err != nil && !errors.Is(err, errDamaged) {
			return nil, err
		}
		sum := fnv.New64a()
		sum.Write(m[:metaSum])
		whole := sum.Sum64() == binary.NativeEndian.Uint64(m[metaSum:])
		if tick := func(m []byte) uint64 { return binary.NativeEndian.Uint64(m[48:]) }; whole &&
			(newest == nil || tick(m) > tick(newest)) {
			newest = m
		}
	}
	if newest == nil {
		return nil, fmt.Errorf("%w: no meta page is whole", errDamaged)
	}
	return newest, nil
}

func (v *verifier) readAt(p []byte, off int64) error {
	_, err := v.file.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file ends too early", errDamaged)
	}
	return err
}

// use sets the bits of count pages from id on. It returns an error if one was set.
func (v *verifier) use(id, count uint64) error {
	if id < 2 || count > v.pages || id > v.pages-count {
		return damagedAt(id, "is out of range")
	}
	for ; count > 0; id, count = id+1, count-1 {
		if v.seen[id/64]&(1<<(id%64)) != 0 {
			return damagedAt(id, "is used twice")
		}
		v.seen[id/64] |= 1 << (id % 64)
	}
	return nil
}

// A page is a page of the file, with those that continue it, or the page in the value of a small
// bucket.
type page struct {
	v     *verifier
	id    uint64
	off   int64 // in the file
	size  int64
	flags uint16
	count int
	start []byte // its first bytes, which have been read
}

// page reads the beginning of a page, which must not have been used.
func (v *verifier) page(id uint64) (*page, error) {
	if err := v.use(id, 1); err != nil {
		return nil, err
	}
	p := &page{v: v, id: id, off: int64(id) * v.pageSize, start: make([]byte, v.pageSize)}
	if err := v.readAt(p.start, p.off); err != nil {
		return nil, err
	}
	if binary.NativeEndian.Uint64(p.start) != id {
		return nil, damagedAt(id, "has another number")
	}
	more := uint64(binary.NativeEndian.Uint32(p.start[12:]))
	p.size = int64(more+1) * v.pageSize
	return p.parse(), v.use(id+1, more)
}

func (p *page) parse() *page {
	p.flags = binary.NativeEndian.Uint16(p.start[8:])
	p.count = int(binary.NativeEndian.Uint16(p.start[10:]))
	return p
}

// at returns n bytes of a page from an offset on.
func (p *page) at(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > p.size-n {
		return nil, damagedAt(p.id, "an element is out of range")
	}
	if off+n <= int64(len(p.start)) {
		return p.start[off : off+n], nil
	}
	b := make([]byte, n)
	return b, p.v.readAt(b, p.off+off)
}

// An element is one of a branch or leaf page.
type element struct {
	key         []byte
	child       uint64 // of a branch
	flags       uint32 // of a leaf
	value, size int64  // of a leaf: where it is in the page, and its length
}

func (p *page) element(i int) (e element, err error) {
	at := int64(pageHeader + i*elemSize)
	b, err := p.at(at, elemSize)
	if err != nil {
		return e, err
	}
	pos, ksize := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
	if p.flags == branchPage {
		e.child = binary.NativeEndian.Uint64(b[8:])
	} else {
		e.flags, pos, ksize = pos, ksize, binary.NativeEndian.Uint32(b[8:])
		e.value, e.size = at+int64(pos)+int64(ksize), int64(binary.NativeEndian.Uint32(b[12:]))
		if e.value > p.size-e.size {
			return e, damagedAt(p.id, "a value is out of range")
		}
	}
	if int64(pos) < int64(p.count-i)*elemSize {
		return e, damagedAt(p.id, "a key overlaps")
	}
	e.key, err = p.at(at+int64(pos), int64(ksize))
	return e, err
}

// tree verifies a page and those below it. The first key must be from, and all must be less than
// to, unless these are nil. top is true for the tree whose values are buckets.
func (v *verifier) tree(id uint64, from, to []byte, top bool, depth int) error {
	p, err := v.page(id)
	if err != nil {
		return err
	}
	if depth > maxDepth || p.count == 0 && (p.flags == branchPage || depth > 0) {
		return damagedAt(id, "is no page of a tree")
	}
	return v.elements(p, from, to, top, depth)
}

// elements verifies the elements of a page, and the pages below it.
func (v *verifier) elements(p *page, from, to []byte, top bool, depth int) error {
	if p.flags != branchPage && p.flags != leafPage {
		return damagedAt(p.id, "is no page of a tree")
	}
	var last element
	for i := range p.count {
		e, err := p.element(i)
		if err != nil {
			return err
		}
		if i == 0 && from != nil && !bytes.Equal(e.key, from) || i > 0 && bytes.Compare(e.key, last.key) <= 0 ||
			len(e.key) == 0 || to != nil && bytes.Compare(e.key, to) >= 0 {
			return damagedAt(p.id, "a key is out of order")
		}
		if p.flags == branchPage && i > 0 {
			err = v.tree(last.child, last.key, e.key, top, depth+1)
		} else if p.flags == leafPage {
			err = v.leaf(p, e, top)
		}
		if err != nil {
			return err
		}
		last = e
	}
	if p.flags == branchPage {
		return v.tree(last.child, last.key, to, top, depth+1)
	}
	return nil
}

// leaf verifies an element of a leaf page. At the top it must be a bucket.
func (v *verifier) leaf(p *page, e element, top bool) error {
	if e.flags&bucketLeaf == 0 != !top || e.flags&^bucketLeaf != 0 {
		return damagedAt(p.id, "an element has the wrong flags")
	}
	if !top {
		return nil
	}
	b, err := p.at(e.value, e.size)
	if err != nil {
		return err
	}
	if len(b) < bucketSize {
		return damagedAt(p.id, "a bucket is too short")
	}
	if root := binary.NativeEndian.Uint64(b); root != 0 {
		return v.tree(root, nil, nil, false, 0)
	}
	if b = b[bucketSize:]; len(b) < pageHeader {
		return damagedAt(p.id, "a bucket is too short")
	}
	inline := &page{v: v, id: p.id, size: int64(len(b)), start: b}
	if inline.parse().flags != leafPage {
		return damagedAt(p.id, "is no page of a tree")
	}
	return v.elements(inline, nil, nil, false, 0)
}

// freelist verifies that no page in the list of free pages is used.
func (v *verifier) freelist(id uint64) error {
	if id == noFreelist {
		return damagedAt(id, "there is no list of free pages")
	}
	p, err := v.page(id)
	if err != nil {
		return err
	}
	if p.flags != freelistPage {
		return damagedAt(id, "is no list of free pages")
	}
	count, at := int64(p.count), int64(pageHeader)
	if count == 0xFFFF { // the count comes before the list, because it does not fit into 16 bits
		b, err := p.at(at, 8)
		if err != nil {
			return err
		}
		count, at = int64(binary.NativeEndian.Uint64(b)), at+8
	}
	if count < 0 || count > p.size/8 {
		return damagedAt(id, "the list of free pages is too long")
	}
	b, err := p.at(at, count*8)
	if err != nil {
		return err
	}
	for ; len(b) > 0; b = b[8:] {
		if err := v.use(binary.NativeEndian.Uint64(b), 1); err != nil {
			return err
		}
	}
	return nil
}

// isDamage reports whether err is about the content of the file. Other errors are those of the
// system.
func isDamage(err error) bool {
	for _, damage := range []error{errDamaged, bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}

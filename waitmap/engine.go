package waitmap

import (
	"context"
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
)

// An engine is a map that was given its shape. [Map] makes one on first use.
type engine[K comparable, V any] struct {
	hasher[K]
	cells    cellKind
	memory   keyMemory
	doors    unsafe.Pointer // [len(shards)]door, dense for the readers' caches
	doorMask uint64         // the bits of an offset in doors
	shards   []shard[K, V]
	closed   atomic.Bool // read under a lines' mutex; see Close
	counts   []count
}

// A count is a share of the number of entries. Which goroutine adds to which
// is of no importance; that two seldom add to the same one is.
type count struct {
	n atomic.Int64
	_ [56]byte
}

func newEngine[K comparable, V any](o *Options[K]) *engine[K, V] {
	procs := runtime.GOMAXPROCS(0)
	shards := o.shards(procs)
	e := &engine[K, V]{
		hasher: newHasher(o.Hash),
		cells:  cellKindOf[V](),

		memory: keyMemoryOf[K](),
		shards: make([]shard[K, V], shards),
		counts: make([]count, powerOfTwo(4*procs)),
	}
	doors := make([]door, shards)
	e.doors, e.doorMask = unsafe.Pointer(&doors[0]), uint64(shards-1)*uint64(unsafe.Sizeof(door{}))
	nothing := newTable[K](e.cells, 1, 0)
	nothing.first.meta = metaFrozen
	for i := range e.shards {
		s := &e.shards[i]
		s.door, s.nothing, s.minimum = &doors[i], nothing, 4+4*i/shards
		s.lines.self = &s.lines
		s.install(nothing)
		s.reserve(e, o.Capacity/shards)
	}
	return e
}

func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }

// doorShift makes an offset in doors of bits that neither the tag nor the home
// depend on.
const doorShift = 3

func (e *engine[K, V]) shard(hash uint64) *shard[K, V] {
	return &e.shards[hash>>doorShift&e.doorMask/uint64(unsafe.Sizeof(door{}))]
}

func (e *engine[K, V]) count(by int64) {
	e.counts[stripe()&uintptr(len(e.counts)-1)].n.Add(by)
}

func (e *engine[K, V]) len() (n int64) {
	for i := range e.counts {
		n += e.counts[i].n.Load()
	}
	return max(n, 0)
}

// A spot is a key's place in the map, its home locked, so that nobody else can
// change anything about the key.
type spot[K comparable, V any] struct {
	s    *shard[K, V]
	t    *table[K]
	hash uint64
	home *group[K, wordCell]
	meta uint64              // of home, to be stored at release
	at   *group[K, wordCell] // the group of the key's slot, nil if it never had one
	i    int                 // the slot
	live bool
	line *line[K, V] // the key's line; nil if there is none
	busy bool        // the shard's lines are locked too
	over *hold       // to be ended at release; who holds the key then wakes

	served waitq.List[fate[V]] // left the line, to be handed v at release
	v      V
}

// visit locks the key's place, whoever holds the key for a computation. With
// lines it locks the shard's lines too, else only if the key's home has some.
func (e *engine[K, V]) visit(p *spot[K, V], key K, hash uint64, lines bool) {
	p.s, p.hash = e.shard(hash), hash
	p.t, p.home, p.meta, p.busy = p.s.lock(e, hash, lines)
	p.at, p.i, p.live = p.t.locate(key, hash)
	if p.busy {
		p.line = p.s.lines.find(key, hash)
	}
}

// acquire is visit for those who change the key: it waits until no computation
// holds it, however long that takes.
func (e *engine[K, V]) acquire(p *spot[K, V], key K, hash uint64, lines bool) {
	e.visit(p, key, hash, lines)
	if p.held() {
		_ = e.acquireHeld(context.Background(), p, key, hash, lines) // which does not end
	}
}

// acquireBy is acquire for those who have a context. If that ends first it
// fails, and nothing is held.
func (e *engine[K, V]) acquireBy(ctx context.Context, p *spot[K, V], key K, hash uint64, lines bool) error {
	e.visit(p, key, hash, lines)
	if p.held() {
		return e.acquireHeld(ctx, p, key, hash, lines)
	}
	return nil
}

func (p *spot[K, V]) held() bool { return p.line != nil && p.line.hold != nil }

func (e *engine[K, V]) acquireHeld(ctx context.Context, p *spot[K, V], key K, hash uint64, lines bool) error {
	for p.held() {
		l, h := p.line, p.line.hold
		p.release()
		if err := e.await(ctx, &p.s.lines.mu, l, h); err != nil {
			return waitq.ParkError(ctx, err)
		}
		e.visit(p, key, hash, lines)
	}
	return nil
}

// open makes l the key's line.
func (p *spot[K, V]) open(l *line[K, V], key K) {
	p.line = p.s.lines.open(l, key, p.hash)
	p.meta |= metaLines
}

// release unlocks the key's place. It ends the hold that is over and serves
// who is to be served; the home is free by then, so that writers of other keys
// need not spin for as long as that takes.
func (p *spot[K, V]) release() {
	if p.busy {
		p.leaveLine()
	}
	yield.At(yield.MapWritten)
	setGroup(p.home, p.meta)
	if p.busy {
		settle(p.served, p.v, nil)
		p.line, p.busy, p.over = nil, false, nil
		p.s.lines.mu.Unlock()
	}
}

// leaveLine closes the key's line if nobody needs it any more, and takes
// metaLines back if the home has no other. While there are waiters to serve
// the bit stays, and makes the next writer of this home wait for that.
func (p *spot[K, V]) leaveLine() {
	if p.line != nil {
		if p.over != nil {
			p.line.hold = nil
			p.over.end()
		}
		p.s.lines.tidy(&p.line.lineHead)
	}
	if p.served.Front() == nil && !p.s.lines.any(p.t, p.t.homeIndex(p.hash)) {
		p.meta &^= metaLines | metaTakers
	}
}

// value is the entry's value; it must be live.
func (p *spot[K, V]) value(e *engine[K, V]) V {
	v, _ := unpack[V](e.cells, p.cell(e))
	return v
}

// old is what a Load would give.
func (p *spot[K, V]) old(e *engine[K, V]) (v V, loaded bool) {
	if p.live {
		v = p.value(e)
	}
	return v, p.live
}

func (p *spot[K, V]) cell(e *engine[K, V]) cell { return p.at.slot(p.i).cell.load(e.cells) }

// publish stores the value, serves who waits for it, and releases. It reports
// false, having only released, if the table has no room: replace it and try
// again.
func (e *engine[K, V]) publish(p *spot[K, V], key K, c cell) bool {
	if p.line != nil {
		return e.publishLine(p, key, c)
	}
	added, ok := p.put(e, key, c)
	p.release()
	if added {
		e.count(1)
	}
	return ok
}

// publishLine serves the line before anybody can see the value: if a taker is
// in it, nobody ever will.
func (e *engine[K, V]) publishLine(p *spot[K, V], key K, c cell) bool {
	v, _ := unpack[V](e.cells, c)
	var added bool
	taker := p.line.hand(v)
	if taker == nil {
		var ok bool
		if added, ok = p.put(e, key, c); !ok {
			p.over = nil
			p.release()
			return false
		}
	}
	p.served, p.v = p.line.witnesses(), v
	p.line.note(v, nil)
	p.release()
	if added {
		e.count(1)
	}
	if taker != nil {
		defer wakeAll(taker)
	}
	wakeList(p.served)
	return true
}

// put writes the value: over the old one, into the slot that the key had
// before, or into a fresh one.
func (p *spot[K, V]) put(e *engine[K, V], key K, c cell) (added, ok bool) {
	if p.at == nil {
		ok = p.fill(e, key, c)
		return ok, ok
	}
	p.at.slot(p.i).cell.store(e.cells, c)
	if p.live {
		return false, true
	}
	p.change(p.at, func(meta uint64) uint64 { return meta | tagLive<<tagShift(p.i) })
	return true, true
}

// change changes the meta word of home or of a later group.
func (p *spot[K, V]) change(g *group[K, wordCell], f func(meta uint64) uint64) (emptied int64) {
	meta := p.meta
	if g != p.home {
		meta, _ = lockGroup(g) // not frozen: that begins at home, which is ours
	}
	next := f(meta)
	p.pass(g, next)
	return p.t.countEmptied(meta, next)
}

// fill takes the first free slot within reach.
func (p *spot[K, V]) fill(e *engine[K, V], key K, c cell) bool {
	meta := p.meta
	g := p.home
	for range p.t.reach {
		if used(meta) < groupSlots {
			break
		}
		p.pass(g, meta|metaOverflow)
		g = g.at(1)
		meta, _ = lockGroup(g)
	}
	if used(meta) == groupSlots {
		p.pass(g, meta)
		return false
	}
	next := p.t.add(g, meta, key, p.hash, c)
	p.t.countEmptied(meta, next)
	p.pass(g, next)
	return true
}

func (p *spot[K, V]) pass(g *group[K, wordCell], meta uint64) {
	if g == p.home {
		p.meta = meta
	} else {
		setGroup(g, meta)
	}
}

// remove deletes the entry, which must be live, and releases.
func (e *engine[K, V]) remove(p *spot[K, V]) {
	emptied := p.change(p.at, func(meta uint64) uint64 { return meta &^ (tagLive << tagShift(p.i)) })
	if e.cells != cellWords {
		p.at.slot(p.i).cell.store(e.cells, cell{})
	}
	t, s, key := p.t, p.s, &p.at.slot(p.i).key
	p.release()
	e.count(-1)
	s.shrink(e, t, emptied, key)
}

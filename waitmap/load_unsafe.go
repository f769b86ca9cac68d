package waitmap

import (
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/vigil-go/vigil/internal/schedpoint"
)

// load is Load, the fast path of every read and of every wait on a present key.
// It is one function because its parts would not be inlined, and a few calls cost as much
// as the look-up. The length of the chain of steps from the key to its slot matters more
// than the number of all steps, since the processor overlaps independent ones.
func (m *Map[K, V]) load(key K) (value V, ok bool) {
	e := m.e.Load()
	if e == nil {
		return m.loadSlow(key)
	}
	var early, hash uint64
	if unsafe.Sizeof(key) <= 8 && e.kind == keysWord {
		early, hash = mix(keyBits(key), e.secret)
	} else if unsafe.Sizeof(key) == unsafe.Sizeof("") && e.kind == keysString {
		if s := keyString(key); 8 <= len(s) && len(s) <= 16 { // as hashString does
			hash = e.mixWords(load64(s), load64(s[len(s)-8:]), len(s))
		} else {
			hash = e.hashString(s)
		}
		early = hash
	} else {
		return m.loadSlow(key)
	}
	size := stride[K]()
	view := (*tableView)(unsafe.Add(e.views, uintptr(early>>viewShift&e.viewMask)))
	first, homes := atomic.LoadPointer(&view.first), atomic.LoadUint64(&view.homes)
	if (*group[K, wordCell])(unsafe.Add(first, -size)).meta != homes {
		return m.loadSlow(key) // the table was just replaced
	}
	g := unsafe.Add(first, uintptr(hash>>32*homes>>32)*size)
	tags := tagOf(hash) * lowBytes
	meta := atomic.LoadUint64(&(*group[K, wordCell])(g).meta)
	marks := match(meta, tags)
	if marks == 0 {
		if meta&metaOverflow == 0 {
			return value, false
		}
		return e.loadFurther(unsafe.Add(g, size), key, tags)
	}
	i := bits.TrailingZeros64(marks) // i&63 tells the compiler that it is below 64
	s := (*slot[K, wordCell])(unsafe.Add(g, slotOffset[K](i)))
	if s.key != key {
		return e.loadFurther(g, key, tags)
	}
	schedpoint.At(schedpoint.MapFound)
	if unsafe.Sizeof(value) <= 8 && e.cells == cellWords {
		b := atomic.LoadUint64(&s.cell.bits)
		schedpoint.At(schedpoint.MapRead)
		if again := atomic.LoadUint64(&(*group[K, wordCell])(g).meta); again&(1<<(i&63)) == 0 {
			return value, false
		}
		w := b // its address is taken after the last load, so that b stays in a register
		return *(*V)(unsafe.Pointer(&w)), true
	}
	p := atomic.LoadPointer((*unsafe.Pointer)(unsafe.Pointer(&s.cell.bits)))
	schedpoint.At(schedpoint.MapRead)
	if again := atomic.LoadUint64(&(*group[K, wordCell])(g).meta); p == nil || again&(1<<(i&63)) == 0 {
		return value, false
	}
	if e.cells == cellBoxes {
		return *(*V)(p), true
	}
	return unpack[V](cellPointers, cell{ptr: p})
}

// loadFurther is load if the first slot with the tag has another key, or if there is no
// such slot and the home group overflows. It looks through the group at and those after
// it.
func (e *engine[K, V]) loadFurther(at unsafe.Pointer, key K, tags uint64) (value V, ok bool) {
	for {
		g := (*group[K, wordCell])(at)
		meta := atomic.LoadUint64(&g.meta)
		for m := match(meta, tags); m != 0; m &= m - 1 {
			s := (*slot[K, wordCell])(unsafe.Add(at, slotOffset[K](bits.TrailingZeros64(m))))
			if s.key != key {
				continue
			}
			schedpoint.At(schedpoint.MapFound)
			c := s.cell.load(e.cells)
			schedpoint.At(schedpoint.MapRead)
			if atomic.LoadUint64(&g.meta)&(m&-m) == 0 {
				return value, false
			}
			return unpack[V](e.cells, c)
		}
		// That the key is absent is true at one instant, since a key has at
		// most one slot in the life of a table.
		if meta&metaOverflow == 0 {
			return value, false
		}
		at = unsafe.Add(at, stride[K]())
	}
}

// loadSlow is load for other kinds of keys, and if the map or its table is new.
func (m *Map[K, V]) loadSlow(key K) (value V, ok bool) {
	e := m.init()
	h := e.hash(key)
	c, ok := e.shard(h).table.Load().peek(key, h)
	if !ok {
		return value, false
	}
	return unpack[V](e.cells, c)
}

// slotOffset returns the offset in its group of the slot whose mark is the i-th bit.
func slotOffset[K comparable](i int) uintptr {
	var g *group[K, wordCell] // for its type
	const firstMark = 15
	return unsafe.Offsetof(g.slots) + (uintptr(i)-firstMark)*(unsafe.Sizeof(g.slots[0])/8)
}

// A tableView is what readers need of a shard's table, one memory access closer to them
// than the table is. For an instant the two fields may belong to different tables; the
// number in the table's header decides.
type tableView struct {
	_     [0]atomic.Uint64 // 64-bit alignment on 32-bit machines
	homes uint64
	first unsafe.Pointer // of table.first
}

// setView makes t the table that readers see.
func setView[K comparable](view *tableView, t *table[K]) {
	atomic.StoreUint64(&view.homes, t.homes)
	schedpoint.At(schedpoint.MapViewHalf)
	atomic.StorePointer(&view.first, unsafe.Pointer(t.first))
}

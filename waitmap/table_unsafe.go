package waitmap

import (
	"math/bits"
	"reflect"
	"sync/atomic"
	"unsafe"

	"github.com/vigil-go/vigil/internal/yield"
)

// All of the package's unsafe code is here: cells whose type depends on V,
// tables whose slots depend on the kind of cell, and the bytes of simple keys.
//
// All code sees a group as group[K, wordCell]. Its cells may truly be
// pointerCells: the layouts agree, and cells are only touched here.

type cellKind uint8

const (
	cellBoxes cellKind = iota
	cellPointers
	cellWords
)

func cellKindOf[V any]() cellKind {
	t := reflect.TypeFor[V]()
	switch {
	case t.Size() <= 8 && pointerFree(t):
		return cellWords
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.UnsafePointer,
		t.Kind() == reflect.Map, t.Kind() == reflect.Chan, t.Kind() == reflect.Func:
		return cellPointers
	default:
		return cellBoxes
	}
}

func pointerFree(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	case reflect.Array:
		return t.Len() == 0 || pointerFree(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !pointerFree(t.Field(i).Type) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// keyMemory tells what memory a key may hold besides its slot.
type keyMemory uint8

const (
	keysHoldNothing keyMemory = iota
	keysHoldBytes             // a string's
	keysHoldUnknown
)

func keyMemoryOf[K comparable]() keyMemory {
	switch t := reflect.TypeFor[K](); {
	case pointerFree(t):
		return keysHoldNothing
	case t.Kind() == reflect.String:
		return keysHoldBytes
	default:
		return keysHoldUnknown
	}
}

// A cell is what a slot holds, outside of it.
type cell struct {
	bits uint64
	ptr  unsafe.Pointer
}

var nilValue = unsafe.Pointer(new(byte)) // a nil pointer that is a value

// pack makes a cell. It allocates for cellBoxes.
func pack[V any](kind cellKind, v V) (c cell) {
	if unsafe.Sizeof(v) <= 8 && kind == cellWords {
		*(*V)(unsafe.Pointer(&c.bits)) = v
		return c
	}
	if unsafe.Sizeof(v) == unsafe.Sizeof(c.ptr) && kind == cellPointers {
		c.ptr = *(*unsafe.Pointer)(unsafe.Pointer(&v))
		if c.ptr == nil {
			c.ptr = nilValue
		}
		return c
	}
	c.ptr = box(v)
	return c
}

func box[V any](v V) unsafe.Pointer {
	p := new(V)
	*p = v
	return unsafe.Pointer(p)
}

// unpack is pack's inverse; ok is false for a cell without a value.
func unpack[V any](kind cellKind, c cell) (v V, ok bool) {
	if unsafe.Sizeof(v) <= 8 && kind == cellWords {
		return *(*V)(unsafe.Pointer(&c.bits)), true
	}
	if c.ptr == nil {
		return v, false
	}
	if unsafe.Sizeof(v) == unsafe.Sizeof(c.ptr) && kind == cellPointers {
		if c.ptr == nilValue {
			return v, true
		}
		return *(*V)(unsafe.Pointer(&c.ptr)), true
	}
	return *(*V)(c.ptr), true
}

// load reads a cell. What it returns counts only if the slot is live after it.
func (w *wordCell) load(kind cellKind) (c cell) {
	if kind == cellWords {
		c.bits = atomic.LoadUint64(&w.bits)
	} else {
		c.ptr = atomic.LoadPointer((*unsafe.Pointer)(unsafe.Pointer(&w.bits)))
	}
	return c
}

func (w *wordCell) store(kind cellKind, c cell) {
	if kind == cellWords {
		atomic.StoreUint64(&w.bits, c.bits)
	} else {
		atomic.StorePointer((*unsafe.Pointer)(unsafe.Pointer(&w.bits)), c.ptr)
	}
}

// init is store for a slot that nobody else can see yet.
func (w *wordCell) init(kind cellKind, c cell) {
	if kind == cellWords {
		w.bits = c.bits
	} else {
		*(*unsafe.Pointer)(unsafe.Pointer(&w.bits)) = c.ptr
	}
}

// Load returns the value stored under key, or V's zero value and false. A key
// that is only waited for is not there.
func (m *Map[K, V]) Load(key K) (value V, ok bool) {
	// The fast path of every read and of every wait on a present key. It is
	// in one piece because its parts would not be inlined, and a few calls
	// cost as much as the look-up.
	e := m.e.Load()
	if e == nil {
		return m.loadSlow(key)
	}
	var early, hash uint64
	if unsafe.Sizeof(key) <= 8 && e.kind == keysWord {
		early, hash = mix(keyBits(key), e.secret)
	} else if unsafe.Sizeof(key) == unsafe.Sizeof("") && e.kind == keysString {
		if s := keyString(key); 8 <= len(s) && len(s) <= 16 { // as text does
			hash = e.join(load64(s), load64(s[len(s)-8:]), len(s))
		} else {
			hash = e.text(s)
		}
		early = hash
	} else {
		return m.loadSlow(key)
	}
	size := stride[K]()
	d := (*door)(unsafe.Add(e.doors, early>>doorShift&e.doorMask))
	first, homes := atomic.LoadPointer(&d.first), d.homes.Load()
	if (*group[K, wordCell])(unsafe.Add(first, -size)).meta != homes {
		return m.loadSlow(key) // the table was just replaced
	}
	g := unsafe.Add(first, uintptr(hash>>32*homes>>32)*size)
	tags := tagOf(hash) * lowBytes
	meta := atomic.LoadUint64(&(*group[K, wordCell])(g).meta)
	for {
		m := match(meta, tags)
		for ; m != 0; m &= m - 1 {
			s := (*slot[K, wordCell])(unsafe.Add(g, slotOffset[K](m)))
			if s.key != key {
				continue
			}
			yield.At(yield.MapFound)
			if unsafe.Sizeof(value) <= 8 && e.cells == cellWords {
				b := atomic.LoadUint64(&s.cell.bits)
				yield.At(yield.MapRead)
				if again := atomic.LoadUint64(&(*group[K, wordCell])(g).meta); again != meta && again&(m&-m) == 0 {
					return value, false
				}
				return *(*V)(unsafe.Pointer(&b)), true
			}
			p := atomic.LoadPointer((*unsafe.Pointer)(unsafe.Pointer(&s.cell.bits)))
			yield.At(yield.MapRead)
			if again := atomic.LoadUint64(&(*group[K, wordCell])(g).meta); p == nil || again != meta && again&(m&-m) == 0 {
				return value, false
			}
			if e.cells == cellBoxes {
				return *(*V)(p), true
			}
			return unpack[V](cellPointers, cell{ptr: p})
		}
		// Absent is the truth of one instant, too: a key has at most one
		// slot in a table's life.
		if meta&metaOverflow == 0 {
			return value, false
		}
		g = unsafe.Add(g, size)
		meta = atomic.LoadUint64(&(*group[K, wordCell])(g).meta)
	}
}

// loadSlow is Load for other keys, and when the map or a table is new.
func (m *Map[K, V]) loadSlow(key K) (value V, ok bool) {
	e := m.init()
	h := e.hash(key)
	c, ok := e.shard(h).table.Load().peek(key, h)
	if !ok {
		return value, false
	}
	return unpack[V](e.cells, c)
}

// slotOffset is where the slot of the lowest mark lies in its group.
func slotOffset[K comparable](mark uint64) uintptr {
	var g *group[K, wordCell] // for its type
	const firstMark = 15
	return unsafe.Offsetof(g.slots) + (uintptr(bits.TrailingZeros64(mark))-firstMark)*(unsafe.Sizeof(g.slots[0])/8)
}

// A door is where readers enter a shard's table: what they need of it, to be
// had with one memory access less than by way of the table. The two fields may
// be of different tables for an instant; the truth is in the table's header.
type door struct {
	first unsafe.Pointer // of table.first
	homes atomic.Uint64
}

func openDoor[K comparable](d *door, t *table[K]) {
	d.homes.Store(t.homes)
	yield.At(yield.MapAjar)
	atomic.StorePointer(&d.first, unsafe.Pointer(t.first))
}

// newGroups allocates n groups with cells of the kind, behind a header: one
// more group, whose meta word holds the number of homes.
func newGroups[K comparable](kind cellKind, n int, homes uint64) *group[K, wordCell] {
	var header unsafe.Pointer
	switch padded := stride[K]() == twoLines; {
	case kind == cellWords && padded:
		header = unsafe.Pointer(&make([]paddedGroup[K, wordCell], n+1)[0])
	case kind == cellWords:
		header = unsafe.Pointer(&make([]group[K, wordCell], n+1)[0])
	case padded:
		header = unsafe.Pointer(&make([]paddedGroup[K, pointerCell], n+1)[0])
	default:
		header = unsafe.Pointer(&make([]group[K, pointerCell], n+1)[0])
	}
	g := (*group[K, wordCell])(header)
	g.meta = homes
	return g.at(1)
}

// A paddedGroup fills two cache lines if its keys have eight bytes or less.
type paddedGroup[K comparable, C wordCell | pointerCell] struct {
	group[K, C]
	_ [8]byte
}

const twoLines = 128

// stride is the distance from group to group. If it takes no more than eight
// bytes to keep groups from sharing cache lines, they are spent.
func stride[K comparable]() uintptr {
	if unsafe.Sizeof(paddedGroup[K, wordCell]{}) == twoLines {
		return twoLines
	}
	return unsafe.Sizeof(group[K, wordCell]{})
}

// at returns the i-th group after g.
func (g *group[K, C]) at(i uint64) *group[K, C] {
	return (*group[K, C])(unsafe.Add(unsafe.Pointer(g), uintptr(i)*stride[K]()))
}

// touch has the processor fetch the far end of the group while it waits for
// the near one.
func (g *group[K, C]) touch() {
	atomic.LoadUint64((*uint64)(unsafe.Add(unsafe.Pointer(g), unsafe.Sizeof(*g)-8)))
}

// slot is &g.slots[i] for an i that is known to be below groupSlots.
func (g *group[K, C]) slot(i int) *slot[K, C] {
	return (*slot[K, C])(unsafe.Add(unsafe.Pointer(&g.slots), uintptr(i)*unsafe.Sizeof(g.slots[0])))
}

// keyBits returns the bytes of a key that is an integer or a pointer.
func keyBits[K comparable](key K) uint64 {
	switch unsafe.Sizeof(key) {
	case 8:
		return *(*uint64)(unsafe.Pointer(&key))
	case 4:
		return uint64(*(*uint32)(unsafe.Pointer(&key)))
	case 2:
		return uint64(*(*uint16)(unsafe.Pointer(&key)))
	default:
		return uint64(*(*uint8)(unsafe.Pointer(&key)))
	}
}

// keyString returns a key whose kind is string.
func keyString[K comparable](key K) string { return *(*string)(unsafe.Pointer(&key)) }

// stripe tells goroutines apart, roughly and for nothing: by where their
// stacks are.
func stripe() uintptr {
	var here byte
	return uintptr(unsafe.Pointer(&here)) >> 12
}

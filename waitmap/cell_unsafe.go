package waitmap

import (
	"reflect"
	"sync/atomic"
	"unsafe"
)

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

// A cell is the content of a slot's cell, in registers.
type cell struct {
	bits uint64
	ptr  unsafe.Pointer
}

// The two kinds of cell have one layout and differ in what the garbage collector sees.
// All code sees a group as group[K, wordCell], also if its cells are pointerCells. Only
// this file accesses cells.
type wordCell struct {
	_    [0]atomic.Uint64
	bits uint64
}

type pointerCell struct {
	_    [0]atomic.Uint64
	ptrs [8 / unsafe.Sizeof(uintptr(0))]unsafe.Pointer // the first is used
}

var nilValue = unsafe.Pointer(new(byte)) // a nil pointer that is a value

// pack makes a cell of a value. It allocates for cellBoxes.
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

// load reads a cell. The result is valid only if the slot is live after it.
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

// init is store for a slot that no other goroutine can see yet.
func (w *wordCell) init(kind cellKind, c cell) {
	if kind == cellWords {
		w.bits = c.bits
	} else {
		*(*unsafe.Pointer)(unsafe.Pointer(&w.bits)) = c.ptr
	}
}

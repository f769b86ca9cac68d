package waitmap

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/vigil-go/vigil/internal/striped"
)

// An engine is a map with a shape. A [Map] makes one on first use.
type engine[K comparable, V any] struct {
	hasher[K]
	cells    cellKind
	memory   keyMemory
	views    unsafe.Pointer // [len(shards)]tableView, dense for the readers' caches
	viewMask uint64         // the bits of an offset in views
	shards   []shard[K, V]
	closed   atomic.Bool // read under a lines' mutex; see Close
	sleepers *sync.Pool  // of *sleeper; an allocation of its own, since a pool in use keeps alive what it is part of
	counts   []count
}

// A count is a stripe of the number of entries. It does not matter which goroutine adds
// to which stripe, as long as two of them seldom add to the same one.
type count struct {
	_ [0]atomic.Int64 // 64-bit alignment on 32-bit machines
	n int64           // atomic, by the functions of sync/atomic, which are inlined in generic code too
	_ [56]byte
}

func newEngine[K comparable, V any](o *Options[K]) *engine[K, V] {
	procs := runtime.GOMAXPROCS(0)
	shards := o.shards(procs)
	e := &engine[K, V]{
		hasher:   newHasher(o.Hash),
		cells:    cellKindOf[V](),
		memory:   keyMemoryOf[K](),
		sleepers: new(sync.Pool),
		shards:   make([]shard[K, V], shards),
		counts:   make([]count, powerOfTwo(4*procs)),
	}
	views := make([]tableView, shards)
	e.views, e.viewMask = unsafe.Pointer(&views[0]), uint64(shards-1)*uint64(unsafe.Sizeof(tableView{}))
	emptyTable := newTable[K](e.cells, 1, 0)
	emptyTable.first.meta = metaFrozen
	for i := range e.shards {
		s := &e.shards[i]
		s.view, s.emptyTable, s.minimum = &views[i], emptyTable, 4+4*i/shards
		s.lines.self = &s.lines
		s.install(emptyTable)
		s.reserve(e, o.Capacity/shards)
	}
	return e
}

func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }

// viewShift makes an offset in views of bits of the hash on which neither the tag nor
// the home depends.
const viewShift = 3

func (e *engine[K, V]) shard(hash uint64) *shard[K, V] {
	return &e.shards[hash>>viewShift&e.viewMask/uint64(unsafe.Sizeof(tableView{}))]
}

func (e *engine[K, V]) count(by int64) {
	atomic.AddInt64(&striped.Of(e.counts).n, by)
}

func (e *engine[K, V]) len() (n int64) {
	for i := range e.counts {
		n += atomic.LoadInt64(&e.counts[i].n)
	}
	return max(n, 0)
}

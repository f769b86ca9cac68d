package rivals

// A Worker is one goroutine's share of a mixed load: its random numbers, the keys
// it draws from and the share of reads. It is as small as the loop allows, because
// it costs every rival.
type Worker[K Key, V any] struct {
	state      uint64
	keys       []K
	vals       []V // a power of two of them
	readBelow  uint64
	storeBelow uint64

	// Hits counts the reads that found their key. It keeps the compiler from
	// dropping a read, and shows whether a map has lost entries.
	Hits uint64

	_ [64]byte // two workers never share a cache line
}

// A Mix is the percentage of the operations that are reads. Half of the others
// store and half delete.
type Mix int

// NewWorker returns worker number id of a load that draws from keys evenly.
// The number of vals must be a power of two.
func NewWorker[K Key, V any](id int, keys []K, vals []V, mix Mix) *Worker[K, V] {
	reads := (1 << 32) * uint64(mix) / 100
	return &Worker[K, V]{
		state:      0x9e3779b97f4a7c15 * uint64(2*id+1),
		keys:       keys,
		vals:       vals,
		readBelow:  reads,
		storeBelow: reads + (1<<32-reads)/2,
	}
}

// next draws a key and an operation by xorshift, with 3 shifts and without memory
// accesses. The high half picks the key by a multiplication instead of a division;
// the low half picks the operation.
func (w *Worker[K, V]) next() (K, uint64) {
	x := w.state
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	w.state = x
	return w.keys[(x>>32)*uint64(len(w.keys))>>32], x & (1<<32 - 1)
}

// value returns one of the prebuilt values: making values must not count as the
// map's work.
func (w *Worker[K, V]) value(op uint64) V { return w.vals[op&uint64(len(w.vals)-1)] }

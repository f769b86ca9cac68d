package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram counts durations in buckets that are 3% wide: any number of
// goroutines record, memory does not grow. The zero value is ready.
type histogram struct {
	buckets [1344]atomic.Uint64
	max     atomic.Int64
}

// bucketOf maps microseconds to a bucket: 64 exact ones, then 32 for each
// power of two.
func bucketOf(us uint64) int {
	shift := max(0, bits.Len64(us)-6)
	return shift<<5 + int(us>>shift)
}

// lastOf is the largest number of microseconds that maps to bucket i.
func lastOf(i int) uint64 {
	shift := max(0, i>>5-1)
	return uint64(i-shift<<5+1)<<shift - 1
}

func (h *histogram) record(d time.Duration) {
	us := uint64(max(0, d.Microseconds()))
	h.buckets[min(bucketOf(us), len(h.buckets)-1)].Add(1)
	for old := h.max.Load(); int64(d) > old && !h.max.CompareAndSwap(old, int64(d)); {
		old = h.max.Load()
	}
}

func (h *histogram) count() (n uint64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// quantile returns a duration that a share q of the recorded ones do not
// exceed, zero if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.count())), uint64(0)
	longest := time.Duration(h.max.Load())
	for i := range h.buckets {
		if seen += h.buckets[i].Load(); seen > rank {
			return min(longest, time.Duration(lastOf(i))*time.Microsecond)
		}
	}
	return longest
}

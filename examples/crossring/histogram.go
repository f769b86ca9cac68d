package main

import (
	"math"
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are 3% wide; what it takes does
// not grow. The zero value is empty. It is one player's.
type histogram struct {
	buckets [1152]uint64
	count   uint64
}

// bucketOf maps nanoseconds to a bucket: 64 exact ones, then 32 for each power
// of two, up to 18 minutes.
func bucketOf(ns uint64) int {
	shift := max(0, bits.Len64(ns)-6)
	return shift<<5 + int(ns>>shift)
}

// lastOf is the largest number of nanoseconds that maps to bucket i.
func lastOf(i int) uint64 {
	shift := max(0, i>>5-1)
	return uint64(i-shift<<5+1)<<shift - 1
}

func (h *histogram) record(d time.Duration) {
	h.buckets[min(bucketOf(uint64(max(0, d))), len(h.buckets)-1)]++
	h.count++
}

func (h *histogram) add(o *histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.count += o.count
}

// quantile returns the shortest duration that a share q of the recorded ones do
// not exceed, rounded up to its bucket's end; zero if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(math.Ceil(q*float64(h.count))), uint64(0)
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= rank {
			return time.Duration(lastOf(i))
		}
	}
	return 0
}

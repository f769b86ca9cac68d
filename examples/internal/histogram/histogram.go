// Package histogram counts durations for the tables of the example programs.
package histogram

import (
	"math"
	"math/bits"
	"sync"
	"time"
)

// A Histogram counts durations in buckets that are 3% wide; its size does not
// grow. The zero value is empty. Only one goroutine at a time may use it.
type Histogram struct {
	buckets [1152]uint64
	count   uint64
	longest time.Duration
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

// Record counts d. A negative duration counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = max(0, d)
	h.buckets[min(bucketOf(uint64(d)), len(h.buckets)-1)]++
	h.count++
	h.longest = max(h.longest, d)
}

// Add counts all that o has counted.
func (h *Histogram) Add(o *Histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.count += o.count
	h.longest = max(h.longest, o.longest)
}

// Count is the number of recorded durations.
func (h *Histogram) Count() uint64 { return h.count }

// Quantile returns the shortest duration that a share q of the recorded ones do
// not exceed, rounded up by 3% at most; zero if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := uint64(math.Ceil(q*float64(h.count))), uint64(0)
	for i, n := range h.buckets[:len(h.buckets)-1] {
		if seen += n; n > 0 && seen >= rank {
			return min(h.longest, time.Duration(lastOf(i)))
		}
	}
	return h.longest // what is out of range is in the last bucket
}

// A Shared is a Histogram that any number of goroutines may use. The zero value
// is empty.
type Shared struct {
	mu sync.Mutex
	h  Histogram
}

// Record counts d, as Histogram.Record does.
func (s *Shared) Record(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.h.Record(d)
}

// Quantile is that of Histogram.Quantile.
func (s *Shared) Quantile(q float64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.h.Quantile(q)
}

// Count is that of Histogram.Count.
func (s *Shared) Count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.h.Count()
}

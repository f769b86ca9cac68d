package waitmap

import (
	"fmt"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// The three parts of a hash choose shard, home and tag. Homes and tags must be
// as even as a fair draw for keys with a pattern, whatever the secret. For
// shards, which one round chooses, none may have twice its share.
func TestHashSpreadsPatternsOverItsParts(t *testing.T) {
	const keys, cells = 1 << 13, 1 << 6
	const share = keys / cells
	parts := []struct {
		name string
		far  float64 // from a fair share
		of   func(uint64) uint64
	}{
		{"shard", share, func(h uint64) uint64 { return h >> 7 % cells }},
		{"home", 7 * 11.3, func(h uint64) uint64 { return h >> 32 * cells >> 32 }}, // standard deviations
		{"tag", 7 * 11.3, func(h uint64) uint64 { return h % cells }},
	}
	check := func(name string, hash func(i uint64) uint64) {
		for _, part := range parts {
			var n [cells]int
			for i := range uint64(keys) {
				n[part.of(hash(i))]++
			}
			for _, n := range n {
				require.InDelta(t, share, n, part.far, "%s by %s", name, part.name)
			}
		}
	}
	for range reps(20) {
		h := newHasher[uint64](nil)
		for shift := range 64 - bits.Len(keys-1) {
			check(fmt.Sprintf("integers 2^%d apart", shift), func(i uint64) uint64 { return h.hash(i << shift) })
		}
		for _, step := range []uint64{3, 24, 1000, 0x9e3779b97f4a7c15} {
			check(fmt.Sprintf("multiples of %d", step), func(i uint64) uint64 { return h.hash(i * step) })
		}
		text := newHasher[string](nil)
		for _, format := range []string{"%d", "k%07d", "key-%012d", "%014d", "https://example.org/%d"} {
			check(format, func(i uint64) uint64 { return text.hash(fmt.Sprintf(format, i)) })
		}
	}
}

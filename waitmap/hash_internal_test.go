package waitmap

import (
	"fmt"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// The three parts of a hash choose shard, home and tag. Each must be spread
// well for keys with a pattern, whatever the secret.
func TestHashSpreadsPatternsOverItsParts(t *testing.T) {
	const keys, cells = 1 << 13, 1 << 6
	parts := map[string]func(uint64) uint64{
		"shard": func(h uint64) uint64 { return h >> 7 % cells },
		"home":  func(h uint64) uint64 { return h >> 32 * cells >> 32 },
		"tag":   func(h uint64) uint64 { return h % cells },
	}
	check := func(name string, hash func(i uint64) uint64) {
		for part, of := range parts {
			var n [cells]int
			for i := range uint64(keys) {
				n[of(hash(i))]++
			}
			for _, n := range n { // seven standard deviations of a fair draw
				require.InDelta(t, keys/cells, n, 80, "%s by %s", name, part)
			}
		}
	}
	for range 20 {
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

package waitmap

import (
	"fmt"
	"math"
	"math/bits"
)

// Options configure a map that [New] returns. The zero value suits most maps.
type Options[K comparable] struct {
	// Capacity is the number of entries that New makes room for. The map
	// grows beyond it as needed. Zero means no room in advance. New panics if
	// Capacity is negative, or more than the tables can hold on this machine:
	// some 10^9 entries for each part of the map, fewer if keys are large.
	Capacity int

	// Shards is the number of independent parts of the map. It is rounded up
	// to a power of two; a number above 65536 means 65536. While a part grows,
	// writes to other parts proceed. Zero means 8 times GOMAXPROCS, rounded up.
	// New panics if Shards is negative.
	Shards int

	// Hash returns the hash of a key. It must return equal hashes for equal
	// keys and the same seed, and must not use the map. The seed is random and
	// differs between maps, so that nobody can predict which keys collide; a
	// Hash that ignores it does not have that property. Nil means a hash of
	// this package, which has it.
	Hash func(key K, seed uint64) uint64
}

// maxShards is far below the number up to which the two ways from a hash to its shard
// agree: load looks for the shard by bits 7 to 31, see splice.
const maxShards = 1 << 16

// shards is the number of shards, a power of two.
func (o *Options[K]) shards(procs int) int {
	if o.Shards == 0 {
		return powerOfTwo(min(8*procs, maxShards))
	}
	return powerOfTwo(min(o.Shards, maxShards))
}

// maxHomes and maxBytes limit a table. Homes are chosen by 32 bits of the hash, and half of
// that can be doubled. The bytes leave room for what the allocator can address, also on
// 32-bit machines.
const (
	maxHomes = 1 << 28
	maxBytes = math.MaxInt >> (17 * (bits.UintSize / 64))
)

// homesFor returns the number of homes that a table needs for so many entries: minimum,
// doubled until it is enough.
func homesFor[K comparable](entries, minimum int) (homes int) {
	homes = minimum
	for uint64(homes)*groupSlots*5/8 < uint64(entries) {
		homes *= 2
		if homes > maxHomes || uint64(homes)*uint64(stride[K]()) > maxBytes {
			panic(fmt.Sprintf("waitmap: Options.Capacity is more than a table can have: %d entries in one of the map's parts", entries))
		}
	}
	return homes
}

func (o *Options[K]) check() {
	for _, f := range []struct {
		name  string
		value int
	}{{"Capacity", o.Capacity}, {"Shards", o.Shards}} {
		if f.value < 0 {
			panic(fmt.Sprintf("waitmap: Options.%s is negative: %d", f.name, f.value))
		}
	}
}

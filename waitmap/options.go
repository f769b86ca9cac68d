package waitmap

import (
	"fmt"
	"math"
	"math/bits"
)

// Options shape a map that [New] makes. The zero value is what most maps need.
type Options[K comparable] struct {
	// Capacity is how many entries to make room for at once. A map grows
	// beyond it by itself. A negative Capacity panics, and so does one that
	// no table of this machine can have: beyond some 10^9 entries for each
	// part, fewer if keys are large.
	Capacity int

	// Shards is how many independent parts the map has, rounded up to a
	// power of two. Growth stops the writers of one part, and those alone.
	// 0 chooses from GOMAXPROCS. More than 65536 are taken for 65536. A
	// negative number panics.
	Shards int

	// Hash spreads keys over 64 bits. It must give equal keys equal hashes
	// for the same seed, and must not call the map. The default has
	// secrets of its own in every map, so that which keys collide cannot be
	// known from outside; a Hash that ignores its seed gives that up.
	Hash func(key K, seed uint64) uint64
}

// mostShards is far below what the two ways from a hash to its shard agree on:
// Load looks for the shard by bits 7 to 31, see splice.
const mostShards = 1 << 16

// shards is the number of shards, a power of two.
func (o *Options[K]) shards(procs int) int {
	if o.Shards == 0 {
		return powerOfTwo(min(8*procs, mostShards))
	}
	return powerOfTwo(min(o.Shards, mostShards))
}

// mostHomes and mostBytes bound a table. Homes are chosen by 32 bits of the
// hash; what is half of that can be doubled. The bytes leave room for what the
// allocator can address, on machines of 32 bits, too.
const (
	mostHomes = 1 << 28
	mostBytes = math.MaxInt >> (17 * (bits.UintSize / 64))
)

// homesFor is how many homes a table needs for so many entries: of the smallest
// one, doubled.
func homesFor[K comparable](entries, minimum int) (homes int) {
	homes = minimum
	for uint64(homes)*groupSlots*5/8 < uint64(entries) {
		homes *= 2
		if homes > mostHomes || uint64(homes)*uint64(stride[K]()) > mostBytes {
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

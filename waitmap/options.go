package waitmap

import "fmt"

// Options shape a map that [New] makes. The zero value is what most maps need.
type Options[K comparable] struct {
	// Capacity is how many entries to make room for at once. A map grows
	// beyond it by itself. A negative Capacity panics.
	Capacity int

	// Shards is how many independent parts the map has, rounded up to a
	// power of two. Growth stops the writers of one part, and those alone.
	// 0 chooses from GOMAXPROCS. A negative number panics.
	Shards int

	// Hash spreads keys over 64 bits. It must give equal keys equal hashes
	// for the same seed, and must not call the map. The default has
	// secrets of its own in every map, so that which keys collide cannot be
	// known from outside; a Hash that ignores its seed gives that up.
	Hash func(key K, seed uint64) uint64
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

package rows

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
)

// A keySet is a set of keys that a weak hash handles badly.
type keySet struct {
	name string
	key  func(i uint64) uint64
}

// keySets are chosen against hashes without a seed, which can be inverted: the keys
// are the preimages of hashes that differ in few bits.
var keySets = []keySet{
	{"sequential", func(i uint64) uint64 { return i }},
	{"times 2^16", func(i uint64) uint64 { return i << 16 }},
	{"times 2^32", func(i uint64) uint64 { return i << 32 }},
	{"times 2^44", func(i uint64) uint64 { return i << 44 }},
	{"xxhash, same top", func(i uint64) uint64 { return unxxhash(0xabcd<<48 | i) }},
	{"xxhash, same low", func(i uint64) uint64 { return unxxhash(i<<40 | 0xabcd) }},
	{"fibonacci, same top", func(i uint64) uint64 { return (0xabcd<<48 | i) * inverse(0x9e3779b97f4a7c15) }},
	{"murmur, same top", func(i uint64) uint64 { return unmurmur(0xabcd<<48 | i) }},
}

func collideRow() Row {
	return Row{
		Name:  "collide",
		Title: "Keys chosen to collide",
		About: "Int keys that share most bits, or whose hashes share most bits under well-known functions without a seed (xxHash is what " +
			"cornelk and haxmap use), next to as many random ones, as pairs in the same run. The last two rivals get few keys: " +
			"their time grows with the square. Store fills an empty map, Load reads it.",
		jobs: func(set *Settings) []Job {
			var jobs []Job
			few, many := set.scaled(4000, 200), set.scaled(500_000, 5000)
			for _, ks := range keySets {
				jobs = append(jobs, collideJobs(set, ks, few, rivals.Ours, "xsync", "haxmap", "cornelk")...)
			}
			for _, ks := range keySets {
				jobs = append(jobs, collideJobs(set, ks, many, rivals.Ours, "xsync")...)
			}
			return jobs
		},
	}
}

func collideJobs(set *Settings, ks keySet, n int, names ...string) []Job {
	job := func(op string, subject func(rivals.Maker[int, int], string, []int) measure.Subject) Job {
		return Job{
			Cell: Cell{Name: op + "/" + ks.name + "/" + short(n), Procs: 1, Unit: "ns/op"},
			run: func() ([]measure.Series, []string) {
				bad, random := ks.keys(n), randomKeys(n)
				var subjects []measure.Subject
				for _, m := range makers[int, int](set, names...) {
					subjects = append(subjects, subject(m, m.Name, bad), subject(m, m.Name+Ordinary, random))
				}
				runtime.GC()
				return measure.Interleave(subjects, set.Rounds, set.Slice), nil
			},
		}
	}
	return []Job{job("Store", storeFresh), job("Load", loadKeys)}
}

// keys returns the keys shuffled, so that no set is in a special order.
func (ks keySet) keys(n int) []int {
	keys := make([]int, n)
	for at, i := range rivals.IntKeys(n) {
		keys[at] = int(ks.key(uint64(i)))
	}
	return keys
}

func randomKeys(n int) []int {
	r := rand.New(rand.NewPCG(7, 8))
	keys := make([]int, n)
	for i := range keys {
		keys[i] = int(r.Uint64())
	}
	return keys
}

func storeFresh(maker rivals.Maker[int, int], name string, keys []int) measure.Subject {
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		runtime.GC()
		return measure.Slice(1, slice, func(int) int {
			m := maker.New(len(keys))
			for _, key := range keys {
				m.Store(key, key)
			}
			return len(keys)
		})
	}}
}

func loadKeys(maker rivals.Maker[int, int], name string, keys []int) measure.Subject {
	var m rivals.Map[int, int]
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		if m == nil {
			m = maker.New(len(keys))
			for _, key := range keys {
				m.Store(key, key)
			}
		}
		return mixSlice(m, keys, rivals.IntValues(), 1, 100, slice)
	}}
}

// inverse returns the inverse of an odd number modulo 2^64: each step doubles the
// correct bits.
func inverse(odd uint64) uint64 {
	x := odd
	for range 6 {
		x *= 2 - odd*x
	}
	return x
}

// unshift inverts h ^= h >> by.
func unshift(h uint64, by uint) uint64 {
	x := h
	for range 64 / by {
		x = h ^ x>>by
	}
	return x
}

const (
	prime1 uint64 = 11400714785074694791
	prime2 uint64 = 14029467366897019727
	prime3 uint64 = 1609587929392839161
	prime4 uint64 = 9650029242287828579
	prime5 uint64 = 2870177450012600261
)

// xxhash returns the xxHash of the eight bytes of key, without a seed.
func xxhash(key uint64) uint64 {
	h := (prime5 + 8) ^ bits.RotateLeft64(key*prime2, 31)*prime1
	h = bits.RotateLeft64(h, 27)*prime1 + prime4
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}

// unxxhash returns the key whose xxhash is h.
func unxxhash(h uint64) uint64 {
	h = unshift(h, 32) * inverse(prime3)
	h = unshift(h, 29) * inverse(prime2)
	h = (unshift(h, 33) - prime4) * inverse(prime1)
	k := (bits.RotateLeft64(h, -27) ^ (prime5 + 8)) * inverse(prime1)
	return bits.RotateLeft64(k, -31) * inverse(prime2)
}

// murmur applies the finalizer of MurmurHash3.
func murmur(key uint64) uint64 {
	h := (key ^ key>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// unmurmur returns the key whose murmur is h.
func unmurmur(h uint64) uint64 {
	h = unshift(h, 33) * inverse(0xc4ceb9fe1a85ec53)
	h = unshift(h, 33) * inverse(0xff51afd7ed558ccd)
	return unshift(h, 33)
}

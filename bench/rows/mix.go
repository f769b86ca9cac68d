package rows

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
)

// A bed is a key set, its values and the rivals that are filled with them. All
// cells of one key type and size share a bed, because filling costs more than
// measuring.
type bed[K rivals.Key, V any] struct {
	set     *Settings
	makers  []rivals.Maker[K, V]
	makeKey func(n int) []K
	vals    []V
	n       int

	keys    []K
	maps    []rivals.Map[K, V]
	settled bool
	notes   []string
}

// mixes are the shares of reads in percent.
var mixes = []rivals.Mix{100, 99, 90, 50}

// jobs returns the cells of this bed: every mix under every GOMAXPROCS. Pure
// reads come first, while the maps are full.
func (b *bed[K, V]) jobs(name string, mixes []rivals.Mix) []Job {
	var jobs []Job
	for _, mix := range mixes {
		for _, procs := range b.set.Procs {
			jobs = append(jobs, Job{
				Cell:    Cell{Name: fmt.Sprintf("%s/%d", name, mix), Procs: procs, Unit: "ns/op"},
				group:   name,
				release: func() { b.maps, b.keys, b.settled = nil, nil, false },
				run:     func() ([]measure.Series, []string) { return b.run(procs, mix), b.notes },
			})
		}
	}
	return jobs
}

func (b *bed[K, V]) run(procs int, mix rivals.Mix) []measure.Series {
	b.notes = nil
	b.fill()
	if mix < 100 && b.set.Settle {
		b.settle()
	}
	runtime.GC()
	var subjects []measure.Subject
	for i, m := range b.makers {
		if mix == 100 || !m.ReadOnly {
			subjects = append(subjects, b.subject(i, procs, mix))
		}
	}
	return measure.Interleave(subjects, b.set.Rounds, b.set.Slice)
}

// subject returns rival number i under that mix. Small maps are made again for each
// measurement, so that no rival keeps one lucky seed or address.
func (b *bed[K, V]) subject(i, procs int, mix rivals.Mix) measure.Subject {
	return measure.Subject{Name: b.makers[i].Name, Run: func(slice time.Duration) measure.Sample {
		if b.n <= 10_000 {
			b.maps[i] = b.filled(b.makers[i])
			if mix < 100 && b.set.Settle {
				b.halve(b.maps[i])
			}
		}
		if mix < 100 {
			runtime.GC() // the garbage of the rival before
		}
		return mixSlice(b.maps[i], b.keys, b.vals, procs, mix, slice)
	}}
}

// mixSlice is one measurement: procs workers on one map.
func mixSlice[K rivals.Key, V any](m rivals.Map[K, V], keys []K, vals []V, procs int, mix rivals.Mix, slice time.Duration) measure.Sample {
	workers := make([]*rivals.Worker[K, V], procs)
	for i := range workers {
		workers[i] = rivals.NewWorker(i, keys, vals, mix)
	}
	return measure.Slice(procs, slice, func(i int) int {
		m.Mix(workers[i], rivals.Batch)
		return rivals.Batch
	})
}

// fill makes the keys and fills every rival, once.
func (b *bed[K, V]) fill() {
	if b.maps != nil {
		return
	}
	b.keys = b.makeKey(b.n)
	for _, m := range b.makers {
		b.maps = append(b.maps, b.filled(m))
	}
}

func (b *bed[K, V]) filled(maker rivals.Maker[K, V]) rivals.Map[K, V] {
	m := maker.New(b.n)
	m.Fill(b.keys, b.vals)
	if b.n > 10_000 {
		b.look(maker.Name, m)
	}
	return m
}

// look counts the entries that a rival lost while it was filled.
func (b *bed[K, V]) look(name string, m rivals.Map[K, V]) {
	lost := 0
	for _, key := range b.keys {
		if _, ok := m.Load(key); !ok {
			lost++
		}
	}
	if lost > 0 {
		b.notes = append(b.notes, fmt.Sprintf("%s lost %d of %d entries while it was filled", name, lost, b.n))
	}
}

// settle brings every rival to the state that an even mix of stores and deletes
// leads to: a random half of the keys is present. Otherwise each round would
// measure another state than the round before, and most of all for the fastest
// rival.
func (b *bed[K, V]) settle() {
	if b.settled {
		return
	}
	b.settled = true
	for i, m := range b.maps {
		if !b.makers[i].ReadOnly {
			b.halve(m)
		}
	}
}

func (b *bed[K, V]) halve(m rivals.Map[K, V]) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, key := range b.keys {
		if r.Uint64()&1 == 0 {
			m.Delete(key)
		}
	}
}

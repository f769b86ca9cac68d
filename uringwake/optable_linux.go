package uringwake

import (
	"math/rand/v2"
)

// table finds the operations in flight by name.
type table struct {
	slots []slot
	free  []uint32
}

type slot struct {
	op         *op
	generation uint32
}

// add sets o.id to a name that no operation has had lately.
func (t *table) add(o *op) {
	if len(t.free) == 0 {
		t.slots = append(t.slots, slot{generation: rand.Uint32()}) // so that names cannot be guessed
		t.free = append(t.free, uint32(len(t.slots)-1))
	}
	i := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	p := &t.slots[i]
	p.op = o
	p.generation = (p.generation + 1) & generations
	o.id = ours | userData(p.generation)<<32 | userData(i)
}

// find returns the operation of that name, or nil if it has completed.
func (t *table) find(u userData) *op {
	i := uint32(u)
	if uint64(i) >= uint64(len(t.slots)) || t.slots[i].generation != uint32(u>>32)&generations {
		return nil
	}
	return t.slots[i].op
}

func (t *table) remove(o *op) {
	i := uint32(o.id)
	t.slots[i].op = nil
	t.free = append(t.free, i)
}

// inFlight returns how many operations have a name.
func (t *table) inFlight() int { return len(t.slots) - len(t.free) }

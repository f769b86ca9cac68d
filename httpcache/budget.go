package httpcache

import (
	"sync"
	"sync/atomic"
)

// chunkSize is the size in bytes of the pieces of memory that bodies arrive in.
// Each fetch may have one chunk, whatever the budget.
const chunkSize = 32 << 10

// maxFree is the maximum number of unused chunks, which no response has the weight of.
const maxFree = 32 << 20 / chunkSize

// A chunk is a piece of a body. Once bytes are in it, they do not change until
// the chunk goes back to the budget.
type chunk struct {
	data    []byte // of capacity chunkSize, or exact in a body that is there
	readers int    // the number of readers whose offset is in it; see stream
	lent    bool   // a reader that was detached may still be writing it out
}

// A budget bounds the memory of bodies: of those that are kept, that are arriving, and that
// were evicted and are still being read. Unused chunks, at most maxFree, are kept for the
// next body, so that memory need not be collected first. Used and unused chunks together do
// not exceed max, except for the one chunk that each fetch may always have.
//
// A body that is whole is evictable, and the budget has one of its references. The eviction
// policy is SIEVE: the hand moves from the oldest body to the newest, passes over those that
// were read since it passed them last, and evicts the first one that was not.
type budget struct {
	max       int64
	evictions atomic.Uint64

	mu        sync.Mutex
	used      int64 // bytes
	evictable int64 // the part of used that can be evicted
	free      []*chunk
	oldest    *body
	newest    *body
	hand      *body // the next to look at; nil: the oldest
}

// A need says what take does if the budget is used up.
type need int8

const (
	toWindow need = iota // evict, unless a quarter of the budget cannot be evicted
	toKeep               // evict
	toGoOn               // evict, or exceed the budget if nothing can be evicted
)

// take returns a chunk, or nil if n does not permit one. It must be called with nothing
// locked.
func (g *budget) take(n need) *chunk {
	for {
		c, victim := g.tryTake(n)
		if victim == nil {
			return c
		}
		g.evictions.Add(1)
		victim.evict()
	}
}

// tryTake returns a chunk, or a body that has to be evicted first, or neither.
func (g *budget) tryTake(n need) (*chunk, *body) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used+chunkSize > g.max {
		if n == toWindow && g.used-g.evictable >= g.max/4 {
			return nil, nil
		}
		if victim := g.victim(); victim != nil {
			return nil, victim
		}
		if n != toGoOn {
			return nil, nil
		}
	}
	g.used += chunkSize
	last := len(g.free) - 1
	if last < 0 {
		return &chunk{data: make([]byte, chunkSize)}, nil
	}
	c := g.free[last]
	g.free[last] = nil
	g.free = g.free[:last]
	return c, nil
}

// charge counts n bytes that the budget did not allocate.
func (g *budget) charge(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used += int64(n)
	g.trim()
}

// give returns chunks to the budget that a body does not use any more.
func (g *budget) give(chunks ...*chunk) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range chunks {
		g.used -= int64(cap(c.data))
		if cap(c.data) == chunkSize && !c.lent {
			c.data, c.readers = c.data[:chunkSize], 0
			g.free = append(g.free, c)
		}
	}
	g.trim()
}

// trim drops the unused chunks that exceed max or maxFree.
func (g *budget) trim() {
	n := int(min(maxFree, max(0, g.max-g.used)/chunkSize))
	if n < len(g.free) {
		clear(g.free[n:])
		g.free = g.free[:n]
	}
}

// add makes b evictable. The budget takes over the caller's reference.
func (g *budget) add(b *body) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b.listed = true
	b.older = g.newest
	if g.newest != nil {
		g.newest.newer = b
	} else {
		g.oldest = b
	}
	g.newest = b
	g.evictable += b.memory()
}

// remove reports whether b was evictable. If so, the caller takes over the reference.
func (g *budget) remove(b *body) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !b.listed {
		return false
	}
	g.unlink(b)
	return true
}

// victim removes the body to evict next, and returns it. It returns nil if there is none.
func (g *budget) victim() *body {
	for g.oldest != nil {
		b := g.hand
		if b == nil {
			b = g.oldest
		}
		g.hand = b.newer
		if !b.visited.Swap(false) {
			g.unlink(b)
			return b
		}
	}
	return nil
}

func (g *budget) unlink(b *body) {
	if g.hand == b {
		g.hand = b.newer
	}
	if b.older != nil {
		b.older.newer = b.newer
	} else {
		g.oldest = b.newer
	}
	if b.newer != nil {
		b.newer.older = b.older
	} else {
		g.newest = b.older
	}
	b.older, b.newer, b.listed = nil, nil, false
	g.evictable -= b.memory()
}

// inUse returns how many bytes bodies take.
func (g *budget) inUse() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.used
}

// close evicts all bodies. No unused chunks are kept after it.
func (g *budget) close() {
	for {
		g.mu.Lock()
		g.max = 0
		g.trim()
		victim := g.victim()
		g.mu.Unlock()
		if victim == nil {
			return
		}
		victim.evict()
	}
}

package httpcache

import (
	"sync"
	"sync/atomic"
)

// chunkSize is the size in bytes of the pieces of memory that bodies arrive in.
// Each fetch may have one chunk, whatever the budget.
const chunkSize = 32 << 10

// A chunk is a piece of a body. Once bytes are in it, they do not change until
// the chunk goes back to the budget.
type chunk struct {
	data    []byte // of capacity chunkSize, or exact in a body that is there
	readers int    // that are in it: see stream
	lent    bool   // a reader that was detached may still write it out
}

// A budget bounds the memory of bodies: of those that are kept, those that
// arrive, and those that are evicted and still read. Unused chunks are kept for
// the next body, so that memory does not wait for the garbage collector; used
// and unused ones together do not exceed max, but for the one chunk that each
// fetch may always have.
//
// When a body is there, it is evictable: the budget has one of its references.
// The order of eviction is that of SIEVE: the hand goes from the oldest to the
// newest, passes over those that were read since it came by last, and takes the
// first that was not.
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

// A need says what is to be done for a chunk if the budget is used up.
type need int8

const (
	toWindow need = iota // evict, unless what cannot be evicted takes a quarter
	toKeep               // evict
	toGoOn               // evict, or else exceed the budget
)

// take returns a chunk, or nil if there is none for that need. It must be called
// with nothing locked.
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

// tryTake returns a chunk, or a body that is to be evicted first, or nothing.
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

// charge counts n bytes that are not in a chunk of the budget.
func (g *budget) charge(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used += int64(n)
	g.trim()
}

// give takes back what a body does not use any more.
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

// trim leaves to the garbage collector the unused chunks that exceed max.
func (g *budget) trim() {
	n := int(max(0, g.max-g.used) / chunkSize)
	if n < len(g.free) {
		clear(g.free[n:])
		g.free = g.free[:n]
	}
}

// add makes b evictable. From then on, the budget has the reference of the caller.
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

// remove returns true if b was evictable: the caller has the reference then.
func (g *budget) remove(b *body) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !b.listed {
		return false
	}
	g.unlink(b)
	return true
}

// victim returns the body to evict next, which is not evictable any more.
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

// close evicts all bodies. From then on there are no unused chunks.
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

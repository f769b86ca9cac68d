package dedup

import (
	"context"
	"sync"
)

// nesting guards the nodes of all loads: which load waits for which, and which
// holds a slot of a Cache's MaxLoads. It is held for a few steps and never while
// user code runs. Only calls made by loads, and loads of a Cache with MaxLoads,
// take it.
var nesting sync.Mutex

// A node is a load that waits for another load, or that a load waits for, or that
// needs a slot. The edges are the calls that wait:
//
//	page --waitsFor--> template
//
// An edge that would close a circle is never added, so the graph has none,
// whatever Groups and Caches the loads belong to.
type node struct {
	load     *loadContext
	waitsFor map[*node]int // in how many calls
	waiters  map[*node]int // the same edges, from the other end
	slot
}

// A loadKey is the key under which a load's context returns itself.
type loadKey struct{}

// loadOf returns the innermost load that ctx belongs to, or nil.
func loadOf(ctx context.Context) *loadContext {
	c, _ := ctx.Value(loadKey{}).(*loadContext)
	return c
}

// nodeOf returns the load's node. nesting is locked.
func (c *loadContext) nodeOf() *node {
	if c.node == nil {
		c.node = &node{load: c}
	}
	return c.node
}

// An edge is the wait of a call that was made under a load's context. It is nil
// for any other call.
type edge struct{ from, to *node }

// waitFor adds the edge between two loads. It fails with [ErrCycle] if to waits
// for from. A nil from is no load; one that has ended keeps no caller waiting.
func waitFor(from, to *loadContext) (*edge, error) {
	if from == nil || from.over() {
		return nil, nil
	}
	nesting.Lock()
	e := &edge{from.nodeOf(), to.nodeOf()}
	if e.to.reaches(e.from) {
		nesting.Unlock()
		return nil, ErrCycle
	}
	e.from.waitsFor = count(e.from.waitsFor, e.to)
	e.to.waiters = count(e.to.waiters, e.from)
	granted := e.lend()
	nesting.Unlock()
	wakeGranted(granted)
	return e, nil
}

// end removes the edge.
func (e *edge) end() {
	nesting.Lock()
	discount(e.from.waitsFor, e.to)
	discount(e.to.waiters, e.from)
	nesting.Unlock()
}

func count(m map[*node]int, n *node) map[*node]int {
	if m == nil {
		m = make(map[*node]int)
	}
	m[n]++
	return m
}

func discount(m map[*node]int, n *node) {
	if m[n]--; m[n] == 0 {
		delete(m, n)
	}
}

// reaches reports whether n is, or waits for, other.
func (n *node) reaches(other *node) bool {
	return n.find((*node).below, func(n *node) bool { return n == other }) != nil
}

// below yields what n waits for. A load that is over waits for nobody, though
// calls that it left behind may.
func (n *node) below(yield func(*node) bool) {
	if n.load.over() {
		return
	}
	for n := range n.waitsFor {
		if !yield(n) {
			return
		}
	}
}

// above yields what waits for n.
func (n *node) above(yield func(*node) bool) {
	for n := range n.waiters {
		if !yield(n) {
			return
		}
	}
}

// find returns a node that is ok among n and those that edges lead to.
func (n *node) find(edges func(*node, func(*node) bool), ok func(*node) bool) (found *node) {
	if ok(n) {
		return n
	}
	var seen map[*node]bool // made at the first edge
	todo := []*node{n}
	visit := func(n *node) bool {
		switch {
		case found != nil:
			return false
		case seen[n]:
			return true
		case ok(n):
			found = n
			return false
		}
		if seen == nil {
			seen = make(map[*node]bool)
		}
		seen[n] = true
		todo = append(todo, n)
		return true
	}
	for len(todo) > 0 && found == nil {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		edges(next, visit)
	}
	return found
}

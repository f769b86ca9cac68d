package dedup

import (
	"context"
	"sync"
)

// nesting guards the nodes of all loads: who waits for whom, and who has which
// place of a Cache's MaxLoads. It is held for a few steps and never while user
// code runs. Calls that come from no load do not need it.
var nesting sync.Mutex

// A node is a load that calls a Group or Cache itself, or is called for by a
// load, or needs a place. The edges are the calls that wait:
//
//	page --waitsFor--> template
//
// An edge that would close a circle is never added, so there is none, whatever
// Groups and Caches the loads belong to.
type node struct {
	waitsFor map[*node]int // in how many calls
	waiters  map[*node]int // the same edges, from the other end
	place
}

// A loadKey is what a load's context has itself as the value of.
type loadKey struct{}

// loadOf returns the innermost load that ctx belongs to, or nil.
func loadOf(ctx context.Context) *loadContext {
	c, _ := ctx.Value(loadKey{}).(*loadContext)
	return c
}

// nodeOf returns the load's node. nesting is locked.
func (c *loadContext) nodeOf() *node {
	if c.node == nil {
		c.node = new(node)
	}
	return c.node
}

// An edge is the wait of a call that was made under a load's context. The zero
// value is that of any other call.
type edge struct{ from, to *node }

// waitFor adds the edge between two loads. It fails with [ErrCycle] if to waits
// for from. A nil from is no load.
func waitFor(from, to *loadContext) (e edge, err error) {
	if from == nil {
		return e, nil
	}
	nesting.Lock()
	e = edge{from.nodeOf(), to.nodeOf()}
	if e.to.reaches(e.from) {
		nesting.Unlock()
		return edge{}, ErrCycle
	}
	e.from.waitsFor = count(e.from.waitsFor, e.to)
	e.to.waiters = count(e.to.waiters, e.from)
	seated := e.to.borrowAll()
	nesting.Unlock()
	wakeSeated(seated)
	return e, nil
}

// end removes the edge.
func (e *edge) end() {
	if e.from == nil {
		return
	}
	nesting.Lock()
	discount(e.from.waitsFor, e.to)
	discount(e.to.waiters, e.from)
	nesting.Unlock()
	*e = edge{}
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
	return n.find(func(n *node) map[*node]int { return n.waitsFor }, func(n *node) bool { return n == other }) != nil
}

// find returns a node that is ok among n and those that edges lead to.
func (n *node) find(edges func(*node) map[*node]int, ok func(*node) bool) *node {
	if ok(n) {
		return n
	}
	if len(edges(n)) == 0 {
		return nil
	}
	seen := map[*node]bool{n: true}
	for todo := []*node{n}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for n := range edges(next) {
			if seen[n] {
				continue
			}
			if ok(n) {
				return n
			}
			seen[n] = true
			todo = append(todo, n)
		}
	}
	return nil
}

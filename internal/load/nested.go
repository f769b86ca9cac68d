package load

import (
	"context"
	"sync"
)

// nesting guards the nodes of all loads: which load waits for which, and which holds one
// of the [Slots] of a Cache. It is held for a few steps and never while user code runs.
// Only calls made by loads, and loads of a Cache with Slots, lock it.
var nesting sync.Mutex

// A node is a load that waits for another one, that another one waits for, or that needs
// a slot. The edges are the calls that wait:
//
//	page --waitsFor--> template
//
// An edge that would close a cycle is never added, so the graph has no cycles, whatever
// packages and objects the loads belong to.
type node struct {
	load     *Context
	waitsFor map[*node]int // and the number of calls that do
	waiters  map[*node]int // the same edges from the other end
	slot
}

// A loadKey is the context key for which a load's context returns itself.
type loadKey struct{}

// Of returns the innermost load that ctx belongs to, or nil.
func Of(ctx context.Context) *Context {
	c, _ := ctx.Value(loadKey{}).(*Context)
	return c
}

// nodeOf returns the load's node. nesting is locked.
func (c *Context) nodeOf() *node {
	if c.node == nil {
		c.node = &node{load: c}
	}
	return c.node
}

// An Edge is the wait of a call that was made with a load's context. It is nil for any
// other call.
type Edge struct{ from, to *node }

// WaitFor adds the edge between two loads. It fails with [ErrCycle] if to waits for from.
// It adds no edge if from is nil, because then no load makes the call, or if from has
// ended, because then no caller waits for it.
func WaitFor(from, to *Context) (*Edge, error) {
	if from == nil || from.Ended() {
		return nil, nil
	}
	nesting.Lock()
	e := &Edge{from.nodeOf(), to.nodeOf()}
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

// End removes the edge.
func (e *Edge) End() {
	nesting.Lock()
	discount(e.from.waitsFor, e.to)
	discount(e.to.waiters, e.from)
	nesting.Unlock()
}

// count adds a call to the edge to n.
func count(m map[*node]int, n *node) map[*node]int {
	if m == nil {
		m = make(map[*node]int)
	}
	m[n]++
	return m
}

// discount removes a call from the edge to n.
func discount(m map[*node]int, n *node) {
	if m[n]--; m[n] == 0 {
		delete(m, n)
	}
}

// reaches reports whether n is, or waits for, other.
func (n *node) reaches(other *node) bool {
	return n.find((*node).below, func(n *node) bool { return n == other }) != nil
}

// below yields what n waits for. A load that has ended waits for nothing, though
// goroutines that it started may.
func (n *node) below(yield func(*node) bool) {
	if n.load.Ended() {
		return
	}
	for n := range n.waitsFor {
		if !yield(n) {
			return
		}
	}
}

// above yields the loads that wait for n.
func (n *node) above(yield func(*node) bool) {
	for n := range n.waiters {
		if !yield(n) {
			return
		}
	}
}

// find returns a node for which ok is true, among n and those that edges lead to, or nil.
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

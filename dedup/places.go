package dedup

import (
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// places are what the loads of a Cache need to run: MaxLoads of them. Who finds
// none free gets in line.
//
// A load that waits for another one lends its place, if it is that one, or one
// further on, that is in line: a load whose place could be given to nobody but
// itself would wait for ever. The place returns when the borrower is over. If
// the lender is over first, the borrower owes it to whom the lender owed it.
//
//	free --take--> a load --borrow--> another --leave--> the first --leave--> free, or the first in line
//
// While somebody is in line no place is free.
//
// Loads of two Caches can wait for each other's places: whoever is in line waits
// for all who have a place there. So where a load that waits looks for those that
// may borrow its place, or a load in line for a lender, such waits count as edges
// too, but for those of the Cache whose place it is about: these lead to nobody
// who has not been found already.
type places struct { // guarded by nesting
	free    int
	line    waitq.Queue[*node]
	holders map[*node]struct{} // have a place, lent or not
}

// A place is a node's part in this.
type place struct {
	places   *places              // whose it has, or wants; a load belongs to one Cache
	queued   *waitq.Waiter[*node] // in line, or nil
	lender   *node                // whose place it has, or nil
	borrower *node                // who has its place, or nil
}

func newPlaces(n int) *places {
	if n == 0 {
		return nil
	}
	return &places{free: n, holders: make(map[*node]struct{})}
}

// seated reports whether n has a place, lent or not.
func (n *node) seated() bool {
	if n.places == nil {
		return false
	}
	_, ok := n.places.holders[n]
	return ok
}

// mayLendTo is below with the waits for places of other Caches.
func (p *places) mayLendTo(n *node, yield func(*node) bool) {
	n.below(yield)
	if n.queued == nil || n.places == p {
		return
	}
	for n := range n.places.holders {
		if !yield(n) {
			return
		}
	}
}

// mayBorrowOf is above with the waits for places of other Caches.
func (p *places) mayBorrowOf(n *node, yield func(*node) bool) {
	n.above(yield)
	if n.places == p || !n.seated() {
		return
	}
	for w := n.places.line.Front(); w != nil; w = w.Next() {
		if !yield(w.Value) {
			return
		}
	}
}

// take waits for a place. It fails if the load is canceled before. A nil p has
// places for all.
func (p *places) take(c *loadContext) error {
	if p == nil {
		return nil
	}
	nesting.Lock()
	n := c.nodeOf()
	n.places = p
	if n.sitDown() {
		nesting.Unlock()
		return nil
	}
	parker := wake.NewParker()
	w := &waitq.Waiter[*node]{Waker: parker, Value: n}
	n.queued = w
	p.line.Push(w)
	nesting.Unlock()
	if w.Await(c, parker) == nil {
		if c.Err() == nil {
			return nil
		}
		p.leave(c) // canceled since it got the place, or a moment before
		return waitq.ContextError(c)
	}
	nesting.Lock()
	p.line.Remove(w)
	n.queued = nil
	nesting.Unlock()
	return waitq.ContextError(c)
}

// sitDown takes a place that can be had at once.
func (n *node) sitDown() bool {
	if p := n.places; p.free > 0 {
		p.free--
		p.holders[n] = struct{}{}
		return true
	}
	l := n.findLender(n)
	if l == nil {
		return false
	}
	n.borrow(l)
	return true
}

// leave is the end of a load that took a place.
func (p *places) leave(c *loadContext) {
	if p == nil {
		return
	}
	nesting.Lock()
	seated := c.node.giveBack()
	nesting.Unlock()
	wakeSeated(seated)
}

// findLender returns a load that is, or waits for, above, and has a place for n
// that it does not need, or nil.
func (n *node) findLender(above *node) *node {
	return above.find(n.places.mayBorrowOf, func(l *node) bool { return l.places == n.places && l.canLend() })
}

func (n *node) canLend() bool { return n.borrower == nil && n.seated() }

func (n *node) borrow(lender *node) {
	n.lender, lender.borrower = lender, n
	n.places.holders[n] = struct{}{}
}

// lend finds lenders for the loads in line that a new edge leads to: among those
// that it comes from. What others could lend to them they have by now.
func (e edge) lend() (seated waitq.List[*node]) {
	e.to.find((*node).below, func(n *node) bool {
		if n.queued == nil {
			return false
		}
		if l := n.findLender(e.from); l != nil && n.seat(&seated) {
			n.borrow(l)
		}
		return false
	})
	return seated
}

// lend gives the place of l, if it has one to give, to a load in line that it
// waits for.
func (l *node) lend(seated *waitq.List[*node]) {
	if !l.canLend() {
		return
	}
	l.find(l.places.mayLendTo, func(n *node) bool {
		if n.queued == nil || n.places != l.places || !n.seat(seated) {
			return false
		}
		n.borrow(l)
		return true
	})
}

// giveBack passes a place on, and returns who got it.
func (n *node) giveBack() (seated waitq.List[*node]) {
	p, lender, borrower := n.places, n.lender, n.borrower
	n.lender, n.borrower = nil, nil
	delete(p.holders, n)
	switch {
	case borrower != nil: // it goes on with it
		borrower.lender = lender
		if lender != nil {
			lender.borrower = borrower
		}
	case lender != nil:
		lender.borrower = nil
		lender.lend(&seated)
	default:
		p.free++
		for p.free > 0 && p.line.Len() > 0 {
			if next := p.line.Front().Value; next.seat(&seated) {
				p.holders[next] = struct{}{}
				p.free--
			}
		}
	}
	return seated
}

// seat takes a load out of line that is to have a place. It reports false if
// the load has given up.
func (n *node) seat(seated *waitq.List[*node]) bool {
	w := n.queued
	n.queued = nil
	n.places.line.Remove(w)
	if !w.Finish() {
		return false
	}
	seated.Add(w)
	return true
}

// wakeSeated wakes those that got a place. Nothing is locked.
func wakeSeated(list waitq.List[*node]) {
	for w := list.Pop(); w != nil; w = list.Pop() {
		w.Wake()
	}
}

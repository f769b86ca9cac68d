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
type places struct { // guarded by nesting
	free int
	line waitq.Queue[*node]
}

// A place is a node's part in this.
type place struct {
	places   *places              // whose it has, or wants; a load belongs to one Cache
	queued   *waitq.Waiter[*node] // in line, or nil
	seated   bool                 // it has a place, lent or not
	lender   *node                // whose place it has, or nil
	borrower *node                // who has its place, or nil
}

func newPlaces(n int) *places {
	if n == 0 {
		return nil
	}
	return &places{free: n}
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
		return nil
	}
	nesting.Lock()
	p.line.Remove(w)
	n.queued = nil
	nesting.Unlock()
	return waitq.ContextError(c)
}

// sitDown takes a place that can be had at once.
func (n *node) sitDown() bool {
	if n.places.free > 0 {
		n.places.free--
		n.seated = true
	} else if l := n.findLender(); l != nil {
		n.borrow(l)
	}
	return n.seated
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

// findLender returns a load that waits for n and has a place that it does not
// need, or nil.
func (n *node) findLender() *node {
	return n.find(func(n *node) map[*node]int { return n.waiters }, func(l *node) bool {
		return l.seated && l.borrower == nil && l.places == n.places
	})
}

func (n *node) borrow(lender *node) { n.seated, n.lender, lender.borrower = true, lender, n }

// borrowAll finds places for the loads that n is or waits for, which are in
// line for one, among those of the loads that wait for them.
func (n *node) borrowAll() (seated waitq.List[*node]) {
	n.find(func(n *node) map[*node]int { return n.waitsFor }, func(n *node) bool {
		if n.queued == nil {
			return false
		}
		if l := n.findLender(); l != nil && n.seat(&seated) {
			n.borrow(l)
		}
		return false
	})
	return seated
}

// giveBack passes a place on, and returns who got it.
func (n *node) giveBack() (seated waitq.List[*node]) {
	p, lender, borrower := n.places, n.lender, n.borrower
	n.seated, n.lender, n.borrower = false, nil, nil
	switch {
	case borrower != nil: // it goes on with it
		borrower.lender = lender
		if lender != nil {
			lender.borrower = borrower
		}
	case lender != nil:
		lender.borrower = nil
		seated = lender.borrowAll()
	default:
		p.free++
		for p.free > 0 && p.line.Len() > 0 {
			if next := p.line.Front().Value; next.seat(&seated) {
				next.seated = true
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

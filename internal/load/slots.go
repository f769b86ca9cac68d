package load

import (
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// Slots are the slots of a dedup.Cache's MaxLoads. A load needs a slot to run. A load that
// finds none free waits in line.
//
// A load that waits for another load does not use its slot meanwhile. It lends the slot
// to a load in line that it waits for, directly or through other loads. Without that it
// could wait for its own slot forever. The slot comes back when the borrower has ended.
// If the lender ends first, the borrower takes over its debt.
//
//	free --acquire--> a load --borrow--> another --release--> the first --release--> free, or the first in line
//
// While a load is in line, no slot is free.
//
// Loads of two Caches can wait for each other's slots, because a load in line waits for
// all loads that hold a slot there. So the search for a borrower or a lender follows such
// waits too. It leaves out those for slots of the same Cache: they lead to no load that
// the other edges do not lead to.
type Slots struct { // guarded by nesting
	free    int
	line    waitq.Queue[*node]
	holders map[*node]struct{} // loads that have a slot, lent or not
}

// A slot is the part of a node that Slots uses.
type slot struct {
	slots    *Slots               // of the load's Cache; nil until the load acquires a slot
	waiter   *waitq.Waiter[*node] // in line, or nil
	lender   *node                // the load whose slot it has, or nil
	borrower *node                // the load that has its slot, or nil
}

// NewSlots returns n slots, or nil for no limit.
func NewSlots(n int) *Slots {
	if n == 0 {
		return nil
	}
	return &Slots{free: n, holders: make(map[*node]struct{})}
}

// holdsSlot reports whether n has a slot, lent or not.
func (n *node) holdsSlot() bool {
	if n.slots == nil {
		return false
	}
	_, ok := n.slots.holders[n]
	return ok
}

// mayLendTo is below together with the waits for slots of other Caches.
func (p *Slots) mayLendTo(n *node, yield func(*node) bool) {
	n.below(yield)
	if n.waiter == nil || n.slots == p {
		return
	}
	for n := range n.slots.holders {
		if !yield(n) {
			return
		}
	}
}

// mayBorrowOf is above together with the waits for slots of other Caches.
func (p *Slots) mayBorrowOf(n *node, yield func(*node) bool) {
	n.above(yield)
	if n.slots == p || !n.holdsSlot() {
		return
	}
	for w := n.slots.line.Front(); w != nil; w = w.Next() {
		if !yield(w.Value) {
			return
		}
	}
}

// Acquire waits for a slot. It fails if the load is canceled first. A nil p has a slot
// for every load.
func (p *Slots) Acquire(c *Context) error {
	if p == nil {
		return nil
	}
	nesting.Lock()
	n := c.nodeOf()
	n.slots = p
	if n.tryAcquire() {
		nesting.Unlock()
		return nil
	}
	parker := wake.NewParker()
	w := &waitq.Waiter[*node]{Waker: parker, Value: n}
	n.waiter = w
	p.line.Push(w)
	nesting.Unlock()
	if w.Await(c, parker) == nil {
		if c.Err() == nil {
			return nil
		}
		p.Release(c) // the load was canceled after it was granted the slot, or just before
		return waitq.ContextError(c)
	}
	nesting.Lock()
	p.line.Remove(w)
	n.waiter = nil
	nesting.Unlock()
	return waitq.ContextError(c)
}

// tryAcquire takes a free slot, or borrows that of a load that waits for n.
func (n *node) tryAcquire() bool {
	if p := n.slots; p.free > 0 {
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

// Release is called when a load that acquired a slot has ended.
func (p *Slots) Release(c *Context) {
	if p == nil {
		return
	}
	nesting.Lock()
	granted := c.node.giveBack()
	nesting.Unlock()
	wakeGranted(granted)
}

// findLender returns a load that can lend n a slot, among above and the loads that wait
// for it, or nil.
func (n *node) findLender(above *node) *node {
	return above.find(n.slots.mayBorrowOf, func(l *node) bool { return l.slots == n.slots && l.canLend() })
}

// canLend reports whether n has a slot that it has not lent.
func (n *node) canLend() bool { return n.borrower == nil && n.holdsSlot() }

// borrow moves the slot of lender to n.
func (n *node) borrow(lender *node) {
	n.lender, lender.borrower = lender, n
	n.slots.holders[n] = struct{}{}
}

// lend finds lenders for the loads in line that a new edge leads to, among the loads that
// it comes from. Other loads have lent already what they can lend.
func (e *Edge) lend() (granted waitq.List[*node]) {
	e.to.find((*node).below, func(n *node) bool {
		if n.waiter == nil {
			return false
		}
		if l := n.findLender(e.from); l != nil && n.grant(&granted) {
			n.borrow(l)
		}
		return false
	})
	return granted
}

// lend lends the slot of l, if it can, to a load in line that l waits for.
func (l *node) lend(granted *waitq.List[*node]) {
	if !l.canLend() {
		return
	}
	l.find(l.slots.mayLendTo, func(n *node) bool {
		if n.waiter == nil || n.slots != l.slots || !n.grant(granted) {
			return false
		}
		n.borrow(l)
		return true
	})
}

// giveBack passes the slot of n on, and returns the waiters that were granted one.
func (n *node) giveBack() (granted waitq.List[*node]) {
	p, lender, borrower := n.slots, n.lender, n.borrower
	n.lender, n.borrower = nil, nil
	delete(p.holders, n)
	switch {
	case borrower != nil: // it keeps the slot
		borrower.lender = lender
		if lender != nil {
			lender.borrower = borrower
		}
	case lender != nil:
		lender.borrower = nil
		lender.lend(&granted)
	default:
		p.free++
		for p.free > 0 && p.line.Len() > 0 {
			if next := p.line.Front().Value; next.grant(&granted) {
				p.holders[next] = struct{}{}
				p.free--
			}
		}
	}
	return granted
}

// grant takes n out of line so that it gets a slot. It reports false if n has given up.
func (n *node) grant(granted *waitq.List[*node]) bool {
	w := n.waiter
	n.waiter = nil
	n.slots.line.Remove(w)
	if !w.Finish() {
		return false
	}
	granted.Add(w)
	return true
}

// wakeGranted wakes the loads that were granted a slot, with nothing locked.
func wakeGranted(list waitq.List[*node]) {
	for w := list.Pop(); w != nil; w = list.Pop() {
		w.Wake()
	}
}

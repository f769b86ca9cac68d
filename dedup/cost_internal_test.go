package dedup

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/waitq"
)

// fan is a load in line for a slot for which n others wait, who have none.
func fan(n int) (part *loadContext, p *loadSlots) {
	p = &loadSlots{}
	part = new(loadContext)
	w := new(waitq.Waiter[*node])
	w.Value = part.nodeOf()
	w.Value.slots, w.Value.waiter = p, w
	p.line.Push(w)
	for range n {
		_, _ = waitFor(new(loadContext), part)
	}
	return part, p
}

// TestCostOfAnEdge: to wait for a load that many wait for costs what it
// costs to wait for any. It is the same for all loads of the process: they meet
// at one lock. With a look at all who wait, 8000 callers of one key that is in
// line took 15 seconds.
func TestCostOfAnEdge(t *testing.T) {
	cost := func(n int) float64 {
		part, _ := fan(n)
		from := new(loadContext)
		from.nodeOf()
		return testing.AllocsPerRun(10, func() {
			e, err := waitFor(from, part)
			require.NoError(t, err)
			e.end()
		})
	}
	require.LessOrEqual(t, cost(5000), cost(1)+2) // maps that grow
}

// TestCostOfASlotThatComesBack: its lender finds the next borrower without
// a look at all that it waits for.
func TestCostOfASlotThatComesBack(t *testing.T) {
	const n = 5000
	p := newLoadSlots(1)
	page := new(loadContext)
	l := page.nodeOf()
	l.slots = p
	require.True(t, l.tryAcquire())
	var parts []*node
	for range n {
		part := new(loadContext)
		w := new(waitq.Waiter[*node])
		b := part.nodeOf()
		w.Value = b
		b.slots, b.waiter = p, w
		p.line.Push(w)
		parts = append(parts, b)
		_, _ = waitFor(page, part)
	}
	require.NotNil(t, l.borrower)
	require.LessOrEqual(t, testing.AllocsPerRun(n/10, func() { l.borrower.giveBack() }), 30.0)
	for l.borrower != nil {
		l.borrower.giveBack()
	}
	for _, b := range parts {
		require.Nil(t, b.waiter, "each had its turn")
		require.False(t, b.holdsSlot())
	}
	require.Zero(t, p.line.Len())
}

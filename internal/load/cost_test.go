package load

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/waitq"
)

// fan returns a load in line for a slot, for which n loads without a slot wait.
func fan(n int) (part *Context, p *Slots) {
	p = &Slots{}
	part = new(Context)
	w := new(waitq.Waiter[*node])
	w.Value = part.nodeOf()
	w.Value.slots, w.Value.waiter = p, w
	p.line.Push(w)
	for range n {
		_, _ = WaitFor(new(Context), part)
	}
	return part, p
}

// TestCostOfAnEdge: to wait for a load costs the same however many others wait for it.
// All loads of the process share one lock here. With a look at all waiting loads, 8000
// callers of one key in line took 15 seconds.
func TestCostOfAnEdge(t *testing.T) {
	cost := func(n int) float64 {
		part, _ := fan(n)
		from := new(Context)
		from.nodeOf()
		return testing.AllocsPerRun(10, func() {
			e, err := WaitFor(from, part)
			require.NoError(t, err)
			e.End()
		})
	}
	require.LessOrEqual(t, cost(5000), cost(1)+2) // maps that grow
}

// TestCostOfASlotThatComesBack: the lender finds the next borrower without a look at all
// loads for which it waits.
func TestCostOfASlotThatComesBack(t *testing.T) {
	const n = 5000
	p := NewSlots(1)
	page := new(Context)
	l := page.nodeOf()
	l.slots = p
	require.True(t, l.tryAcquire())
	var parts []*node
	for range n {
		part := new(Context)
		w := new(waitq.Waiter[*node])
		b := part.nodeOf()
		w.Value = b
		b.slots, b.waiter = p, w
		p.line.Push(w)
		parts = append(parts, b)
		_, _ = WaitFor(page, part)
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

package dedup

import (
	"context"
	"sync"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A caller is a place in a flight's line, and how the one sleeps who has it.
type caller struct {
	w      waitq.Waiter[struct{}]
	parker wake.Parker
	wg     sync.WaitGroup // what it sleeps on if it is its own parker
}

// arm chooses the parker: the context's own, or a goroutine's. A goroutine
// whose context cannot end needs no channel, so the caller is its parker.
func (c *caller) arm(ctx context.Context) {
	if p, ok := wake.Carried(ctx); ok {
		c.parker = p
	} else if ctx.Done() == nil {
		c.wg.Add(1)
		c.parker = c
	} else {
		c.parker = wake.NewParker()
	}
	c.w.Waker = c.parker
}

// Wake is called once, by who finishes the waiter.
func (c *caller) Wake() { c.wg.Done() }

// Park returns after Wake; the context cannot end.
func (c *caller) Park(context.Context) error {
	c.wg.Wait()
	return nil
}

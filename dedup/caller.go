package dedup

import (
	"context"
	"sync"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A caller is a place in the line of a flight, with what its owner sleeps on.
type caller struct {
	w      waitq.Waiter[struct{}]
	parker wake.Parker
	wg     sync.WaitGroup // used if the caller is its own parker
}

// chooseParker takes the context's parker, or leaves a goroutine's to ensureParker. A
// goroutine whose context cannot end needs no channel, so its caller is its parker.
func (c *caller) chooseParker(info *load.Caller) {
	if info.Endless {
		c.wg.Add(1)
		c.parker = c
	} else {
		c.parker = info.Parker
	}
	if c.parker != nil {
		c.w.Waker = c.parker
	}
}

// ensureParker makes a goroutine's parker. Before that nothing wakes the caller.
func (c *caller) ensureParker() {
	if c.parker == nil {
		c.parker = wake.NewParker()
		c.w.Waker = c.parker
	}
}

// Wake is called once, by the goroutine that finishes the waiter.
func (c *caller) Wake() { c.wg.Done() }

// Park returns after Wake. The context cannot end.
func (c *caller) Park(context.Context) error {
	c.wg.Wait()
	return nil
}

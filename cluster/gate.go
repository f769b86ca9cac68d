package cluster

import (
	"sync"
	"sync/atomic"
)

// A gate keeps readers out while changes are applied of which a reader must not see some and
// not others. A read passes the gate when it begins. If it sees a change that is being
// applied, the next read of its goroutine, or of one that it tells, finds the gate closed
// and waits for the others. So it need not look at the gate again when it ends.
type gate struct {
	closed atomic.Bool
	mu     sync.Mutex
	opened chan struct{} // closed by open
	later  []func()      // wakers, which may read
}

// pass waits while the gate is closed.
func (g *gate) pass() {
	if g.closed.Load() {
		g.passSlow()
	}
}

func (g *gate) passSlow() {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	if opened != nil {
		<-opened
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		g.opened = make(chan struct{})
	}
	g.closed.Store(true)
}

// open lets readers pass, and calls the wakers that had to wait for that.
func (g *gate) open() {
	g.mu.Lock()
	later := g.later
	g.later = nil
	g.closed.Store(false)
	if g.opened != nil {
		close(g.opened)
		g.opened = nil
	}
	g.mu.Unlock()
	callAll(later)
}

// call calls a user's waker, if the gate is closed when it is opened.
func (g *gate) call(wake func()) {
	if g.closed.Load() && g.postpone(wake) {
		return
	}
	wake()
}

func (g *gate) postpone(wake func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.opened == nil {
		return false
	}
	g.later = append(g.later, wake)
	return true
}

package faults_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

// patience is more than anything takes on a busy machine.
const patience = 2 * time.Minute

// A client is a worker, as the test sees it.
type client struct {
	*lab.Process
	t       *testing.T
	options openOptions

	mu sync.Mutex
	*life
}

// A life is one of a worker, from its start to its end.
type life struct {
	pipe  lab.Pipe
	last  int
	calls map[int]*call
	over  bool
}

// A call is one that a worker makes.
type call struct {
	c        *client
	id       int
	pipe     lab.Pipe
	events   chan response
	returned chan response // one, or closed if the worker has ended
}

// attach opens the bucket in a worker that was just started.
func (c *client) attach() *call {
	l := &life{pipe: c.Pipe(), calls: make(map[int]*call)}
	c.mu.Lock()
	c.life = l
	open := c.startLocked(request{Op: "open", Open: c.options}) // before all others
	c.mu.Unlock()
	go c.listen(l)
	return open
}

// restart kills the worker, starts it again, and waits until it has opened the bucket.
func (c *client) restart() {
	c.t.Helper()
	require.NoError(c.t, c.Restart())
	require.Empty(c.t, c.attach().result().Err)
}

// listen passes on what a worker says until it ends.
func (c *client) listen(l *life) {
	for {
		var r response
		if l.pipe.Receive(context.Background(), &r) != nil {
			break
		}
		c.mu.Lock()
		x := l.calls[r.ID]
		if r.Event == "" {
			delete(l.calls, r.ID)
		}
		c.mu.Unlock()
		if r.Event != "" {
			x.events <- r
		} else {
			x.returned <- r
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l.over = true
	for _, x := range l.calls {
		close(x.returned)
	}
}

// start lets the worker make a call.
func (c *client) start(q request) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.startLocked(q)
}

// startLocked is start. c.mu is held, so that the worker gets the calls in their order.
func (c *client) startLocked(q request) *call {
	l := c.life
	l.last++
	q.ID = l.last
	x := &call{c: c, id: q.ID, pipe: l.pipe, events: make(chan response, 100), returned: make(chan response, 1)}
	if l.over {
		close(x.returned)
	} else {
		l.calls[q.ID] = x
	}
	_ = l.pipe.Send(q) // if it fails, listen notices
	return x
}

// wait waits until a worker that was killed is started again.
func (c *client) wait() {
	for c.ended() {
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *client) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// call makes a call, and waits until it has returned.
func (c *client) call(q request) response {
	c.t.Helper()
	return c.start(q).result()
}

// do makes a call that must succeed.
func (c *client) do(q request) response {
	c.t.Helper()
	r := c.call(q)
	require.Empty(c.t, r.Err, "%s: %+v\n%s", c.Name, q, c.Log())
	return r
}

// event waits for something that the call says before it returns.
func (x *call) event(want string) response {
	x.c.t.Helper()
	select {
	case r := <-x.events:
		require.Equal(x.c.t, want, r.Event)
		return r
	case r, ok := <-x.returned:
		require.FailNow(x.c.t, "the call has returned", "instead of %s: %+v %v\n%s", want, r, ok, x.c.Log())
	case <-time.After(patience):
		require.FailNow(x.c.t, "nothing happens", "instead of %s\n%s", want, x.c.Log())
	}
	return response{}
}

// result waits until the call has returned.
func (x *call) result() response {
	x.c.t.Helper()
	select {
	case r, ok := <-x.returned:
		require.True(x.c.t, ok, "%s has ended: %s", x.c.Name, x.c.Log())
		return r
	case <-time.After(patience):
		require.FailNow(x.c.t, "a call does not return", x.c.Log())
	}
	return response{}
}

// finish lets the load of a Do return a value.
func (x *call) finish(value string) {
	x.c.t.Helper()
	require.NoError(x.c.t, x.pipe.Send(request{ID: x.id, Op: "return", Value: value}))
}

// quiet fails if something has happened.
func (x *call) quiet(why string) {
	x.c.t.Helper()
	select {
	case r := <-x.events:
		require.FailNow(x.c.t, why, "%s: %+v", x.c.Name, r)
	case r, ok := <-x.returned:
		require.FailNow(x.c.t, why, "%s: %+v %v", x.c.Name, r, ok)
	default:
	}
}

// noEvents fails if the call has said something before it returned.
func (x *call) noEvents(why string) {
	x.c.t.Helper()
	select {
	case r := <-x.events:
		require.FailNow(x.c.t, why, "%s: %+v", x.c.Name, r)
	default:
	}
}

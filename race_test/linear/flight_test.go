package linear_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vigil-go/vigil/dedup"
)

// A coalescer is a dedup.Group or a broken one.
type coalescer interface {
	Do(ctx context.Context, key int, f func(context.Context) (int, error)) (int, bool, error)
	DoChan(ctx context.Context, key int, f func(context.Context) (int, error)) <-chan dedup.Result[int]
	Forget(key int)
	ForgetUnshared(key int) bool
}

var flightMixes = map[string]string{
	"everything": "Do Do Do Do Do Forget ForgetUnshared Open Open End",
	"calls":      "Do Do Do Open Open End End",
	"channels":   "Do Do DoChan DoChan DoChan Forget ForgetUnshared ForgetUnshared Open Open End", // which block a loop
}

// flightUse is how clients use a dedup.Group. Some loads wait until a client opens
// their gate or their context ends.
type flightUse struct {
	g    coalescer
	gate func() chan struct{} // made on first use, in the bubble
	last atomic.Int64         // number of a call

	mu    sync.Mutex
	loads []op
}

func newFlights(g coalescer) *flightUse {
	return &flightUse{g: g, gate: sync.OnceValue(func() chan struct{} { return make(chan struct{}) })}
}

func (u *flightUse) plan(mix string) plan {
	draw := strings.Fields(mix)
	return plan{
		clients: 6, rounds: 6, perRound: 3, keys: 2,
		next:  func(c *client) { u.call(c, draw[c.r.IntN(len(draw))], 1+c.r.IntN(c.w.keys)) },
		drain: func(*client) { u.open() },
	}
}

func (u *flightUse) open() {
	select {
	case u.gate() <- struct{}{}:
	default:
	}
}

func (u *flightUse) call(c *client, name string, key int) {
	switch name {
	case "End":
		c.endSomebody()
	case "Open":
		u.open()
	case "Forget":
		c.do(name, func() (r result) { u.g.Forget(key); return }, key)
	case "ForgetUnshared":
		c.do(name, func() (r result) { r.ok = u.g.ForgetUnshared(key); return }, key)
	case "DoChan":
		number := int(u.last.Add(1))
		load := u.load(c, key, number)
		c.block("Do", func(ctx context.Context) (r result) {
			got := <-u.g.DoChan(ctx, key, load)
			return result{v: got.Value, ok: got.Shared, err: word(got.Err, nil)}
		}, key, number)
	case "Do":
		number := int(u.last.Add(1))
		load := u.load(c, key, number)
		c.block(name, func(ctx context.Context) (r result) {
			var err error
			r.v, r.ok, err = u.g.Do(ctx, key, load)
			r.err = word(err, nil)
			return r
		}, key, number)
	}
}

// errGivenUp is the error of a canceled load. No caller may get it.
var errGivenUp = errors.New("given up")

// load records itself. It begins at a later time than now.
func (u *flightUse) load(c *client, key, number int) func(context.Context) (int, error) {
	o := op{client: c.id, name: "Load", args: []int{key, number}, call: c.w.now()}
	gated := c.r.IntN(2) == 0
	return func(ctx context.Context) (int, error) {
		o.parked = c.w.now()
		runtime.Gosched()
		var err error
		if gated {
			select {
			case <-u.gate():
			case <-ctx.Done():
				err = errGivenUp
			}
		}
		o.still = c.w.now()
		u.mu.Lock()
		defer u.mu.Unlock()
		u.loads = append(u.loads, o)
		return number, err
	}
}

// history adds the loads to the recorded calls of the clients.
func (u *flightUse) history(ops []op) []op {
	u.mu.Lock()
	defer u.mu.Unlock()
	return landed(append(ops, u.loads...))
}

// TestFlights checks histories of goroutines that use a dedup.Group in all ways
// concurrently.
func TestFlights(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(flightMixes)) {
		t.Run(name, func(t *testing.T) {
			explainAll(t, flightSpec, func(seed int64) []op {
				u := newFlights(new(dedup.Group[int, int]))
				return u.history(inBubble(t, u.plan(flightMixes[name]), seed))
			})
		})
	}
}

// TestFlightsOnRing checks histories of goroutines and tasks of one loop that use a
// dedup.Group.
func TestFlightsOnRing(t *testing.T) {
	l := ring(t)
	explainAll(t, flightSpec, func(seed int64) []op {
		u := newFlights(new(dedup.Group[int, int]))
		return u.history(onRing(t, l, u.plan(flightMixes["everything"]), seed))
	})
}

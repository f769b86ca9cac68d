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

	"github.com/vigil-go/vigil/await"
)

// A oncer is an await.Once or a broken one.
type oncer interface {
	Do(ctx context.Context, f func(context.Context) (int, error)) (int, error)
}

var onceMixes = map[string]string{
	"everything": "Do Do Do Do Open Open End",
	"leaving":    "Do Do Do Open End End",
}

// onceUse is how clients use a few Onces. Some functions wait until a client opens their
// gate or their context ends, and some fail.
type onceUse struct {
	onces []oncer              // by key, from 1
	gate  func() chan struct{} // made on first use, in the bubble
	last  atomic.Int64         // number of a call

	mu   sync.Mutex
	runs []op
}

func newOnces(make1 func() oncer) *onceUse {
	return &onceUse{
		onces: []oncer{nil, make1(), make1(), make1()},
		gate:  sync.OnceValue(func() chan struct{} { return make(chan struct{}) }),
	}
}

func (u *onceUse) plan(mix string) plan {
	draw := strings.Fields(mix)
	return plan{
		clients: 6, rounds: 6, perRound: 3, keys: len(u.onces) - 1,
		next:  func(c *client) { u.call(c, draw[c.r.IntN(len(draw))], 1+c.r.IntN(c.w.keys)) },
		drain: func(*client) { u.open() },
	}
}

func (u *onceUse) open() {
	select {
	case u.gate() <- struct{}{}:
	default:
	}
}

// onceFailure is the error of a run that failed by itself.
type onceFailure struct{ run int }

func (onceFailure) Error() string { return errOwn }

func (u *onceUse) call(c *client, name string, key int) {
	switch name {
	case "End":
		c.endSomebody()
	case "Open":
		u.open()
	case "Do":
		number := int(u.last.Add(1))
		f := u.function(c, key, number)
		c.block(name, func(ctx context.Context) (r result) {
			var err error
			r.v, err = u.onces[key].Do(ctx, f)
			r.err = word(err, nil)
			if failed, ok := errors.AsType[onceFailure](err); ok && r.v == 0 {
				r.v = failed.run
			} else if ok {
				r.err = errWrong
			}
			return r
		}, key, number)
	}
}

// function records its run. It begins at a later time than now. One in three succeeds.
func (u *onceUse) function(c *client, key, number int) func(context.Context) (int, error) {
	o := op{client: c.id, name: "Run", args: []int{key, number}, call: c.w.now()}
	gated, fails := c.r.IntN(3) > 0, c.r.IntN(3) > 0
	return func(ctx context.Context) (int, error) {
		o.parked = c.w.now()
		runtime.Gosched()
		var err error
		if fails {
			err = onceFailure{number}
		}
		if gated {
			select {
			case <-u.gate():
			case <-ctx.Done():
				if fails { // else it succeeds all the same
					err = errGivenUp
				}
			}
		}
		o.got.ok = err == nil
		o.still = c.w.now()
		u.mu.Lock()
		defer u.mu.Unlock()
		u.runs = append(u.runs, o)
		return number, err
	}
}

// history adds the runs to the recorded calls of the clients.
func (u *onceUse) history(ops []op) []op {
	u.mu.Lock()
	defer u.mu.Unlock()
	return landed(append(ops, u.runs...))
}

func newOnce() oncer { return new(await.Once[int]) }

// TestOnce checks histories of goroutines that use Onces in all ways concurrently.
func TestOnce(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(onceMixes)) {
		t.Run(name, func(t *testing.T) {
			explainAll(t, onceSpec, func(seed int64) []op {
				u := newOnces(newOnce)
				return u.history(inBubble(t, u.plan(onceMixes[name]), seed))
			})
		})
	}
}

// TestOnceOnRing checks histories of goroutines and tasks of one loop that use Onces.
func TestOnceOnRing(t *testing.T) {
	l := ring(t)
	explainAll(t, onceSpec, func(seed int64) []op {
		u := newOnces(newOnce)
		return u.history(onRing(t, l, u.plan(onceMixes["everything"]), seed))
	})
}

package linear_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vigil-go/vigil/waitgroup"
)

// A counter is a Group or a broken one.
type counter interface {
	Add(n int)
	Done()
	Count() int
	TryWait() bool
	Wait(ctx context.Context) error
	Idle() <-chan struct{}
}

func newGroup() counter { return new(waitgroup.Group) }

// The mixes of calls that the clients of a Group draw from. For the model Done is
// an Add of -1.
var groupMixes = map[string]string{
	"everything": "Add Add Done Done Done Done Less TryWait Count Wait Wait Wait Idle Poll Poll End",
	"waits":      "Add Done Done Wait Wait End",
}

// groupPlan is how clients use a Group. A client has one channel of Idle at a time.
func groupPlan(g counter, mix string) plan {
	draw := strings.Fields(mix)
	u := &groupUse{g: g}
	return plan{
		clients: 6, rounds: 6, perRound: 3,
		next:  func(c *client) { u.call(c, draw[c.r.IntN(len(draw))]) },
		drain: func(c *client) { u.less(c, 1) },
	}
}

type groupUse struct {
	g        counter
	counted  atomic.Int64 // how much may be subtracted
	numbers  atomic.Int64
	channels [16]<-chan struct{} // of each client
}

func (u *groupUse) call(c *client, name string) {
	switch name {
	case "End":
		c.endSomebody()
	case "Add":
		u.more(c, 1+c.r.IntN(2))
	case "Done":
		u.less(c, 1)
	case "Less":
		u.less(c, 2)
	case "TryWait":
		c.do(name, func() result { return result{ok: u.g.TryWait()} })
	case "Count":
		c.do(name, func() result { return result{v: u.g.Count()} })
	case "Wait":
		c.block(name, func(ctx context.Context) result { return result{err: word(u.g.Wait(ctx), nil)} })
	case "Idle", "Poll":
		u.idle(c)
	default:
		panic("linear_test: no call of a Group: " + name)
	}
}

func (u *groupUse) more(c *client, n int) {
	c.do("Add", func() (r result) { u.g.Add(n); return }, n)
	u.counted.Add(int64(n))
}

// less subtracts at most what was added before, so the count is never below zero.
func (u *groupUse) less(c *client, n int) {
	if left := u.counted.Add(int64(-n)); left < 0 {
		u.counted.Add(int64(n))
		return
	}
	c.do("Add", func() (r result) {
		if n == 1 {
			u.g.Done()
		} else {
			u.g.Add(-n)
		}
		return
	}, -n)
}

// idle calls Idle, or looks at the channel that the client has.
func (u *groupUse) idle(c *client) {
	ch := u.channels[c.id]
	if ch == nil {
		number := int(u.numbers.Add(1))
		c.do("Idle", func() (r result) { ch = u.g.Idle(); return }, number)
		u.channels[c.id], c.mine["idle"] = ch, number
		return
	}
	r := c.do("Poll", func() (r result) {
		select {
		case <-ch:
			r.ok = true
		default:
		}
		return r
	}, c.mine["idle"])
	if r.ok {
		u.channels[c.id] = nil
	}
}

// TestGroup checks histories of goroutines that use a Group in all ways
// concurrently.
func TestGroup(t *testing.T) {
	inBubbles(t, groupSpec, groupMixes, func(_ int64, mix string) plan { return groupPlan(newGroup(), mix) })
}

// TestGroupOnRing checks histories of goroutines and tasks of one loop that use a
// Group.
func TestGroupOnRing(t *testing.T) {
	onRings(t, groupSpec, func(int64) plan { return groupPlan(newGroup(), groupMixes["everything"]) })
}

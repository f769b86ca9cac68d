package linear_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// Misbehaving clients have parkers that panic, exit or fail, or contexts that
// return wrong results. A call that does not return has died (errDied). A call
// whose Park failed, or whose context returned an error of another kind, has failed
// like any call whose context ends.

// apart runs f, which may not return, in a new goroutine.
func (c *client) apart(f func()) (returned bool) {
	var g waitgroup.Group
	g.Add(1)
	misbehave.Go(f, func(how misbehave.Strike) {
		returned = how == misbehave.None
		g.Done()
	})
	if err := g.Wait(c.ctx); err != nil {
		panic(err)
	}
	return returned
}

// badly records a misbehaving call that may sleep.
func (c *client) badly(name string, f func(ctx context.Context) (result, error), args ...int) result {
	return c.with(misbehave.DrawParker(c.r), c.r.IntN(3) == 0, name, f, args...)
}

// with records a call with that parker or with a misbehaving context.
func (c *client) with(p wake.Parker, lies bool, name string, f func(ctx context.Context) (result, error), args ...int) result {
	liar := misbehave.DrawLiar(c.r)
	return c.block(name, func(ctx context.Context) (r result) {
		if lies {
			defer context.AfterFunc(ctx, liar.End)()
			ctx = liar
		} else {
			ctx = wake.WithParker(ctx, p)
		}
		var err error
		switch returned := c.apart(func() { r, err = f(ctx) }); {
		case !returned:
			return result{err: errDied}
		case errors.Is(err, misbehave.ErrOwn), lies && err != nil && liar.Check(err) == nil:
			r.err = errContext
		default:
			r.err = word(err, mapErrors)
		}
		return r
	}, args...)
}

var misbehavingNotifyMixes = map[string]string{
	"everything": "Wait! Wait! Wait! Hear! Hear! Wait Wait TryWait NotifyOne NotifyOne NotifyOne NotifyLast NotifyN NotifyWaiters Listen Listen Ready Hear Stop Stop End",
	"permits":    "Wait! Wait! Wait Wait TryWait NotifyOne NotifyOne NotifyOne NotifyLast End",
}

func misbehavingNotifyPlan(n bell, mix string) plan {
	draw := strings.Fields(mix)
	u := &notifyUse{n: n}
	p := notifyPlan(n, mix)
	p.drain = func(c *client) { u.wakeAll(c) }
	p.next = func(c *client) {
		name, bad := strings.CutSuffix(draw[c.r.IntN(len(draw))], "!")
		switch e := u.ears[c.id]; {
		case bad && name == "Wait":
			c.badly(name, func(ctx context.Context) (result, error) { return result{}, n.Wait(ctx) })
		case bad && e != nil:
			c.badly(name, func(ctx context.Context) (result, error) { return result{}, e.Wait(ctx) }, c.mine["ear"])
		default:
			u.call(c, name)
		}
	}
	return p
}

// without removes the calls that have died without an effect.
func without(ops []op, name string) (rest []op) {
	for _, o := range ops {
		if o.name != name || o.got.err != errDied {
			rest = append(rest, o)
		}
	}
	return rest
}

// TestNotifyMisbehaving checks that a wake that a misbehaving client got goes to
// another one.
func TestNotifyMisbehaving(t *testing.T) {
	for name, mix := range misbehavingNotifyMixes {
		t.Run(name, func(t *testing.T) {
			explainAll(t, notifySpec, func(seed int64) []op {
				return without(inBubble(t, misbehavingNotifyPlan(newRinger(), mix), seed), "Hear")
			})
		})
	}
}

// TestGroupMisbehaving checks that misbehaving clients leave no trace in a Group.
func TestGroupMisbehaving(t *testing.T) {
	draw := strings.Fields("Wait! Wait! Add Done Done Done Wait Wait TryWait Count Idle Poll End")
	explainAll(t, groupSpec, func(seed int64) []op {
		u := &groupUse{g: newGroup()}
		p := groupPlan(u.g, "Wait")
		p.drain = func(c *client) { u.less(c, 1) }
		p.next = func(c *client) {
			name, bad := strings.CutSuffix(draw[c.r.IntN(len(draw))], "!")
			if !bad {
				u.call(c, name)
				return
			}
			c.badly(name, func(ctx context.Context) (result, error) { return result{}, u.g.Wait(ctx) })
		}
		ops := inBubble(t, p, seed)
		for i := range ops { // the count was not zero once, or the call had returned
			if o := &ops[i]; o.got.err == errDied {
				o.got.err, o.parked, o.still = errContext, 0, 0
			}
		}
		return ops
	})
}

// misbehavingFlightSpec is the model of a dedup.Group with callers that die. They
// may be among the callers that the result was for.
var misbehavingFlightSpec = &spec{
	init:      flightSpec.init,
	partition: flightSpec.partition,
	parts: func(o *op) []part {
		if o.got.err == errDied {
			return []part{whole}
		}
		return flightParts(o)
	},
	step: func(state any, s step, calls []*op) (any, bool) {
		if s.got.err == errDied {
			return state, true
		}
		if s.name == "Do" && s.got.ok && someDied(calls, s.op) && callersOf(calls, s.got.v) == 1 {
			o := *s.op
			o.got.ok = false
			s.op = &o
		}
		return flightSpec.step(state, s, calls)
	},
}

// someDied reports whether a call died while o was under way.
func someDied(calls []*op, o *op) bool {
	for _, c := range calls {
		if c != nil && c.got.err == errDied && c.call < o.ret && o.call < c.ret {
			return true
		}
	}
	return false
}

// TestFlightsMisbehaving checks that callers get a load's result while others
// misbehave.
func TestFlightsMisbehaving(t *testing.T) {
	draw := strings.Fields("Do! Do! Do! Do Do Do Forget Open Open End")
	explainAll(t, misbehavingFlightSpec, func(seed int64) []op {
		u := newFlights(new(dedup.Group[int, int]))
		p := u.plan("Do")
		p.next = func(c *client) {
			name, bad := strings.CutSuffix(draw[c.r.IntN(len(draw))], "!")
			key := 1 + c.r.IntN(c.w.keys)
			if !bad {
				u.call(c, name, key)
				return
			}
			number := int(u.last.Add(1))
			load := u.load(c, key, number)
			c.badly(name, func(ctx context.Context) (r result, err error) {
				r.v, r.ok, err = u.g.Do(ctx, key, load)
				return r, err
			}, key, number)
		}
		return u.history(inBubble(t, p, seed))
	})
}

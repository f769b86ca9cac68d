package linear_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// A bell is a Notify, or a broken one.
type bell interface {
	NotifyOne()
	NotifyLast()
	NotifyN(k int) int
	NotifyWaiters() int
	Wait(ctx context.Context) error
	TryWait() bool
	Listen() ear
}

// An ear is a Listener.
type ear interface {
	Wait(ctx context.Context) error
	Ready() bool
	Stop() bool
}

// ringer makes a bell of a Notify.
type ringer struct{ *notify.Notify }

func newRinger() bell { return ringer{new(notify.Notify)} }

func (r ringer) Listen() ear { return r.Notify.Listen() }

// The mixes of calls that a Notify's clients draw from.
var notifyMixes = map[string]string{
	"everything": "Wait Wait Wait Wait TryWait NotifyOne NotifyOne NotifyOne NotifyLast NotifyN NotifyWaiters Listen Listen Ready Hear Stop Stop End End",
	"permits":    "Wait Wait Wait TryWait NotifyOne NotifyOne NotifyOne NotifyLast End",
	"deaths":     "Wait Wait Die Die Listen Stop TryWait NotifyOne NotifyOne NotifyLast NotifyN NotifyWaiters End",
	"listeners":  "Listen Listen Hear Ready Stop Stop NotifyOne NotifyOne NotifyLast NotifyN NotifyWaiters TryWait End",
}

// notifyPlan is how a Notify is used. A client has one Listener at a time.
func notifyPlan(n bell, mix string) plan {
	draw := strings.Fields(mix)
	u := &notifyUse{n: n}
	return plan{
		clients: 6, rounds: 6, perRound: 3,
		next:  func(c *client) { u.call(c, draw[c.r.IntN(len(draw))]) },
		drain: func(c *client) { u.wakeAll(c) },
	}
}

type notifyUse struct {
	n       bell
	numbers atomic.Int64
	ears    [16]ear // of each client
}

func (u *notifyUse) call(c *client, name string) {
	switch name {
	case "End":
		c.endSomebody()
	case "Listen", "Ready", "Stop", "Hear":
		u.listener(c, name)
	case "NotifyOne":
		c.do(name, func() (r result) { u.n.NotifyOne(); return })
	case "NotifyLast":
		c.do(name, func() (r result) { u.n.NotifyLast(); return })
	case "NotifyN":
		k := c.r.IntN(4)
		c.do(name, func() result { return result{v: u.n.NotifyN(k)} }, k)
	case "NotifyWaiters":
		c.do(name, func() result { return result{v: u.n.NotifyWaiters()} })
	case "TryWait":
		c.do(name, func() result { return result{ok: u.n.TryWait()} })
	case "Die":
		c.block("Wait", u.waitAndDie)
	case "Wait":
		c.block(name, func(ctx context.Context) result { return result{err: word(u.n.Wait(ctx), nil)} })
	default:
		panic("linear_test: no call of a Notify: " + name)
	}
}

// A doomedParker panics when it was woken.
type doomedParker struct{ wake.Parker }

func (p doomedParker) Park(ctx context.Context) error {
	if err := p.Parker.Park(ctx); err != nil {
		return err
	}
	panic("doomed")
}

func (u *notifyUse) waitAndDie(ctx context.Context) (r result) {
	defer func() {
		if recover() != nil {
			r.err = errDied
		}
	}()
	p := doomedParker{wake.ParkerFrom(ctx)}
	return result{err: word(u.n.Wait(wake.WithParker(ctx, p)), nil)}
}

// listener calls the client's Listener, or makes it.
func (u *notifyUse) listener(c *client, name string) {
	e := u.ears[c.id]
	if e == nil {
		number := int(u.numbers.Add(1))
		c.do("Listen", func() (r result) { e = u.n.Listen(); return }, number)
		u.ears[c.id], c.mine["ear"] = e, number
		return
	}
	number := c.mine["ear"]
	switch name {
	case "Ready":
		c.do(name, func() result { return result{ok: e.Ready()} }, number)
	case "Hear":
		c.block(name, func(ctx context.Context) result { return result{err: word(e.Wait(ctx), nil)} }, number)
	case "Stop":
		c.do(name, func() result { return result{ok: e.Stop()} }, number)
		u.ears[c.id] = nil
	}
}

// wakeAll is recorded if it woke somebody: the world asks all the time.
func (u *notifyUse) wakeAll(c *client) {
	o := op{client: c.id, name: "NotifyWaiters", call: c.w.now()}
	o.got.v = u.n.NotifyWaiters()
	o.ret = c.w.now()
	if o.got.v > 0 {
		c.ops = append(c.ops, o)
	}
}

// TestNotify: goroutines use a Notify in all ways at the same time.
func TestNotify(t *testing.T) {
	inBubbles(t, notifySpec, notifyMixes, func(_ int64, mix string) plan { return notifyPlan(newRinger(), mix) })
}

// TestNotifyOnRing: goroutines and tasks of one loop use a Notify together.
func TestNotifyOnRing(t *testing.T) {
	for _, mix := range []string{"everything", "deaths"} {
		onRings(t, notifySpec, func(int64) plan { return notifyPlan(newRinger(), notifyMixes[mix]) })
	}
}

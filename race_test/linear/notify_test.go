package linear_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// A bell is a Notify or a broken one.
type bell interface {
	NotifyOne()
	NotifyLast()
	NotifyN(k int) int
	NotifyWaiters() int
	Wait(ctx context.Context) error
	TryWait() bool
	Listen() ear
	OnNotify() wake.Case
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

// The mixes of calls that the clients of a Notify draw from.
var notifyMixes = map[string]string{
	"everything": "Wait Wait Wait Wait TryWait NotifyOne NotifyOne NotifyOne NotifyLast NotifyN NotifyWaiters Listen Listen Ready Hear Stop Stop End End",
	"permits":    "Wait Wait Wait TryWait NotifyOne NotifyOne NotifyOne NotifyLast End",
	"deaths":     "Wait Wait Die Die Listen Stop TryWait NotifyOne NotifyOne NotifyLast NotifyN NotifyWaiters End",
	"selects":    "Select Select Select Choose Choose DieSelecting Wait Listen Stop TryWait NotifyOne NotifyOne NotifyLast NotifyN NotifyWaiters End",
	"listeners":  "Listen Listen Hear Ready Stop Stop NotifyOne NotifyOne NotifyLast NotifyN NotifyWaiters TryWait End",
}

// notifyPlan is how clients use a Notify. A client has one Listener at a time.
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
	ears    [16]ear                           // of each client
	others  [16]atomic.Pointer[notify.Notify] // of each client's Select
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
		c.block("Wait", func(ctx context.Context) result { return dying(ctx, u.n.Wait) })
	case "Select":
		c.block("Wait", func(ctx context.Context) result { return result{err: word(u.selectIn(ctx, c), nil)} })
	case "DieSelecting":
		c.block("Wait", func(ctx context.Context) result {
			return dying(ctx, func(ctx context.Context) error { return u.selectIn(ctx, c) })
		})
	case "Choose": // another case of a Select
		if other := u.others[c.r.IntN(len(c.w.clients))].Load(); other != nil {
			other.NotifyOne()
		}
	case "Wait":
		c.block(name, func(ctx context.Context) result { return result{err: word(u.n.Wait(ctx), nil)} })
	default:
		panic("linear_test: no call of a Notify: " + name)
	}
}

// A doomedParker panics when it is woken.
type doomedParker struct{ wake.Parker }

func (p doomedParker) Park(ctx context.Context) error {
	if err := p.Parker.Park(ctx); err != nil {
		return err
	}
	panic("doomed")
}

// selectIn is a Wait by a Select over u.n and another Notify. If that is chosen, the
// Select has left the line of u.n, as if its context had ended.
func (u *notifyUse) selectIn(ctx context.Context, c *client) error {
	other := new(notify.Notify)
	u.others[c.id].Store(other)
	cases := []wake.Case{other.OnNotify(), u.n.OnNotify()}
	mine := c.r.IntN(2)
	cases[mine], cases[1] = cases[1], cases[mine]
	chosen, err := await.Select(ctx, cases...)
	if err == nil && chosen != mine {
		err = context.Canceled
	}
	return err
}

// dying waits by a parker that panics when it is woken.
func dying(ctx context.Context, wait func(context.Context) error) (r result) {
	defer func() {
		if recover() != nil {
			r.err = errDied
		}
	}()
	p := doomedParker{wake.ParkerFrom(ctx)}
	return result{err: word(wait(wake.WithParker(ctx, p)), nil)}
}

// listener calls the client's Listener, or makes one.
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

// wakeAll is recorded only if it woke a waiter, because the world calls it all the
// time.
func (u *notifyUse) wakeAll(c *client) {
	o := op{client: c.id, name: "NotifyWaiters", call: c.w.now()}
	o.got.v = u.n.NotifyWaiters()
	o.ret = c.w.now()
	if o.got.v > 0 {
		c.ops = append(c.ops, o)
	}
}

// TestNotify checks histories of goroutines that use a Notify in all ways
// concurrently.
func TestNotify(t *testing.T) {
	inBubbles(t, notifySpec, notifyMixes, func(_ int64, mix string) plan { return notifyPlan(newRinger(), mix) })
}

// TestNotifyOnRing checks histories of goroutines and tasks of one loop that use a
// Notify.
func TestNotifyOnRing(t *testing.T) {
	onRings(t, notifySpec, func(seed int64) plan {
		return notifyPlan(newRinger(), notifyMixes[bySeed(seed, []string{"everything", "deaths", "selects"})])
	})
}

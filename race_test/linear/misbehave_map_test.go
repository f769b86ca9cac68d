package linear_test

import (
	"context"
	"strings"
	"testing"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// The mixes with misbehaving clients. The Park of a call with ! misbehaves, the
// Wake of one with ?, and the function of one with *; a Store with * may be ended by
// a Wake that misbehaves. Where a Take misbehaves there are no computations: it
// may die while it waits for the end of one, and then it was not in line.
var misbehavingMapMixes = map[string]string{
	"waits":     "Wait! Wait! WaitNext! WaitFor! WaitFor! Register! Register! Wait WaitNext WaitFor Register Store Store Store Store Delete Delete Load Cancel CancelAll End Churn",
	"takes":     "Take! Take! Take! Take! Wait! WaitNext! Take Take Wait WaitNext WaitFor Register Store Store Store Swap LoadOrStore LoadAndDelete Load Load Cancel Clear End End",
	"closing":   "Wait! WaitNext! WaitFor! Take! Take! Register! Wait WaitFor Take Register Store Store Store Delete Load Cancel Close Churn End",
	"wakers":    "Wait? WaitNext? Take? Register? Wait WaitNext Take WaitFor Register Store* Store* Store* Delete Load End",
	"bursts":    "WaitFor WaitFor WaitFor WaitFor! Take WaitCompute Burst Burst Burst Load End",
	"functions": "Compute* LoadOrCompute* WaitCompute* WaitFor* Compute WaitCompute Take Take Wait WaitFor Store Store Swap LoadOrStore CompareAndSwap Delete Load Range End Churn",
}

func misbehavingMapPlan(m store, mix string) plan {
	p := mapPlan(m, mix)
	draw := strings.Fields(mix)
	p.next = func(c *client) {
		how := draw[c.r.IntN(len(draw))]
		k := 1 + c.r.IntN(c.w.keys)
		if how == "Burst" {
			burst(c, m, k)
			return
		}
		name := strings.TrimRight(how, "!?*")
		wait := func(ctx context.Context) (r result, err error) {
			if name == "Register" {
				r.v, err = c.badFuture(ctx, m, k)
			} else {
				r.v, err = waitPlainly(ctx, m, name, k)
			}
			return r, err
		}
		switch strings.TrimPrefix(how, name) {
		case "!":
			c.note(c.badly(name, wait, k))
		case "?":
			p := misbehave.NewParker()
			p.OnWake = misbehave.Unwinding(c.r)
			c.note(c.with(p, false, name, wait, k))
		case "*":
			c.computeBadly(m, name, k)
		default:
			callMap(c, m, name, k)
		}
	}
	return p
}

// burst stores several times before the woken waiters look.
func burst(c *client, m store, k int) {
	for range 2 + c.r.IntN(2) {
		callMap(c, m, "Store", k)
	}
	if c.r.IntN(2) == 0 {
		callMap(c, m, "Delete", k)
	}
}

// computeBadly makes a call whose function does not return, so that the call has
// only looked at the key, or a Store whose waiters may misbehave in Wake.
func (c *client) computeBadly(m store, name string, k int) {
	strike := misbehave.Unwinding(c.r)
	switch name {
	case "Store":
		v := c.fresh()
		c.do(name, func() (r result) { c.apart(func() { m.Store(k, v) }); return }, k, v)
	case "Compute":
		c.do(name, func() (r result) {
			c.apart(func() {
				m.Compute(k, func(old int, loaded bool) (int, waitmap.Op) {
					r = result{v: old, ok: loaded}
					_ = strike.Do()
					return 1, waitmap.StoreOp
				})
			})
			return r
		}, k, opKeep)
	case "LoadOrCompute":
		c.do("Load", func() (r result) {
			c.apart(func() {
				r.v, r.ok, _ = m.LoadOrCompute(k, func() (int, error) { return 1, strike.Do() })
			})
			return r
		}, k)
	case "WaitCompute":
		c.block(name, func(ctx context.Context) (r result) {
			c.apart(func() {
				_, err := m.WaitCompute(wake.WithParker(ctx, nil), k, func(old int) (int, waitmap.Op) {
					r = result{v: old, ok: true}
					_ = strike.Do()
					return 1, waitmap.StoreOp
				})
				r.err = word(err, mapErrors)
			})
			return r
		}, k, opKeep)
	case "WaitFor":
		c.block(name, func(ctx context.Context) (r result) {
			returned := c.apart(func() {
				_, err := m.WaitFor(wake.WithParker(ctx, nil), k, func(int) bool { _ = strike.Do(); return false })
				r.err = word(err, mapErrors)
			})
			if !returned {
				r.err = errDied
			}
			return r
		}, k)
	}
}

// badFuture stops a Future whose Wait failed or did not return. If the Future is
// done, its own waker must be called too.
func (c *client) badFuture(ctx context.Context, m store, k int) (v int, err error) {
	own := make(wake.Chan, 1)
	f := m.Register(k, own)
	if returned := c.apart(func() { v, err = f.Wait(ctx) }); !returned || err != nil {
		if f.Stop() {
			return 0, misbehave.ErrOwn
		}
		v, _, err = f.Result()
	}
	select {
	case <-own:
	case <-ctx.Done(): // at once, or because the client sleeps
	}
	return v, err
}

// TestMapMisbehaving checks that misbehaving clients do not change what other
// clients see.
func TestMapMisbehaving(t *testing.T) {
	inBubbles(t, mapSpec, misbehavingMapMixes, func(seed int64, mix string) plan {
		return misbehavingMapPlan(stores[int(seed)%len(stores)].make(), mix)
	})
}

// TestMapMisbehavingOnRing does the same with tasks of one loop.
func TestMapMisbehavingOnRing(t *testing.T) {
	onRings(t, mapSpec, func(seed int64) plan {
		return misbehavingMapPlan(stores[int(seed)%len(stores)].make(), misbehavingMapMixes["takes"])
	})
}

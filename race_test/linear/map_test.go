package linear_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// The mixes of calls that the clients of a Map draw from.
var mapMixes = map[string]string{
	"everything": "Load Load Store Store Swap LoadOrStore Delete LoadAndDelete CompareAndSwap CompareAndDelete Compute Compute " +
		"LoadOrCompute Wait Wait WaitNext WaitFor WaitCompute Take Take Register Register Cancel CancelCause CancelAll Clear Range Range End Churn",
	"waits":   "Wait Wait WaitNext WaitNext WaitFor Register Register Store Store Store Delete Delete Load Cancel CancelAll End Churn",
	"takes":   "Take Take Take Take Wait WaitNext Register Store Store Store Swap LoadOrStore LoadOrCompute LoadAndDelete Compute Cancel End End",
	"changes": "Load Load Store Swap LoadOrStore LoadOrCompute LoadOrCompute CompareAndSwap CompareAndSwap CompareAndDelete Compute Compute WaitCompute LoadAndDelete Delete Clear Range Churn End",
	"closing": "Wait Wait WaitNext WaitFor WaitCompute Take Take Register Register Store Store Store Delete LoadAndDelete Load Cancel Close Churn End",
}

const mapKeys = 3

var mapErrors = map[error]string{waitmap.ErrCanceled: errCanceled, waitmap.ErrClosed: errClosed}

// mapPlan is how clients use a Map.
func mapPlan(m store, mix string) plan {
	draw := strings.Fields(mix)
	return plan{
		clients: 6, rounds: 5, perRound: 4, keys: mapKeys,
		next: func(c *client) {
			callMap(c, m, draw[c.r.IntN(len(draw))], 1+c.r.IntN(c.w.keys))
		},
		drain: func(c *client) {
			for k := range c.w.keys {
				callMap(c, m, "Cancel", k+1)
			}
		},
	}
}

// fresh returns a value that no other call stores, which shows where a value came
// from.
func (c *client) fresh() int {
	c.mine["values"]++
	return c.id<<8 + c.mine["values"]
}

// note remembers the last seen value, as the old value for CompareAndSwap.
func (c *client) note(r result) result {
	if r.err == "" && r.v != 0 {
		c.mine["seen"] = r.v
	}
	return r
}

func callMap(c *client, m store, name string, k int) {
	switch name {
	case "End":
		c.endSomebody()
	case "Churn":
		churn(c, m)
	case "Wait", "WaitNext", "WaitFor", "WaitCompute", "Take", "Register":
		waitOnMap(c, m, name, k)
	case "Close":
		if c.r.IntN(5) == 0 { // otherwise the history before it would be short
			everyKey(c, name, func([]result) { m.Close() })
		}
	case "CancelAll":
		everyKey(c, name, func([]result) { m.CancelAll() })
	case "Clear":
		everyKey(c, name, func([]result) { m.Clear() })
	case "Range":
		everyKey(c, name, func(seen []result) { rangeOver(m, seen) })
	case "Cancel":
		cancelKey(c, k, m.Cancel)
	case "CancelCause":
		cancelKey(c, k, func(k int) int { return m.CancelCause(k, errFailed) })
	case "Compute":
		computeKey(c, m, k)
	case "LoadOrCompute":
		loadOrCompute(c, m, k)
	default:
		writeMap(c, m, name, k)
	}
}

func writeMap(c *client, m store, name string, k int) {
	switch name {
	case "Load":
		c.note(c.do(name, func() result { return seen(m.Load(k)) }, k))
	case "Store":
		v := c.fresh()
		c.do(name, func() (r result) { m.Store(k, v); return }, k, v)
	case "Swap":
		v := c.fresh()
		c.note(c.do(name, func() result { return seen(m.Swap(k, v)) }, k, v))
	case "LoadOrStore":
		v := c.fresh()
		c.note(c.do(name, func() result { return seen(m.LoadOrStore(k, v)) }, k, v))
	case "Delete":
		c.do(name, func() (r result) { m.Delete(k); return }, k)
	case "LoadAndDelete":
		c.note(c.do(name, func() result { return seen(m.LoadAndDelete(k)) }, k))
	case "CompareAndSwap":
		old, v := c.mine["seen"], c.fresh()
		c.do(name, func() result { return result{ok: m.CompareAndSwap(k, old, v)} }, k, old, v)
	case "CompareAndDelete":
		old := c.mine["seen"]
		c.do(name, func() result { return result{ok: m.CompareAndDelete(k, old)} }, k, old)
	default:
		panic("linear_test: no call of a Map: " + name)
	}
}

func seen(v int, ok bool) result { return result{v: v, ok: ok} }

func waitOnMap(c *client, m store, name string, k int) {
	if name == "WaitCompute" {
		waitCompute(c, m, k)
		return
	}
	c.note(c.block(name, func(ctx context.Context) (r result) {
		var err error
		if name == "Register" {
			r.v, err = useFuture(ctx, m, k, c.r.IntN(2) == 0)
		} else {
			r.v, err = waitPlainly(ctx, m, name, k)
		}
		r.err = word(err, mapErrors)
		return r
	}, k))
}

func waitPlainly(ctx context.Context, m store, name string, k int) (int, error) {
	switch name {
	case "Wait":
		return m.Wait(ctx, k)
	case "WaitNext":
		return m.WaitNext(ctx, k)
	case "WaitFor":
		return m.WaitFor(ctx, k, even)
	default:
		return m.Take(ctx, k)
	}
}

// useFuture waits for a Future, or for the waker that it was given.
func useFuture(ctx context.Context, m store, k int, byWaker bool) (v int, err error) {
	if !byWaker {
		f := m.Register(k, nil)
		if v, err = f.Wait(ctx); err != nil && ctx.Err() != nil && !f.Stop() {
			v, _, err = f.Result()
		}
		return v, err
	}
	p := wake.ParkerFrom(ctx)
	f := m.Register(k, p)
	for {
		v, done, err := f.Result()
		if done {
			return v, err
		}
		if err := p.Park(ctx); err != nil && f.Stop() {
			return 0, err
		}
	}
}

var errFailed = errors.New("the test's own")

// loadOrCompute records a function that fails, or one that succeeds as if its value
// were LoadOrStore's. The rest of the history shows whether it may have run.
func loadOrCompute(c *client, m store, k int) {
	v, fails := c.fresh(), c.r.IntN(3) == 0
	c.note(c.do("LoadOrCompute", func() (r result) {
		ran := 0
		var err error
		r.v, r.ok, err = m.LoadOrCompute(k, func() (int, error) {
			if ran++; fails {
				return v, errFailed
			}
			return v, nil
		})
		if r.err = word(err, map[error]string{errFailed: errOwn}); ran == 0 != r.ok || ran > 1 {
			r.err = errWrong
		}
		return r
	}, k, v))
}

// order draws the operation of a computation.
func (c *client) order() (op, v int) { return c.r.IntN(3), c.fresh() }

// computeKey records what the function saw. The result of Compute follows from
// that; if it does not, the call is recorded as wrong.
func computeKey(c *client, m store, k int) {
	op, v := c.order()
	c.do("Compute", func() (r result) {
		got, ok := m.Compute(k, func(old int, loaded bool) (int, waitmap.Op) {
			r = result{v: old, ok: loaded}
			return v, waitmap.Op(op)
		})
		want := r
		switch op {
		case opSet:
			want = result{v: v, ok: true}
		case opRemove:
			want.ok = false
		}
		if (result{v: got, ok: ok}) != want {
			r.err = errWrong
		}
		return r
	}, k, op, v)
}

func waitCompute(c *client, m store, k int) {
	op, v := c.order()
	c.block("WaitCompute", func(ctx context.Context) (r result) {
		got, err := m.WaitCompute(ctx, k, func(old int) (int, waitmap.Op) {
			r = result{v: old, ok: true}
			return v, waitmap.Op(op)
		})
		want := r.v
		if r.ok && op == opSet {
			want = v
		}
		if r.err = word(err, mapErrors); got != want {
			r.err = errWrong
		}
		return r
	}, k, op, v)
}

// cancelKey is not recorded if the world calls it and it found no waiter, because
// the world calls it all the time.
func cancelKey(c *client, k int, cancel func(k int) int) {
	o := op{client: c.id, name: "Cancel", args: []int{k}, call: c.w.now()}
	o.got.v = cancel(k)
	o.ret = c.w.now()
	if o.got.v != 0 || c.id < len(c.w.clients) {
		c.ops = append(c.ops, o)
	}
}

// everyKey records a call about every key as one call for each key.
func everyKey(c *client, name string, f func(seen []result)) {
	call, got := c.w.now(), make([]result, c.w.keys)
	f(got)
	ret := c.w.now()
	for i, r := range got {
		c.ops = append(c.ops, op{client: c.id, name: name, args: []int{i + 1}, got: r, call: call, ret: ret})
	}
}

// rangeOver records what Range shows of each key.
func rangeOver(m store, seen []result) {
	m.Range(func(k, v int) bool {
		if k > len(seen) {
			return true // a key of churn
		}
		if seen[k-1].ok {
			seen[k-1].err = errWrong // the key is shown twice
		}
		seen[k-1] = result{v: v, ok: true, err: seen[k-1].err}
		return true
	})
}

// churn stores or deletes keys that no call looks at, so that tables grow and
// shrink.
func churn(c *client, m store) {
	const n = 60
	c.mine["churned"] ^= 1
	for i := range n {
		if k := 1000 + n*c.id + i; c.mine["churned"] == 1 {
			m.Store(k, 1)
		} else {
			m.Delete(k)
		}
	}
}

// TestMap checks histories of goroutines that use a Map in all ways concurrently.
func TestMap(t *testing.T) {
	inBubbles(t, mapSpec, mapMixes, func(seed int64, mix string) plan {
		return mapPlan(stores[int(seed)%len(stores)].make(), mix)
	})
}

// TestMapOnRing checks histories of goroutines and tasks of one loop that use a
// Map.
func TestMapOnRing(t *testing.T) {
	onRings(t, mapSpec, func(seed int64) plan {
		mix := mapMixes["everything"]
		if seed%3 == 0 {
			mix = mapMixes["closing"]
		}
		return mapPlan(stores[int(seed)%len(stores)].make(), mix)
	})
}

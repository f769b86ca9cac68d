package linear_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

// A watched is a Value or a broken one.
type watched interface {
	Load() (int, uint64)
	Store(v int) uint64
	Update(f func(old int) int) (int, uint64)
	WaitNewer(ctx context.Context, version uint64) (int, uint64, error)
	OnNewer(version uint64, v *int, newer *uint64) wake.Case
	Waiters() int
}

func newValue() watched { return new(await.Value[int]) }

// The mixes of calls that the clients of a Value draw from.
var valueMixes = map[string]string{
	"everything": "Store Store Update Update Die Load Load WaitNewer WaitNewer Select Select End",
	"waits":      "Store WaitNewer WaitNewer Select End",
	"changes":    "Store Update Update Load Load Die",
}

// valuePlan is how clients use a Value. Each waits for a newer version than it has seen
// last, or than the next one.
func valuePlan(v watched, mix string) plan {
	draw := strings.Fields(mix)
	u := &valueUse{v: v}
	return plan{
		clients: 6, rounds: 6, perRound: 3,
		next: func(c *client) { u.call(c, draw[c.r.IntN(len(draw))]) },
		drain: func(c *client) {
			if v.Waiters() > 0 {
				u.call(c, "Store")
			}
		},
	}
}

type valueUse struct {
	v    watched
	next atomic.Int64 // values are unique
}

func (u *valueUse) call(c *client, name string) {
	switch name {
	case "End":
		c.endSomebody()
	case "Store":
		x := int(u.next.Add(1)) % valueUnit
		c.do(name, func() result { return result{v: int(u.v.Store(x))} }, x)
	case "Update":
		d := 100 + c.r.IntN(100)
		c.do(name, func() result {
			x, n := u.v.Update(func(old int) int { return (old + d) % valueUnit })
			return result{v: saw(c, x, n)}
		}, d)
	case "Die":
		c.do(name, func() (r result) {
			defer func() { _ = recover() }()
			u.v.Update(func(int) int { panic("doomed") })
			return r
		})
	case "Load":
		c.do(name, func() result { x, n := u.v.Load(); return result{v: saw(c, x, n)} })
	default:
		u.wait(c, name)
	}
}

// saw remembers a version, and returns it with its value.
func saw(c *client, x int, version uint64) int {
	c.mine["version"] = int(version)
	return valueState{int(version), x}.seen()
}

func (u *valueUse) wait(c *client, name string) {
	known := c.mine["version"]
	if c.r.IntN(4) == 0 {
		known++
	}
	c.block("WaitNewer", func(ctx context.Context) (r result) {
		var x int
		var n uint64
		var err error
		if name == "Select" {
			_, err = await.Select(ctx, new(await.Value[int]).OnNewer(0, nil, nil), u.v.OnNewer(uint64(known), &x, &n))
		} else {
			x, n, err = u.v.WaitNewer(ctx, uint64(known))
		}
		if r.err = word(err, nil); err == nil || n != 0 || x != 0 {
			r.v = saw(c, x, n)
		}
		return r
	}, known)
}

// TestValue checks histories of goroutines that use a Value in all ways concurrently.
func TestValue(t *testing.T) {
	inBubbles(t, valueSpec, valueMixes, func(_ int64, mix string) plan { return valuePlan(newValue(), mix) })
}

// TestValueOnRing checks histories of goroutines and tasks of one loop that use a Value.
func TestValueOnRing(t *testing.T) {
	onRings(t, valueSpec, func(int64) plan { return valuePlan(newValue(), valueMixes["everything"]) })
}

package linear_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

// A shelf is a Queue or a broken one.
type shelf interface {
	Put(ctx context.Context, v int) error
	Take(ctx context.Context) (int, error)
	TryPut(v int) bool
	TryTake() (int, bool)
	Close() error
	Len() int
	Waiters() (putters, takers int)
	OnPut(v int) wake.Case
	OnTake(v *int) wake.Case
}

// The mixes of calls that the clients of two Queues draw from.
var queueMixes = map[string]string{
	"everything": "Put Put Take Take TryPut TryTake Select Select Select Len End",
	"waits":      "Put Put Put Take Take Take TryPut TryTake End",
	"selects":    "Select Select Select Select Put Take TryPut TryTake End",
	"closing":    "Put Put Take Take Select TryPut TryTake Len Close End",
	"deaths":     "Put Take Take Select Dying:Take Dying:Take Dying:Put Dying:Select TryPut TryPut TryTake End",
}

// queueUse is how clients use two Queues.
type queueUse struct {
	shelves [2]shelf
	pick    func(ctx context.Context, cases ...wake.Case) (int, error) // await.Select or a broken one
	last    atomic.Int32                                               // value that was put
	mix     []string
}

func newQueueUse(mix string, breakIt func(*await.Queue[int]) shelf) *queueUse {
	u := &queueUse{pick: await.Select, mix: strings.Fields(mix)}
	for i, capacity := range queueCapacities {
		u.shelves[i] = breakIt(await.NewQueue[int](capacity))
	}
	return u
}

func sound(q *await.Queue[int]) shelf { return q }

func (u *queueUse) plan() plan {
	return plan{
		clients: 6, rounds: 6, perRound: 3,
		next:  func(c *client) { u.call(c, u.mix[c.r.IntN(len(u.mix))]) },
		drain: u.drain,
	}
}

func (u *queueUse) call(c *client, name string) {
	i := c.r.IntN(2)
	q := u.shelves[i]
	name, dies := strings.CutPrefix(name, "Dying:")
	switch name {
	case "End":
		c.endSomebody()
	case "Len":
		c.do(name, func() result { return result{v: q.Len()} }, i)
	case "Close":
		if c.r.IntN(3) == 0 {
			c.do(name, func() result { return result{err: word(q.Close(), nil)} }, i)
		}
	case "TryPut":
		u.tryPut(c, i, u.fresh())
	case "TryTake":
		u.tryTake(c, i)
	case "Put":
		v := u.fresh()
		u.block(c, name, dies, func(ctx context.Context) (int, error) { return 0, q.Put(ctx, v) }, i, v)
	case "Take":
		u.block(c, name, dies, q.Take, i)
	case "Select":
		u.selects(c, dies, i)
	default:
		panic("linear_test: no call of a Queue: " + name)
	}
}

func (u *queueUse) fresh() int { return int(u.last.Add(1)) }

func (u *queueUse) tryPut(c *client, i, v int) {
	c.do("TryPut", func() result { return result{ok: u.shelves[i].TryPut(v)} }, i, v)
}

func (u *queueUse) tryTake(c *client, i int) {
	c.do("TryTake", func() (r result) { r.v, r.ok = u.shelves[i].TryTake(); return r }, i)
}

// selects waits for both Queues, and puts into a Queue or takes from it.
func (u *queueUse) selects(c *client, dies bool, first int) {
	v, took := u.fresh(), 0
	var cases []wake.Case
	var args []int
	for _, i := range []int{first, 1 - first} {
		q, puts := u.shelves[i], c.r.IntN(2)
		if puts == 1 {
			cases = append(cases, q.OnPut(v))
		} else {
			cases = append(cases, q.OnTake(&took))
		}
		args = append(args, i, puts, v)
	}
	u.block(c, "Select", dies, func(ctx context.Context) (int, error) {
		chosen, err := u.pick(ctx, cases...)
		return max(chosen, 0)*oneChoice + took, err
	}, args...)
}

// block records a call that may sleep, perhaps with a parker that panics when it is woken.
func (u *queueUse) block(c *client, name string, dies bool, f func(ctx context.Context) (int, error), args ...int) {
	c.block(name, func(ctx context.Context) (r result) {
		if dies {
			defer func() {
				if recover() != nil {
					r = result{err: errDied}
				}
			}()
			ctx = wake.WithParker(ctx, doomedParker{wake.ParkerFrom(ctx)})
		}
		v, err := f(ctx)
		return result{v: v, err: word(err, map[error]string{await.ErrClosed: errClosed})}
	}, args...)
}

// drain serves the waiters in line. Its value is larger than those of the clients.
func (u *queueUse) drain(c *client) {
	for i, q := range u.shelves {
		putters, takers := q.Waiters()
		if putters > 0 {
			u.tryTake(c, i)
		}
		if takers > 0 {
			u.tryPut(c, i, ofSecondQueue-1)
		}
	}
}

// TestQueue checks histories of goroutines that use two Queues in all ways concurrently.
func TestQueue(t *testing.T) {
	inBubbles(t, queueSpec, queueMixes, func(_ int64, mix string) plan { return newQueueUse(mix, sound).plan() })
}

// TestQueueOnRing checks histories of goroutines and tasks of one loop that use two
// Queues.
func TestQueueOnRing(t *testing.T) {
	onRings(t, queueSpec, func(seed int64) plan {
		return newQueueUse(queueMixes[bySeed(seed, []string{"everything", "closing", "deaths"})], sound).plan()
	})
}

package linear_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// A plan says how a history is made: the number of clients, the number of calls,
// and the calls.
type plan struct {
	clients, rounds, perRound int
	keys                      int // 1 to keys

	next  func(c *client) // makes one call, drawn at random
	drain func(c *client) // releases all waiters; for rings
}

// A world is a history that is being recorded. Between rounds it waits until every
// client has finished its calls or sleeps in one. So clients start together, and
// the sleeping ones are known to be in line.
type world struct {
	plan
	clock   atomic.Int64
	clients []*client
	ends    sync.WaitGroup
}

// A client makes one call after another, in a goroutine or in a task.
type client struct {
	w   *world
	id  int
	r   *rand.Rand
	ctx context.Context // a task's, or Background
	ops []op

	parker wake.Parker
	todo   atomic.Int32 // calls left in this round; negative: the client ends
	wait   atomic.Pointer[pending]
	mine   map[string]int // what the plan remembers of a client
}

// pending is a call that may sleep.
type pending struct {
	name   string
	cancel context.CancelFunc
	parked atomic.Int64 // when it was first known to be in line
	still  atomic.Int64 // and when it was last
	reaped atomic.Bool
}

func (w *world) newClient(id int, seed int64) *client {
	return &client{w: w, id: id, r: rand.New(rand.NewPCG(uint64(seed), uint64(id))), ctx: context.Background(), mine: map[string]int{}}
}

func (w *world) now() int64 { return w.clock.Add(1) }

// do records a call that does not block.
func (c *client) do(name string, f func() result, args ...int) result {
	o := op{client: c.id, name: name, args: args, call: c.w.now()}
	o.got = f()
	o.ret = c.w.now()
	c.ops = append(c.ops, o)
	return o.got
}

// block records a call that may sleep, under a context that other clients may end.
func (c *client) block(name string, f func(context.Context) result, args ...int) result {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	p := &pending{name: name, cancel: cancel}
	const early = 20 // one of this many contexts has already ended
	if c.r.IntN(early) == 0 {
		cancel()
	}
	o := op{client: c.id, name: name, args: args, call: c.w.now()}
	c.wait.Store(p)
	o.got = f(ctx)
	c.wait.Store(nil)
	o.ret = c.w.now()
	o.parked, o.still = p.parked.Load(), p.still.Load()
	if p.reaped.Load() && o.got.err != errContext && o.got.err != errDied {
		o.got.err = errAsleep
	}
	c.ops = append(c.ops, o)
	return o.got
}

// endSomebody ends the context of a call of another client.
func (c *client) endSomebody() {
	if p := c.w.clients[c.r.IntN(len(c.w.clients))].wait.Load(); p != nil {
		p.cancel()
	}
}

// yield yields to other goroutines or tasks.
func (c *client) yield() {
	if t := uringwake.TaskFrom(c.ctx); t != nil {
		t.Yield()
	} else {
		runtime.Gosched()
	}
}

func (c *client) live() {
	for {
		for c.todo.Load() == 0 {
			if c.parker.Park(context.Background()) != nil {
				return
			}
		}
		if c.todo.Load() < 0 {
			return
		}
		for c.todo.Load() > 0 {
			c.w.next(c)
			if c.r.IntN(3) == 0 {
				c.yield()
			}
			c.todo.Add(-1)
		}
	}
}

// start gives n calls to each idle client.
func (w *world) start(n int) {
	for _, c := range w.clients {
		if c.todo.CompareAndSwap(0, int32(n)) {
			c.parker.Wake()
		}
	}
}

// asleep returns the clients in a call that may sleep.
func (w *world) asleep() (list []*client) {
	for _, c := range w.clients {
		if c.wait.Load() != nil {
			list = append(list, c)
		}
	}
	return list
}

func (w *world) busy() bool {
	return slices.ContainsFunc(w.clients, func(c *client) bool { return c.todo.Load() > 0 })
}

// moving reports whether a client has calls left and is in none that may sleep.
func (w *world) moving() bool {
	return slices.ContainsFunc(w.clients, func(c *client) bool { return c.todo.Load() > 0 && c.wait.Load() == nil })
}

// rest waits, in a bubble, until all clients are blocked. A client that has not
// returned then is in line.
func (w *world) rest() {
	synctest.Wait()
	now := w.now()
	for _, c := range w.asleep() {
		p := c.wait.Load()
		p.parked.CompareAndSwap(0, now)
		p.still.Store(now)
	}
}

// reap ends the context of a sleeping client. Nothing else moves, so the call must
// return because of it.
func (w *world) reap(r *rand.Rand) bool {
	list := w.asleep()
	if len(list) == 0 {
		return false
	}
	p := list[r.IntN(len(list))].wait.Load()
	p.reaped.Store(true)
	p.cancel()
	w.rest()
	return true
}

func (w *world) goHome() {
	for _, c := range w.clients {
		c.todo.Store(-1)
		c.parker.Wake()
	}
	w.ends.Wait()
}

func (w *world) history() (ops []op) {
	for _, c := range w.clients {
		ops = append(ops, c.ops...)
	}
	return ops
}

func newWorld(p plan, seed int64) *world {
	w := &world{plan: p}
	for i := range p.clients {
		w.clients = append(w.clients, w.newClient(i, seed))
	}
	return w
}

// inBubble records a history of goroutines in a testing/synctest bubble, where it
// is known when all sleep.
func inBubble(t *testing.T, p plan, seed int64) (ops []op) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		w := newWorld(p, seed)
		for _, c := range w.clients {
			c.parker = wake.NewParker()
			w.ends.Go(c.live)
		}
		r := rand.New(rand.NewPCG(uint64(seed), 1<<32))
		for range p.rounds {
			w.start(p.perRound)
			w.rest()
			if r.IntN(3) == 0 {
				w.reap(r)
			}
		}
		for w.reap(r) {
		}
		w.goHome()
		ops = w.history()
	})
	return ops
}

// ring is a loop for the tasks of many histories.
func ring(t *testing.T) *uringwake.Loop {
	t.Helper()
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	l, err := uringwake.NewLoop(nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	return l
}

// onRing records a history of goroutines and tasks in turn. Here it is not known
// when all sleep, so no client is known to be in line. But a client that was served
// and is not woken never returns.
func onRing(t *testing.T, l *uringwake.Loop, p plan, seed int64) []op {
	t.Helper()
	w := newWorld(p, seed)
	for i, c := range w.clients {
		c.parker = wake.NewParker()
		w.ends.Add(1)
		if i%2 == 0 {
			go func() { defer w.ends.Done(); c.live() }()
			continue
		}
		ready := make(chan struct{})
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			defer w.ends.Done()
			c.ctx, c.parker = ctx, wake.ParkerFrom(ctx)
			close(ready)
			c.live()
		}))
		<-ready
	}
	for range p.rounds {
		w.start(p.perRound)
		for w.moving() {
			runtime.Gosched()
		}
	}
	return w.end(t, seed)
}

// end releases all clients until they have made their calls.
func (w *world) end(t *testing.T, seed int64) []op {
	t.Helper()
	boss := w.newClient(w.plan.clients, seed)
	for deadline := time.Now().Add(*patience); w.busy(); runtime.Gosched() {
		w.drain(boss)
		if time.Now().After(deadline) {
			stuck := w.stuck()
			w.goHome()
			t.Fatalf("seed %d: nobody wakes %s", seed, stuck)
		}
	}
	w.goHome()
	return append(w.history(), boss.ops...)
}

// stuck returns the calls that do not return, and ends them.
func (w *world) stuck() (names []string) {
	for _, c := range w.clients {
		c.todo.Store(-1)
		if p := c.wait.Load(); p != nil {
			names = append(names, fmt.Sprintf("%s of client %d", p.name, c.id))
			p.cancel()
		}
	}
	return names
}

// inBubbles records histories of each mix and checks that they are linearizable.
func inBubbles(t *testing.T, sp *spec, mixes map[string]string, p func(seed int64, mix string) plan) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(mixes)) {
		t.Run(name, func(t *testing.T) {
			explainAll(t, sp, func(seed int64) []op { return inBubble(t, p(seed, mixes[name]), seed) })
		})
	}
}

// onRings is inBubbles with tasks in addition to the goroutines.
func onRings(t *testing.T, sp *spec, p func(seed int64) plan) {
	t.Helper()
	l := ring(t)
	explainAll(t, sp, func(seed int64) []op { return onRing(t, l, p(seed), seed) })
}

// bySeed returns one of the mixes, another one for the next seed.
func bySeed(seed int64, mixes []string) string { return mixes[uint64(seed)%uint64(len(mixes))] }

func explainAll(t *testing.T, sp *spec, record func(seed int64) []op) {
	t.Helper()
	calls := 0
	for i := range amount() {
		seed := *seedFlag + int64(i)
		stop := schedpoint.Shake(uint64(seed), false) // has effect with the tag vigil_schedpoint
		ops := record(seed)
		stop()
		sp.requireExplained(t, seed, ops)
		calls += len(ops)
	}
	t.Logf("%d histories, %d calls, seed %d", amount(), calls, *seedFlag)
}

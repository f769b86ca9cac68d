package linear_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

// A gate is a lock of package await or a broken one, as the permits of a semaphore.
type gate interface {
	Acquire(ctx context.Context, n int) error
	Try(n int) bool
	Release(n int)
	SetLimit(n int)
	On(n int) wake.Case // nil: none
}

type mutexGate struct{ *await.Mutex }

func (g mutexGate) Acquire(ctx context.Context, _ int) error { return g.Lock(ctx) }
func (g mutexGate) Try(int) bool                             { return g.TryLock() }
func (g mutexGate) Release(int)                              { g.Unlock() }
func (g mutexGate) SetLimit(int)                             { panic("linear_test: a Mutex has no limit") }
func (g mutexGate) On(int) wake.Case                         { return g.OnLock() }

// allOf is what a writer takes of an RWMutex in the model.
const allOf = 100

type rwGate struct{ *await.RWMutex }

func (g rwGate) SetLimit(int) { panic("linear_test: an RWMutex has no limit") }

func (g rwGate) Acquire(ctx context.Context, n int) error {
	if n == allOf {
		return g.Lock(ctx)
	}
	return g.RLock(ctx)
}

func (g rwGate) Try(n int) bool {
	if n == allOf {
		return g.TryLock()
	}
	return g.TryRLock()
}

func (g rwGate) Release(n int) {
	if n == allOf {
		g.Unlock()
	} else {
		g.RUnlock()
	}
}

func (g rwGate) On(n int) wake.Case {
	if n == allOf {
		return g.OnLock()
	}
	return g.OnRLock()
}

type semaphoreGate struct{ *await.Semaphore }

func (g semaphoreGate) Acquire(ctx context.Context, n int) error {
	return g.Semaphore.Acquire(ctx, int64(n))
}
func (g semaphoreGate) Try(n int) bool     { return g.TryAcquire(int64(n)) }
func (g semaphoreGate) Release(n int)      { g.Semaphore.Release(int64(n)) }
func (g semaphoreGate) SetLimit(n int)     { g.Semaphore.SetLimit(int64(n)) }
func (g semaphoreGate) On(n int) wake.Case { return g.OnAcquire(int64(n)) }

// A lockKind is a kind of locks and how clients use them.
type lockKind struct {
	spec  *spec
	sizes []int  // what an Acquire asks for
	try   string // how the model calls Try
	mixes map[string]string
}

// semaphoreLimit is the limit that a Semaphore begins with.
const semaphoreLimit = 4

var (
	mutexes = lockKind{lockSpec(1, 1), []int{1}, "Try", map[string]string{
		"locks":   "Acquire Acquire Acquire Try Release End",
		"selects": "Acquire Select Select Select One Try Release End",
		"deaths":  "Acquire Die Die Select One Try Release End",
	}}
	rwMutexes = lockKind{lockSpec(allOf), []int{1, 1, 1, allOf}, "Try", map[string]string{
		"locks":  "Acquire Acquire Acquire Acquire One Try Release Release End",
		"deaths": "Acquire Acquire Die Die One Try Release End",
	}}
	semaphores = lockKind{lockSpec(semaphoreLimit), []int{1, 1, 2, 3, 4, 5}, "Barge", map[string]string{
		"permits": "Acquire Acquire Acquire Acquire One Try Release Release End",
		"deaths":  "Acquire Acquire Die Die One Try Release End",
		"limits":  "Acquire Acquire Acquire One Die Try Release SetLimit SetLimit End",
	}}
)

// A lockUse is how clients use some locks. What a client has acquired it releases itself,
// or leaves to the one that draws Release.
type lockUse struct {
	lockKind
	gates []gate

	mu   sync.Mutex // guards held
	held [][2]int   // a lock and the number of its permits
}

func (k lockKind) plan(mix string, gates ...gate) plan {
	u := &lockUse{lockKind: k, gates: gates}
	draw := strings.Fields(mix)
	return plan{
		clients: 6, rounds: 6, perRound: 3,
		next:  func(c *client) { u.call(c, draw[c.r.IntN(len(draw))]) },
		drain: func(c *client) { u.releaseOne(c) },
	}
}

func (u *lockUse) call(c *client, name string) {
	i, n := c.r.IntN(len(u.gates)), u.sizes[c.r.IntN(len(u.sizes))]
	g := u.gates[i]
	got := false
	switch name {
	case "End":
		c.endSomebody()
	case "Release":
		u.releaseOne(c)
	case "SetLimit":
		n = c.r.IntN(semaphoreLimit + 2)
		c.do(name, func() (r result) { g.SetLimit(n); return }, i, n)
	case "Try":
		got = c.do(u.try, func() result { return result{ok: g.Try(n)} }, i, n).ok
	case "Select":
		i, got = u.selects(c)
	case "Acquire", "One", "Die":
		got = c.block("Acquire", u.wait(name, g, n), i, n).err == ""
	default:
		panic("linear_test: no call of a lock: " + name)
	}
	if got {
		u.hold(c, i, n)
	}
}

// wait returns a way to acquire n permits.
func (u *lockUse) wait(name string, g gate, n int) func(context.Context) result {
	acquire := func(ctx context.Context) error { return g.Acquire(ctx, n) }
	if on := g.On(n); on != nil && name == "One" {
		acquire = func(ctx context.Context) error {
			_, err := await.Select(ctx, on)
			return err
		}
	}
	return func(ctx context.Context) (r result) {
		if name == "Die" {
			defer func() {
				if recover() != nil {
					r.err = errDied
				}
			}()
			ctx = wake.WithParker(ctx, doomedParker{wake.ParkerFrom(ctx)})
		}
		return result{err: word(acquire(ctx), limitWords)}
	}
}

var limitWords = map[error]string{await.ErrLimit: errLimit}

// selects waits for one of the locks. They are in another order each time.
func (u *lockUse) selects(c *client) (i int, got bool) {
	order := c.r.Perm(len(u.gates))
	cases := make([]wake.Case, len(order))
	for at, i := range order {
		cases[at] = u.gates[i].On(1)
	}
	r := c.block("Select", func(ctx context.Context) result {
		at, err := await.Select(ctx, cases...)
		if err != nil {
			return result{err: word(err, nil)}
		}
		return result{v: order[at]}
	}, -1, 1)
	return r.v, r.err == ""
}

// hold releases what was acquired, or keeps it for another client to release.
func (u *lockUse) hold(c *client, i, n int) {
	if c.r.IntN(4) == 0 {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.held = append(u.held, [2]int{i, n})
		return
	}
	if c.r.IntN(2) == 0 {
		c.yield()
	}
	u.release(c, i, n)
}

func (u *lockUse) release(c *client, i, n int) {
	c.do("Release", func() (r result) { u.gates[i].Release(n); return }, i, n)
}

// releaseOne releases what was acquired first and is kept.
func (u *lockUse) releaseOne(c *client) {
	u.mu.Lock()
	if len(u.held) == 0 {
		u.mu.Unlock()
		return
	}
	what := u.held[0]
	u.held = u.held[1:]
	u.mu.Unlock()
	u.release(c, what[0], what[1])
}

func newMutexes() []gate {
	return []gate{mutexGate{new(await.Mutex)}, mutexGate{new(await.Mutex)}}
}

func newRecorded() []gate {
	gates := newMutexes()
	for _, g := range gates {
		g.(mutexGate).RecordHolder(true)
	}
	return gates
}

func newRWMutex() []gate { return []gate{rwGate{new(await.RWMutex)}} }

func newSemaphore() []gate { return []gate{semaphoreGate{await.NewSemaphore(semaphoreLimit)}} }

func (k lockKind) inBubbles(t *testing.T, gates func() []gate) {
	t.Helper()
	inBubbles(t, k.spec, k.mixes, func(_ int64, mix string) plan { return k.plan(mix, gates()...) })
}

// TestLockMutex checks histories of goroutines that lock two Mutexes, and select between
// them.
func TestLockMutex(t *testing.T) { mutexes.inBubbles(t, newMutexes) }

// TestLockMutexRecorded is TestLockMutex while the holders are recorded.
func TestLockMutexRecorded(t *testing.T) { mutexes.inBubbles(t, newRecorded) }

// TestLockRWMutex checks histories of readers and writers.
func TestLockRWMutex(t *testing.T) { rwMutexes.inBubbles(t, newRWMutex) }

// TestLockSemaphore checks histories of goroutines that acquire several permits at a time,
// while the limit changes.
func TestLockSemaphore(t *testing.T) { semaphores.inBubbles(t, newSemaphore) }

// TestLocksOnRing checks histories of goroutines and tasks of one loop.
func TestLocksOnRing(t *testing.T) {
	for _, test := range []struct {
		lockKind
		gates func() []gate
		mixes []string
	}{
		{mutexes, newMutexes, []string{"selects", "deaths"}},
		{rwMutexes, newRWMutex, []string{"locks", "deaths"}},
		{semaphores, newSemaphore, []string{"permits", "limits"}},
	} {
		onRings(t, test.spec, func(seed int64) plan {
			return test.plan(test.lockKind.mixes[bySeed(seed, test.mixes)], test.gates()...)
		})
	}
}

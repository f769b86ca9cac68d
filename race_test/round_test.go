package race_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// A round of the stress test has some subjects with workers, which are goroutines
// or tasks of a ring, while collections and stops of the world disturb them.
type round struct {
	t     *testing.T
	seed  uint64
	r     *rand.Rand // draws the parts of the round; workers do not use it
	rings *uringwake.Runtime
	teams []*team
	all   sync.WaitGroup
	moves atomic.Uint64 // completed operations; while it grows no worker is stuck
}

// A team has the workers of one kind.
type team struct {
	*round
	name    string
	alive   atomic.Int64
	workers []*worker
}

// A worker does one operation after another.
type worker struct {
	*team
	ctx   context.Context // of the task, if the worker is one
	r     *rand.Rand
	doing atomic.Pointer[string]
}

// An operation is one thing that a worker may do.
type operation struct {
	name string
	do   func(w *worker)
}

func newRound(t *testing.T, seed uint64, rings *uringwake.Runtime) *round {
	return &round{t: t, seed: seed, rings: rings, r: rand.New(rand.NewPCG(seed, 1))}
}

func (s *round) team(name string) *team {
	c := &team{round: s, name: name}
	s.teams = append(s.teams, c)
	return c
}

// start adds n workers, each with the given number of operations drawn from list.
// Half of them are tasks, if there is io_uring.
func (c *team) start(n, times int, list ...operation) *team {
	list = asked(list)
	if len(list) == 0 {
		return c
	}
	for range n {
		w := &worker{team: c, ctx: context.Background(), r: rand.New(rand.NewPCG(c.seed, uint64(2+len(c.round.teams)<<16|len(c.workers))))}
		c.workers = append(c.workers, w)
		c.alive.Add(1)
		c.all.Add(1)
		asTask := c.rings != nil && w.r.IntN(2) == 0
		run := func(ctx context.Context) {
			defer c.all.Done()
			defer c.alive.Add(-1)
			w.ctx = ctx
			w.work(times, list)
		}
		if !asTask {
			go run(w.ctx)
		} else if err := c.rings.Go(w.ctx, run); err != nil {
			panic(err)
		}
	}
	return c
}

// asked returns the operations that -operation selects.
func asked(list []operation) []operation {
	match := regexp.MustCompile(*onlyOperations)
	return slices.DeleteFunc(list, func(d operation) bool { return !match.MatchString(d.name) })
}

func (w *worker) work(times int, operations []operation) {
	defer func() {
		if v := recover(); v != nil { // the process ends: print what would be lost
			fmt.Fprintf(os.Stderr, "%s: %s: panic: %v\nagain:\n%s\n", w.name, *w.doing.Load(), v, replay(w.seed))
			panic(v)
		}
	}()
	for range times {
		d := &operations[w.r.IntN(len(operations))]
		w.doing.Store(&d.name)
		d.do(w)
		w.moves.Add(1)
	}
	w.doing.Store(nil)
}

// drain calls f again and again, after the teams of first are done and until the
// workers of c are. It must release only those waiters that rightly still wait.
func (c *team) drain(f func(), first ...*team) {
	c.all.Go(func() {
		for c.alive.Load() > 0 {
			if !slices.ContainsFunc(first, func(c *team) bool { return c.alive.Load() > 0 }) {
				f()
			}
			time.Sleep(50 * time.Microsecond) // lets others run; no result depends on it
		}
	})
}

// aside runs f, which may panic or end its goroutine, in a new goroutine.
func (s *round) aside(f func()) {
	s.all.Go(func() {
		defer func() {
			if v := recover(); v != nil && v != misbehave.ErrPanic {
				s.t.Errorf("panic: %v\n%s", v, debug.Stack())
			}
		}()
		f()
	})
}

// rashly calls aside and waits until f is over.
func (w *worker) rashly(f func()) {
	var g waitgroup.Group
	g.Add(1)
	w.aside(func() {
		defer g.Done()
		f()
	})
	if err := g.Wait(w.ctx); err != nil {
		w.t.Error(err)
	}
}

// wild panics or ends the goroutine.
func wild(exit bool) {
	if exit {
		runtime.Goexit()
	}
	panic(misbehave.ErrPanic)
}

var errEnd = errors.New("the context's cause")

// exits runs f, which makes calls under ctx, and reports whether that ended the
// goroutine: a caller whose context cannot end and has no parker runs loads itself.
func (w *worker) exits(ctx context.Context, f func()) bool {
	if _, ok := wake.FromContext(ctx); ok || ctx.Done() != nil {
		f()
		return false
	}
	exited := true
	w.rashly(func() { f(); exited = false })
	return exited
}

// until returns a context for one call. It never ends, has ended before the call,
// or ends during it, by a deadline or by a cancel.
func (w *worker) until() (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(w.ctx)
	switch w.r.IntN(8) {
	case 0:
		cancel(errEnd)
	case 1, 2:
		patience := time.Duration(w.r.IntN(300)) * time.Microsecond
		timed, stop := context.WithTimeoutCause(ctx, patience, errEnd)
		return timed, func() { stop(); cancel(nil) }
	case 3, 4:
		pauses := w.r.IntN(30)
		w.all.Go(func() {
			for range pauses {
				runtime.Gosched()
			}
			cancel(errEnd)
		})
	case 5:
		cancel(nil)
		return w.ctx, func() {} // the channel of the parent: a shorter path in tasks
	}
	return ctx, func() { cancel(nil) }
}

// canceled reports whether err is the error of a context of until. Any other error
// fails the test.
func (w *worker) canceled(err error) bool {
	if err != nil && !errors.Is(err, errEnd) {
		w.t.Errorf("%s: %v", *w.doing.Load(), err)
	}
	return err != nil
}

// pause yields.
func (w *worker) pause() {
	if t := uringwake.TaskFrom(w.ctx); t != nil {
		t.Yield()
	} else {
		runtime.Gosched()
	}
}

// A countingWaker is called once or was stopped.
type countingWaker struct {
	rung    atomic.Int32
	stopped bool
}

func (b *countingWaker) Wake() { b.rung.Add(1) }

var _ wake.Waker = new(countingWaker)

// wakers are the wakers that were registered, for a check at the end.
type wakers struct {
	mu   sync.Mutex
	list []*countingWaker
	then []func()
}

func (bs *wakers) add(b *countingWaker, then func()) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.list, bs.then = append(bs.list, b), append(bs.then, then)
}

// check records all wakers in b when none of them is in line any more. The wakes of
// the last ones may still be under way.
func (bs *wakers) check(s *round, b *book) {
	start := time.Now()
	for i, l := range bs.list {
		b.sent.Add(1)
		for !l.stopped && l.rung.Load() == 0 && time.Since(start) < *patience {
			runtime.Gosched()
		}
		switch rung := l.rung.Load(); {
		case rung == 1 && !l.stopped:
			b.received.Add(1)
		case rung == 0 && l.stopped:
			b.canceled.Add(1)
		default:
			s.t.Errorf("a waker was woken %d times, stopped: %v", rung, l.stopped)
		}
		bs.then[i]()
	}
}

// disturb causes collections, stops of the world, changes of GOMAXPROCS and, if the
// build has points, delays until the round is over.
func (s *round) disturb() (clear func()) {
	r := rand.New(rand.NewPCG(s.seed, 2))
	calm := schedpoint.Shake(s.seed, true)
	procs := runtime.GOMAXPROCS(0)
	over := make(chan struct{})
	var gone sync.WaitGroup
	gone.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(r.IntN(5000)) * time.Microsecond):
				disturbOnce(r)
			}
		}
	})
	return func() {
		close(over)
		gone.Wait()
		calm()
		runtime.GOMAXPROCS(procs)
	}
}

func disturbOnce(r *rand.Rand) {
	switch r.IntN(8) {
	case 0:
		runtime.GC()
	case 1:
		debug.FreeOSMemory()
	case 2:
		runtime.GOMAXPROCS(1 + r.IntN(2*runtime.NumCPU()))
	case 3:
		runtime.Stack(make([]byte, 1<<16), true)
	default:
		runtime.ReadMemStats(new(runtime.MemStats)) // stops the world
	}
}

// join waits for all workers. It fails the test if no operation completes for the
// patience, because then some workers wait for ever.
func (s *round) join() {
	over := make(chan struct{})
	go func() { s.all.Wait(); close(over) }()
	for {
		before := s.moves.Load()
		select {
		case <-over:
			return
		case <-time.After(*patience):
			if s.moves.Load() == before {
				s.t.Fatalf("no operation has completed for %v:\n%s%s", *patience, s.stuck(), stacks())
			}
		}
	}
}

// stuck returns what the unfinished workers do.
func (s *round) stuck() string {
	n := make(map[string]int)
	for _, c := range s.teams {
		for _, w := range c.workers {
			if d := w.doing.Load(); d != nil {
				n[c.name+": "+*d]++
			}
		}
	}
	var b strings.Builder
	for what, n := range n {
		fmt.Fprintf(&b, "%4d  %s\n", n, what)
	}
	return b.String()
}

func stacks() string {
	buf := make([]byte, 1<<18)
	return string(buf[:runtime.Stack(buf, true)])
}

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

	"github.com/vigil-go/vigil/internal/hostile"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// A storm is one round of the stress: some subjects, each with workers that
// are goroutines or tasks of a ring, in bad weather.
type storm struct {
	t     *testing.T
	seed  uint64
	r     *rand.Rand // draws what the round is made of; not for workers
	rings *uringwake.Runtime
	crews []*crew
	all   sync.WaitGroup
	moves atomic.Uint64 // deeds that are done: while it grows nobody need worry
}

// A crew is the workers that do one kind of thing.
type crew struct {
	*storm
	name    string
	alive   atomic.Int64
	workers []*worker
}

// A worker does one deed after the other.
type worker struct {
	*crew
	ctx   context.Context // a task's, if it is one
	r     *rand.Rand
	doing atomic.Pointer[string]
}

// A deed is one thing that a worker may do.
type deed struct {
	name string
	do   func(w *worker)
}

func newStorm(t *testing.T, seed uint64, rings *uringwake.Runtime) *storm {
	return &storm{t: t, seed: seed, rings: rings, r: rand.New(rand.NewPCG(seed, 1))}
}

func (s *storm) crew(name string) *crew {
	c := &crew{storm: s, name: name}
	s.crews = append(s.crews, c)
	return c
}

// hire has n more workers do so many deeds each, drawn from those given. Half
// of them are tasks, where there is io_uring.
func (c *crew) hire(n, times int, list ...deed) *crew {
	list = asked(list)
	if len(list) == 0 {
		return c
	}
	for range n {
		w := &worker{crew: c, ctx: context.Background(), r: rand.New(rand.NewPCG(c.seed, uint64(2+len(c.storm.crews)<<16|len(c.workers))))}
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

// asked are the deeds that -deed asks for.
func asked(list []deed) []deed {
	match := regexp.MustCompile(*onlyDeeds)
	return slices.DeleteFunc(list, func(d deed) bool { return !match.MatchString(d.name) })
}

func (w *worker) work(times int, deeds []deed) {
	defer func() {
		if v := recover(); v != nil { // the process ends: say now what would be lost
			fmt.Fprintf(os.Stderr, "%s: %s: panic: %v\nagain:\n%s\n", w.name, *w.doing.Load(), v, replay(w.seed))
			panic(v)
		}
	}()
	for range times {
		d := &deeds[w.r.IntN(len(deeds))]
		w.doing.Store(&d.name)
		d.do(w)
		w.moves.Add(1)
	}
	w.doing.Store(nil)
}

// drain calls f again and again, once the crews of first are done, until c's
// workers are: it lets go whoever waits rightly, and nobody else.
func (c *crew) drain(f func(), first ...*crew) {
	c.all.Go(func() {
		for c.alive.Load() > 0 {
			if !slices.ContainsFunc(first, func(c *crew) bool { return c.alive.Load() > 0 }) {
				f()
			}
			time.Sleep(50 * time.Microsecond) // lets others run; nothing depends on it
		}
	})
}

// aside runs f, which may panic or end its goroutine, on one of its own.
func (s *storm) aside(f func()) {
	s.all.Go(func() {
		defer func() {
			if v := recover(); v != nil && v != hostile.ErrPanic {
				s.t.Errorf("panic: %v\n%s", v, debug.Stack())
			}
		}()
		f()
	})
}

// rashly is aside, and waits until f is over.
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

// wild panics, or ends the goroutine.
func wild(exit bool) {
	if exit {
		runtime.Goexit()
	}
	panic(hostile.ErrPanic)
}

var errEnd = errors.New("the context's cause")

// until is a context for one call. It ends never, before the call, or at some
// point of it: by a deadline, or by somebody else.
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
		return w.ctx, func() {} // its parent's own channel: a shorter way in tasks
	}
	return ctx, func() { cancel(nil) }
}

// canceled reports whether err is that of a context of until; any other error
// is a fault.
func (w *worker) canceled(err error) bool {
	if err != nil && !errors.Is(err, errEnd) {
		w.t.Errorf("%s: %v", *w.doing.Load(), err)
	}
	return err != nil
}

// pause lets others run.
func (w *worker) pause() {
	if t := uringwake.TaskFrom(w.ctx); t != nil {
		t.Yield()
	} else {
		runtime.Gosched()
	}
}

// A bell is a waker that is woken once, or stopped.
type bell struct {
	rung    atomic.Int32
	stopped bool
}

func (b *bell) Wake() { b.rung.Add(1) }

var _ wake.Waker = new(bell)

// bells are those that were hung up, and what else is to be looked at in the
// end.
type bells struct {
	mu   sync.Mutex
	list []*bell
	then []func()
}

func (bs *bells) add(b *bell, then func()) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.list, bs.then = append(bs.list, b), append(bs.then, then)
}

// check enters all bells in b, when none of them is in line any more; the wakes
// of the last may be under way.
func (bs *bells) check(s *storm, b *book) {
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

// weather makes things hard until the round is over: collections, stops of the
// world, other numbers of processors, and delays where the build has points.
func (s *storm) weather() (clear func()) {
	r := rand.New(rand.NewPCG(s.seed, 2))
	calm := yield.Shake(s.seed, true)
	procs := runtime.GOMAXPROCS(0)
	over := make(chan struct{})
	var gone sync.WaitGroup
	gone.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Duration(r.IntN(5000)) * time.Microsecond):
				gust(r)
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

func gust(r *rand.Rand) {
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

// join waits for all workers. If for very long nothing happens, some of them
// wait for what will not come.
func (s *storm) join() {
	over := make(chan struct{})
	go func() { s.all.Wait(); close(over) }()
	for {
		before := s.moves.Load()
		select {
		case <-over:
			return
		case <-time.After(*patience):
			if s.moves.Load() == before {
				s.t.Fatalf("for %v nothing has happened:\n%s%s", *patience, s.stuck(), stacks())
			}
		}
	}
}

// stuck says what those do who are not done.
func (s *storm) stuck() string {
	n := make(map[string]int)
	for _, c := range s.crews {
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

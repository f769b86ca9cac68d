package soak_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// waiters are many waiters of one kind that wait at the same time.
type waiters struct {
	name  string
	limit float64 // bytes of each: as measured or required, plus up to 15 %
	kind  waiterKind
	// gather starts n of them and returns when all are in line. After release all
	// have left.
	gather func(t *testing.T, n int) (release func())
}

type waiterKind int

const (
	things     waiterKind = iota // including 8 bytes of the test
	goroutines                   // without the cost of a sleeping goroutine; their stacks may have grown
	tasks                        // in total: stack, descriptor and waiter
)

var bg = context.Background()

var waiterKinds = []waiters{
	{"Future, a key each", 180, things, func(t *testing.T, n int) func() {
		m, futures := new(waitmap.Map[int, int]), make([]*waitmap.Future[int], n)
		for i := range futures {
			futures[i] = m.Register(i, nil)
		}
		return func() { require.Equal(t, n, m.CancelAll()); runtime.KeepAlive(futures) }
	}},
	{"Future, of one key", 175, things, func(t *testing.T, n int) func() {
		m, futures := new(waitmap.Map[int, int]), make([]*waitmap.Future[int], n)
		for i := range futures {
			futures[i] = m.Register(1, nil)
		}
		return func() { require.Equal(t, n, m.CancelAll()); runtime.KeepAlive(futures) }
	}},
	{"Listener", 138, things, func(t *testing.T, n int) func() {
		w, listeners := new(notify.Notify), make([]*notify.Listener, n)
		for i := range listeners {
			listeners[i] = w.Listen()
		}
		return func() { require.Equal(t, n, w.NotifyWaiters()); runtime.KeepAlive(listeners) }
	}},
	{"registration with a Group", 73, things, func(t *testing.T, n int) func() {
		var g waitgroup.Group
		g.Add(1)
		for range n {
			g.Register(noWaker{})
		}
		return g.Done
	}},
	{"Map.Wait, a key each", 370, goroutines, func(t *testing.T, n int) func() {
		var m waitmap.Map[int, int]
		return sleepers(n, func(i int) { m.Wait(bg, i) }, func() { m.CancelAll() })
	}},
	{"Map.Wait, of one key", 340, goroutines, func(t *testing.T, n int) func() {
		var m waitmap.Map[int, int]
		return sleepers(n, func(int) { m.Wait(bg, 1) }, func() { m.Store(1, 1) })
	}},
	{"Map.Take, of one key", 355, goroutines, func(t *testing.T, n int) func() {
		var m waitmap.Map[int, int]
		return sleepers(n, func(int) { m.Take(bg, 1) }, func() { m.CancelAll() })
	}},
	{"Notify.Wait", 215, goroutines, func(t *testing.T, n int) func() {
		var w notify.Notify
		return sleepers(n, func(int) { w.Wait(bg) }, func() { w.NotifyWaiters() })
	}},
	{"Group.Wait", 218, goroutines, func(t *testing.T, n int) func() {
		var g waitgroup.Group
		g.Add(1)
		return sleepers(n, func(int) { g.Wait(bg) }, g.Done)
	}},
	{"dedup.Group.Do, joined", 154, goroutines, func(t *testing.T, n int) func() {
		var g dedup.Group[int, int]
		gate := make(chan struct{})
		load := func(context.Context) (int, error) { <-gate; return 1, nil }
		return sleepers(n, func(int) { g.Do(bg, 1, load) }, func() { close(gate) })
	}},
	{"task in Park", 3400, tasks, func(t *testing.T, n int) func() {
		return looped(t, n, func(ctx context.Context) { uringwake.TaskFrom(ctx).Park(ctx) },
			func(s uringwake.LoopStats) bool { return s.Tasks == n })
	}},
	{"task in Map.Wait", 3500, tasks, func(t *testing.T, n int) func() {
		var m waitmap.Map[uint64, int]
		return looped(t, n, func(ctx context.Context) { m.Wait(ctx, uringwake.TaskFrom(ctx).ID()) },
			func(s uringwake.LoopStats) bool { return s.Tasks == n })
	}},
	{"task with an operation in flight", 3500, tasks, func(t *testing.T, n int) func() {
		return looped(t, n, func(ctx context.Context) { uringwake.Sleep(ctx, time.Hour) },
			func(s uringwake.LoopStats) bool { return s.InFlight == n })
	}},
}

type noWaker struct{}

func (noWaker) Wake() {}

// sleepers starts n goroutines that run f and sleep in it until release.
func sleepers(n int, f func(i int), end func()) (release func()) {
	var all sync.WaitGroup
	var started atomic.Int64
	for i := range n {
		all.Go(func() { started.Add(1); f(i) })
	}
	for started.Load() < int64(n) || awake() > 1 {
		runtime.Gosched()
	}
	return func() { end(); all.Wait() }
}

// awake returns how many goroutines run or could run, including the caller.
func awake() uint64 {
	s := []metrics.Sample{{Name: "/sched/goroutines/running:goroutines"}, {Name: "/sched/goroutines/runnable:goroutines"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64()
}

// looped starts n tasks of a loop, which run f and sleep in it until the loop is
// closed.
func looped(t *testing.T, n int, f func(ctx context.Context), all func(uringwake.LoopStats) bool) (release func()) {
	if err := uringwake.Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	l, err := uringwake.NewLoop(nil)
	require.NoError(t, err)
	for range n {
		require.NoError(t, l.Go(bg, f))
	}
	for !all(l.Stats()) {
		runtime.Gosched()
	}
	return func() { require.NoError(t, l.Close(bg)) }
}

// footprint returns the size of heap and stacks.
func footprint() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// each returns the cost of one of n waiters, and how much of it is left after they
// have ended.
func each(t *testing.T, n int, gather func(t *testing.T, n int) func()) (bytes, left float64) {
	before := footprint()
	release := gather(t, n)
	most := footprint()
	release()
	return float64(most-before) / float64(n), float64(footprint()-before) / float64(n)
}

const bytesChild = "VIGIL_SOAK_BYTES"

// inFreshProcess runs the test in a process without earlier goroutines, in which
// the runtime does not choose the size of new stacks by the size of old ones.
func inFreshProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestBytes$", "-test.v", fmt.Sprintf("-test.short=%t", testing.Short()))
	// With several processors, contention for a lock would grow stacks.
	cmd.Env = append(os.Environ(), bytesChild+"=1", "GODEBUG=adaptivestackstart=0", "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
}

// TestBytes checks the cost of each kind of waiter with very many in line at the
// same time. The cost includes the free room in tables.
func TestBytes(t *testing.T) {
	if testkit.Race || unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the bytes are those of 64 bits without the race detector")
	}
	if os.Getenv(bytesChild) == "" {
		inFreshProcess(t)
		return
	}
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	sleep := func(_ *testing.T, n int) func() {
		gate := make(chan struct{})
		return sleepers(n, func(int) { <-gate }, func() { close(gate) })
	}
	_, descriptor := each(t, n, sleep) // the runtime keeps it for the next goroutine
	goroutine, _ := each(t, n, sleep)
	t.Logf("a goroutine that sleeps: %.0f bytes, and %.0f for good", goroutine, descriptor)
	// Stacks are allocated in spans, and each processor keeps some, so the result
	// may be off by a megabyte.
	noise := float64(1<<20) / float64(n)
	bytes := make(map[string]float64)
	for _, c := range waiterKinds {
		t.Run(c.name, func(t *testing.T) {
			b, _ := each(t, n, c.gather)
			switch c.kind {
			case goroutines:
				b -= goroutine
			case tasks:
				b += descriptor
			}
			t.Logf("%.0f bytes, of at most %.0f", b, c.limit)
			assert.LessOrEqual(t, b, c.limit+noise)
			bytes[c.name] = b
		})
	}
	operation := bytes["task with an operation in flight"] - bytes["task in Park"]
	t.Logf("an operation in flight, beyond its task: %.0f bytes, of at most %d", operation, operationLimit)
	assert.LessOrEqual(t, operation, operationLimit+noise)
}

const operationLimit = 260

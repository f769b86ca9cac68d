package rows

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
)

func uringLockRow() Row {
	return Row{
		Name:  "uring/lock",
		Title: "Locks and queues between tasks of one loop, and between goroutines",
		About: "mutex: ping-pong by Unlock and Lock of two mutexes, each of which is locked until the other side unlocks it; time is per " +
			"hand-over. queue: ping-pong over two queues of one. held: eight share a mutex and let others run while they hold " +
			"it, goroutines by runtime.Gosched and tasks by Yield; time is per Lock and Unlock. Tasks wait under their own context.",
		Base: amongGoroutines,
		jobs: func(set *Settings) []Job {
			return []Job{
				uringLockJob(set, Cell{Name: "mutex", Unit: "ns/hand-over"}, handsBy(func() underTable { return newMutexWaits(context.Background()) },
					pingPong(syncMutex, func() table { return newSyncMutexes() }))),
				uringLockJob(set, Cell{Name: "queue", Unit: "ns/hand-over"}, handsBy(func() underTable { return newQueueWaits(context.Background()) },
					pingPong("channel", func() table { return newChannels(1) }))),
				uringLockJob(set, Cell{Name: "held", Unit: "ns/op"}, heldBy),
			}
		},
	}
}

const (
	amongGoroutines = "vigil goroutines"
	amongTasks      = "vigil tasks"
)

func uringLockJob(set *Settings, cell Cell, subjects func(ctx context.Context) []measure.Subject) Job {
	cell.Procs = set.headline()
	job := sideBySide(set, cell, subjects)
	measured := job.run
	job.run = func() ([]measure.Series, []string) {
		series, notes := measured()
		for _, goroutines := range []string{amongGoroutines, amongGoroutines + andCancel} {
			times := measure.Compare(find(series, goroutines).Values, find(series, amongTasks).Values)
			notes = append(notes, goalAtLeast(goroutines+" / tasks", times.OfMedians, 3))
		}
		return series, notes
	}
	return job
}

// An underTable is a table of which each side waits under a context of its own.
type underTable interface {
	table
	under(side int, ctx context.Context)
}

func handsBy(open func() underTable, rival measure.Subject) func(context.Context) []measure.Subject {
	return func(ctx context.Context) []measure.Subject {
		return []measure.Subject{
			rival,
			{Name: amongGoroutines, Run: func(slice time.Duration) measure.Sample {
				return handOver(open(), slice, goroutineUnder(context.Background()))
			}},
			{Name: amongGoroutines + andCancel, Run: func(slice time.Duration) measure.Sample {
				return handOver(open(), slice, goroutineUnder(ctx))
			}},
			{Name: amongTasks, Run: func(slice time.Duration) measure.Sample {
				l := newLoop(nil)
				defer closeLoop(l)
				return handOver(open(), slice, loopRunner(l))
			}},
		}
	}
}

func goroutineUnder(ctx context.Context) runner {
	return func(body func(ctx context.Context)) { go body(ctx) }
}

// handOver is exchange between two that start runs.
func handOver(t underTable, slice time.Duration, start runner) measure.Sample {
	rounds := max(int(slice/time.Microsecond), 10)
	answered, led := make(chan struct{}, 1), make(chan measure.Sample, 1) // a task must not block
	start(func(ctx context.Context) {
		t.under(0, ctx)
		for i := range rounds {
			t.receive(i, 0)
			t.send(i, 1)
		}
		answered <- struct{}{}
	})
	start(func(ctx context.Context) {
		t.under(1, ctx)
		led <- measure.Once(2*rounds, func() {
			for i := range rounds {
				t.send(i, 0)
				t.receive(i, 1)
			}
		})
	})
	<-answered
	return <-led
}

// syncMutexes are locked until they are unlocked to send.
type syncMutexes [2]*sync.Mutex

func newSyncMutexes() *syncMutexes {
	t := &syncMutexes{new(sync.Mutex), new(sync.Mutex)}
	t[0].Lock()
	t[1].Lock()
	return t
}

func (t *syncMutexes) send(_, side int)    { t[side].Unlock() }
func (t *syncMutexes) receive(_, side int) { t[side].Lock() }
func (t *syncMutexes) close()              {}

// holders is how many share a mutex that is held while others run.
const holders = 8

func heldBy(ctx context.Context) []measure.Subject {
	return []measure.Subject{
		{Name: syncMutex, Run: func(slice time.Duration) measure.Sample {
			return heldLock(slice, goroutineUnder(context.Background()), holdSync)
		}},
		{Name: amongGoroutines, Run: func(slice time.Duration) measure.Sample {
			return heldLock(slice, goroutineUnder(context.Background()), holdMutex)
		}},
		{Name: amongGoroutines + andCancel, Run: func(slice time.Duration) measure.Sample {
			return heldLock(slice, goroutineUnder(ctx), holdMutex)
		}},
		{Name: amongTasks, Run: func(slice time.Duration) measure.Sample {
			l := newLoop(nil)
			defer closeLoop(l)
			return heldLock(slice, loopRunner(l), holdMutex)
		}},
	}
}

// heldLock has all holders lock until there have been so many operations in all. None
// ends much before the others. Hold makes the lock.
func heldLock(slice time.Duration, start runner, hold func(left int) (body func(ctx context.Context))) measure.Sample {
	ops := max(int(slice/time.Microsecond), 10)
	ended := make(chan struct{}, holders)
	body := hold(ops)
	return measure.Once(ops, func() {
		for range holders {
			start(func(ctx context.Context) { body(ctx); ended <- struct{}{} })
		}
		for range holders {
			<-ended
		}
	})
}

func holdSync(left int) func(context.Context) {
	g := &guarded[sync.Mutex]{n: left}
	return func(ctx context.Context) {
		yield := yieldUnder(ctx)
		for over := false; !over; {
			g.lock.Lock()
			yield()
			g.n--
			over = g.n < 0
			g.lock.Unlock()
		}
	}
}

func holdMutex(left int) func(context.Context) {
	g := &guarded[await.Mutex]{n: left}
	return func(ctx context.Context) {
		yield := yieldUnder(ctx)
		for over := false; !over; {
			mustNot(g.lock.Lock(ctx))
			yield()
			g.n--
			over = g.n < 0
			g.lock.Unlock()
		}
	}
}

// yieldUnder returns how the code under ctx lets others run.
func yieldUnder(ctx context.Context) func() {
	if task := uringwake.TaskFrom(ctx); task != nil {
		return task.Yield
	}
	return runtime.Gosched
}

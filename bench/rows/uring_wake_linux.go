package rows

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/bench/floor"
	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
)

func wakeRow() Row {
	return Row{
		Name:  "uring/wake",
		Title: "A goroutine wakes tasks of a loop",
		About: "Awake: a task keeps the loop awake, 256 others are parked, and a goroutine wakes them one after the other; only " +
			"its calls are timed. Asleep: the loop has been blocked in the kernel for 50 or 500 microseconds; the waker's own call, " +
			"and the time from before it until the task runs, medians. C does the same with the same doorbell and nothing in " +
			"between. Both threads are pinned, to the same processor or each to its own.",
		jobs: func(set *Settings) []Job {
			jobs := []Job{awakeJob(set)}
			for _, bell := range []string{eventFD, msgRing} {
				for _, place := range []string{onSame, onOther} {
					for _, rest := range Rests() {
						jobs = append(jobs, asleepJob(set, BellCase{bell, asleep, byGoroutine, place, rest}))
					}
				}
			}
			return jobs
		},
	}
}

func awakeJob(set *Settings) Job {
	return Job{
		Cell: Cell{Name: awake, Procs: set.headline(), Unit: "ns/wake"},
		run: func() ([]measure.Series, []string) {
			series := measure.Interleave([]measure.Subject{{Name: "vigil Wake", Run: wakeAwake}}, set.Rounds, set.Slice)
			return series, []string{goal("ns a wake of an awake loop", series[0].Median(), 100)}
		},
	}
}

// wakeAwake adds up the time of the calls alone.
func wakeAwake(slice time.Duration) measure.Sample {
	l := newLoop(nil)
	defer closeLoop(l)
	c := newParkedTasks(l, 256)
	spent, n := int64(0), 0
	for start := nanos(); n == 0 || nanos()-start < int64(slice); {
		c.awaitParked()
		begin := nanos()
		for _, t := range c.tasks {
			t.Wake()
		}
		spent += nanos() - begin
		n += len(c.tasks)
	}
	c.end()
	return measure.Sample{Value: float64(spent) / float64(n)}
}

// parkedTasks are tasks that park repeatedly, on a loop that is kept awake.
type parkedTasks struct {
	loop  *uringwake.Loop
	tasks []*uringwake.Task
	parks atomic.Int64 // in total
	want  int64
	over  atomic.Bool
	left  chan struct{}
}

func newParkedTasks(l *uringwake.Loop, n int) *parkedTasks {
	c := &parkedTasks{loop: l, tasks: make([]*uringwake.Task, n), left: make(chan struct{}, n+1)}
	for i := range n {
		mustNot(l.Go(context.Background(), func(ctx context.Context) {
			c.tasks[i] = uringwake.TaskFrom(ctx)
			for !c.over.Load() {
				c.parks.Add(1)
				mustNot(c.tasks[i].Park(ctx))
			}
			c.left <- struct{}{}
		}))
	}
	mustNot(l.Go(context.Background(), func(ctx context.Context) {
		for !c.over.Load() {
			uringwake.TaskFrom(ctx).Yield()
		}
		c.left <- struct{}{}
	}))
	return c
}

// awaitParked returns when all tasks have parked once more.
func (c *parkedTasks) awaitParked() {
	for c.want += int64(len(c.tasks)); c.parks.Load() < c.want; {
	}
	postAndWait(c.loop, func() {}) // the last one has left the thread
}

func (c *parkedTasks) end() {
	c.awaitParked()
	c.over.Store(true)
	for _, t := range c.tasks {
		t.Wake()
	}
	for range cap(c.left) {
		<-c.left
	}
}

func asleepJob(set *Settings, c BellCase) Job {
	return Job{
		Cell: Cell{Name: fmt.Sprintf("%s/%s/%s/%dus", c.Target, c.Doorbell, c.Place, c.Rest.Microseconds()), Procs: set.headline(), Unit: "ns"},
		run: func() (series []measure.Series, notes []string) {
			if _, err := c.Run(0); errors.Is(err, errors.ErrUnsupported) {
				return []measure.Series{{Name: "vigil call"}}, []string{err.Error()}
			}
			meters := []meter{{"vigil", []string{"call", "p50"}, func(d time.Duration) []float64 {
				s, err := c.Run(d)
				mustNot(err)
				return []float64{s.Call, s.P50}
			}}}
			proc, missing := startFloor("wake", floorBell(c.Doorbell), c.Target, c.Place, fmt.Sprint(c.Rest.Microseconds()))
			if missing != nil {
				return interleaveMeters(meters, set.Rounds, set.Slice), []string{missing.Error()}
			}
			defer func() { mustNot(proc.Close()) }()
			series = interleaveMeters(append(meters, wakeInC(proc)), set.scaled(max(set.Rounds, 7), 1), set.Slice)
			return series, []string{besideC(series, "p50"), besideC(series, "call")}
		},
	}
}

func floorBell(doorbell string) string {
	if doorbell == msgRing {
		return "send_msg_ring" // as a goroutine, which has no ring of its own
	}
	return doorbell
}

func wakeInC(proc *floor.Proc) meter {
	return meter{"C", []string{"call", "p50"}, func(d time.Duration) []float64 {
		r, err := proc.RunFor(d)
		mustNot(err)
		return []float64{r.Call, r.P50}
	}}
}

func besideC(series []measure.Series, figure string) string {
	times := measure.Compare(find(series, "vigil "+figure).Values, find(series, "C "+figure).Values)
	what := fmt.Sprintf("%s, vigil / C (per round %.3g)", figure, times.PerRound)
	return goal(what, times.OfMedians, 1.15)
}

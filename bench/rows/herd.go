package rows

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
)

func herdRow() Row {
	return Row{
		Name:  "herd",
		Title: "One call wakes ten thousand and more",
		About: "All sleep on one thing and are released by one call: NotifyWaiters, the last Done, close, Broadcast. \"All ran\" " +
			"is from the call until the last has run, over their number: linear work costs each the same, however many they " +
			"are. \"p99.9\" is how late after the call the latest but a thousandth runs, with each reading the clock. The " +
			"collector is off meanwhile. Who is cancelable, or selects, waits under one context that can be canceled.",
		Base: "close a channel",
		jobs: func(set *Settings) []Job {
			var jobs []Job
			for _, kind := range []struct {
				name, unit string
				subject    func(*herd) measure.Subject
			}{{"all ran", "ns/waiter", allRan}, {"p99.9", "us", latest}} {
				for _, n := range herdSizes(set) {
					cell := Cell{Name: kind.name + "/" + short(n), Unit: kind.unit}
					jobs = append(jobs, herdJobs(set, cell, n, kind.subject)...)
				}
			}
			return jobs
		},
	}
}

// million is a size that needs Settings.Million.
const million = 1_000_000

func herdSizes(set *Settings) []int {
	sizes := []int{set.scaled(10_000, 100), set.scaled(100_000, 1000)}
	if set.Million && !set.Quick {
		sizes = append(sizes, million)
	}
	return sizes
}

// herdJobs are under each GOMAXPROCS, a million only under one and in three
// rounds: gathering it takes seconds.
func herdJobs(set *Settings, cell Cell, n int, subject func(*herd) measure.Subject) []Job {
	if n == million {
		set = set.alone()
		set.Rounds = min(set.Rounds, 3)
	}
	var jobs []Job
	for _, cell.Procs = range set.Procs {
		jobs = append(jobs, Job{Cell: cell, run: func() ([]measure.Series, []string) {
			return herdSeries(set, n, subject)
		}})
	}
	return jobs
}

func herdSeries(set *Settings, n int, subject func(*herd) measure.Subject) ([]measure.Series, []string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := herds(ctx, n)
	subjects := make([]measure.Subject, len(all))
	for i, h := range all {
		subjects[i] = subject(h)
	}
	return measure.Interleave(subjects, set.Rounds, set.Slice), []string{wakeNote(all)}
}

// A herd is a crowd of n that is counted.
type herd struct {
	name    string
	n       int
	open    func() crowd
	waiters int // of all releases so far
	once    int // those of them who were woken once
}

func herds(ctx context.Context, n int) []*herd {
	background := context.Background()
	list := []*herd{
		{name: "close a channel", open: closeCrowd},
		{name: "close a channel, select", open: func() crowd { return selectCrowd(ctx) }},
		{name: "sync.Cond", open: condCrowd},
		{name: "vigil Notify", open: func() crowd { return notifyCrowd(background, n) }},
		{name: "vigil Notify, cancelable", open: func() crowd { return notifyCrowd(ctx, n) }},
		{name: "vigil Group", open: func() crowd { return groupCrowd(background) }},
		{name: "vigil Group, cancelable", open: func() crowd { return groupCrowd(ctx) }},
	}
	for _, h := range list {
		h.n = n
	}
	return list
}

// wakeNote tells how many were woken exactly once, and names who failed at it.
func wakeNote(all []*herd) string {
	once, waiters, failed := 0, 0, ""
	for _, h := range all {
		once, waiters = once+h.once, waiters+h.waiters
		if h.once != h.waiters {
			failed += fmt.Sprintf("; of %s %d of %d", h.name, h.once, h.waiters)
		}
	}
	return fmt.Sprintf("%d of %d waiters woken exactly once, as NotifyWaiters counted its own%s", once, waiters, failed)
}

// gather opens a crowd whose wakes are counted.
func (h *herd) gather() crowd {
	c := h.open()
	woken := make([]uint32, h.n)
	wait, check := c.wait, c.check
	c.wait = func(i int) {
		wait(i)
		woken[i]++
	}
	c.check = func() {
		if check != nil {
			check()
		}
		h.waiters += h.n
		for _, times := range woken {
			if times == 1 {
				h.once++
			}
		}
	}
	if c.inLine == nil {
		c.inLine = measure.Asleep
	}
	return c
}

// allRan measures until the last has run.
func allRan(h *herd) measure.Subject { return fanoutUncollected(h.name, h.n, h.gather) }

// latest measures how late the latest but a thousandth run, in microseconds.
func latest(h *herd) measure.Subject {
	return measure.Subject{Name: h.name, Run: func(slice time.Duration) measure.Sample {
		var late [][]float64
		fanoutUncollected(h.name, h.n, func() crowd {
			late = append(late, make([]float64, h.n))
			return h.gather().timed(late[len(late)-1])
		}).Run(slice)
		return measure.Sample{Value: measure.Quantile(slices.Concat(late...), 0.999)}
	}}
}

// timed is a crowd that also notes how long after the release each ran.
func (c crowd) timed(late []float64) crowd {
	var start time.Time
	wait, release := c.wait, c.release
	c.wait = func(i int) {
		wait(i)
		late[i] = float64(time.Since(start).Nanoseconds()) / 1e3
	}
	c.release = func() {
		start = time.Now()
		release()
	}
	return c
}

// fanoutUncollected is fanout without a collection: one that begins while the
// crowd gathers has all its stacks to scan when it is released.
func fanoutUncollected(name string, n int, open func() crowd) measure.Subject {
	subject := fanout(name, n, open)
	run := subject.Run
	subject.Run = func(slice time.Duration) measure.Sample {
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		return run(slice)
	}
	return subject
}

func selectCrowd(ctx context.Context) crowd {
	c := make(chan struct{})
	return crowd{
		wait: func(int) {
			select {
			case <-c:
			case <-ctx.Done():
				panic(ctx.Err())
			}
		},
		release: func() { close(c) },
	}
}

func notifyCrowd(ctx context.Context, n int) crowd {
	var w notify.Notify
	return crowd{
		wait:   func(int) { mustNot(w.Wait(ctx)) },
		inLine: func() bool { return w.Waiters() == n },
		release: func() {
			if told := w.NotifyWaiters(); told != n {
				panic(fmt.Sprintf("%d waited, NotifyWaiters woke %d", n, told))
			}
		},
		check: func() {
			if w.Waiters() != 0 || w.TryWait() {
				panic("a waiter or a permit is left")
			}
		},
	}
}

func groupCrowd(ctx context.Context) crowd {
	var g waitgroup.Group
	g.Add(1)
	return crowd{
		wait:    func(int) { mustNot(g.Wait(ctx)) },
		release: g.Done,
	}
}

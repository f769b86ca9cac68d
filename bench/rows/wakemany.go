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

func wakeManyRow() Row {
	return Row{
		Name:  "herd",
		Title: "One call wakes ten thousand and more",
		About: "All sleep on one thing and are released by one call: NotifyWaiters, the last Done, close, Broadcast. \"All ran\" " +
			"is from the call until the last has run, over their number: linear work costs each the same, however many they " +
			"are. \"p99.9\" is how late after the call the latest but a thousandth runs, where each waiter reads the clock. The " +
			"collector is off meanwhile. Cancelable waits, and those that select, have one context that can be canceled.",
		Base: "close a channel",
		jobs: func(set *Settings) []Job {
			var jobs []Job
			for _, kind := range []struct {
				name, unit string
				subject    func(*countedEvent) measure.Subject
			}{{"all ran", "ns/waiter", allRan}, {"p99.9", "us", latest}} {
				for _, n := range wakeManySizes(set) {
					cell := Cell{Name: kind.name + "/" + short(n), Unit: kind.unit}
					jobs = append(jobs, wakeManyJobs(set, cell, n, kind.subject)...)
				}
			}
			return jobs
		},
	}
}

// million is a size that needs Settings.Million.
const million = 1_000_000

func wakeManySizes(set *Settings) []int {
	sizes := []int{set.scaled(10_000, 100), set.scaled(100_000, 1000)}
	if set.Million && !set.Quick {
		sizes = append(sizes, million)
	}
	return sizes
}

// wakeManyJobs returns jobs under each GOMAXPROCS. A million is measured under one
// only and in three rounds, because starting it takes seconds.
func wakeManyJobs(set *Settings, cell Cell, n int, subject func(*countedEvent) measure.Subject) []Job {
	if n == million {
		set = set.alone()
		set.Rounds = min(set.Rounds, 3)
	}
	var jobs []Job
	for _, cell.Procs = range set.Procs {
		jobs = append(jobs, Job{Cell: cell, run: func() ([]measure.Series, []string) {
			return wakeManySeries(set, n, subject)
		}})
	}
	return jobs
}

func wakeManySeries(set *Settings, n int, subject func(*countedEvent) measure.Subject) ([]measure.Series, []string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	all := countedEvents(ctx, n)
	subjects := make([]measure.Subject, len(all))
	for i, h := range all {
		subjects[i] = subject(h)
	}
	return measure.Interleave(subjects, set.Rounds, set.Slice), []string{wakeNote(all)}
}

// A countedEvent has n waiters whose wakes are counted.
type countedEvent struct {
	name    string
	n       int
	open    func() event
	waiters int // of all releases so far
	once    int // the waiters among them that were woken once
}

func countedEvents(ctx context.Context, n int) []*countedEvent {
	background := context.Background()
	list := []*countedEvent{
		{name: "close a channel", open: closeEvent},
		{name: "close a channel, select", open: func() event { return selectEvent(ctx) }},
		{name: "sync.Cond", open: condEvent},
		{name: "vigil Notify", open: func() event { return notifyEvent(background, n) }},
		{name: "vigil Notify, cancelable", open: func() event { return notifyEvent(ctx, n) }},
		{name: "vigil Group", open: func() event { return groupEvent(background) }},
		{name: "vigil Group, cancelable", open: func() event { return groupEvent(ctx) }},
	}
	for _, h := range list {
		h.n = n
	}
	return list
}

// wakeNote returns how many waiters were woken exactly once, and the subjects with
// others.
func wakeNote(all []*countedEvent) string {
	once, waiters, failed := 0, 0, ""
	for _, h := range all {
		once, waiters = once+h.once, waiters+h.waiters
		if h.once != h.waiters {
			failed += fmt.Sprintf("; of %s %d of %d", h.name, h.once, h.waiters)
		}
	}
	return fmt.Sprintf("%d of %d waiters woken exactly once, as NotifyWaiters counted its own%s", once, waiters, failed)
}

// counted returns an event whose wakes are counted.
func (h *countedEvent) counted() event {
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

// allRan measures until the last waiter has run.
func allRan(h *countedEvent) measure.Subject { return fanoutUncollected(h.name, h.n, h.counted) }

// latest measures the 99.9th percentile of the waiters' delays, in microseconds.
func latest(h *countedEvent) measure.Subject {
	return measure.Subject{Name: h.name, Run: func(slice time.Duration) measure.Sample {
		var late [][]float64
		fanoutUncollected(h.name, h.n, func() event {
			late = append(late, make([]float64, h.n))
			return h.counted().timed(late[len(late)-1])
		}).Run(slice)
		return measure.Sample{Value: measure.Quantile(slices.Concat(late...), 0.999)}
	}}
}

// timed returns an event that also records how long after the release each waiter
// ran.
func (c event) timed(late []float64) event {
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
// waiters start would have all their stacks to scan when they are released.
func fanoutUncollected(name string, n int, open func() event) measure.Subject {
	subject := fanout(name, n, open)
	run := subject.Run
	subject.Run = func(slice time.Duration) measure.Sample {
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
		return run(slice)
	}
	return subject
}

func selectEvent(ctx context.Context) event {
	c := make(chan struct{})
	return event{
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

func notifyEvent(ctx context.Context, n int) event {
	var w notify.Notify
	return event{
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

func groupEvent(ctx context.Context) event {
	var g waitgroup.Group
	g.Add(1)
	return event{
		wait:    func(int) { mustNot(g.Wait(ctx)) },
		release: g.Done,
	}
}

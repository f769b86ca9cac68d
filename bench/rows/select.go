package rows

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
)

func selectRow() Row {
	return Row{
		Name:  "select",
		Title: "Waiting for one of several things",
		About: "Ping-pong through a select over so many cases, each in turn: the statement over channels of one, reflect.Select " +
			"over them, and await.Select over queues of one, semaphores, mutexes, keys of a map and notifies, whose cases are used again. What is cancelable waits under a " +
			"context that can be canceled: the statement and reflect.Select have another case for it. " +
			"wait: Select over one case next to the wait of that primitive. Time is per hand-over. " +
			"objects: what is allocated per hand-over, which is one Select and one send.",
		Base: "select",
		jobs: func(set *Settings) (jobs []Job) {
			for _, n := range []int{1, 2, 4} {
				jobs = append(jobs, overProcs(set, Cell{Name: fmt.Sprint(n), Unit: "ns/hand-over"}, timed(selects(n)))...)
			}
			wait := Cell{Name: "wait", Unit: "ns/hand-over", Base: "vigil Take"}
			jobs = append(jobs, aiming(overProcs(set, wait, timed(waitsAndSelects)), always(waitAims()...))...)
			for _, n := range []int{1, 2, 4} {
				cell := Cell{Name: fmt.Sprintf("objects/%d", n), Procs: set.headline(), Unit: "objects/hand-over"}
				jobs = append(jobs, objectsJob(set, cell, selects(n)))
			}
			return jobs
		},
	}
}

// A tableMaker makes a table whose waits are under a context that can be canceled.
type tableMaker struct {
	name string
	open func(ctx context.Context) table
}

const (
	selectQueues   = "vigil Select, queues"
	selectSemas    = "vigil Select, semaphores"
	selectMutexes  = "vigil Select, mutexes"
	selectKeys     = "vigil Select, keys"
	selectNotifies = "vigil Select, notifies"
)

func selects(n int) []tableMaker {
	return append([]tableMaker{
		{"select", func(context.Context) table { return selectStatement(n) }},
		{"select" + andCancel, func(ctx context.Context) table { return selectStatementOrDone(ctx, n) }},
	}, bothContexts([]tableMaker{
		{"reflect.Select", func(ctx context.Context) table { return newReflectSelects(ctx, n) }},
		{selectQueues, func(ctx context.Context) table { return newQueueSelects(ctx, n) }},
		{selectSemas, func(ctx context.Context) table { return newSemaSelects(ctx, n) }},
		{selectMutexes, func(ctx context.Context) table { return newMutexSelects(ctx, n) }},
		{selectKeys, func(ctx context.Context) table { return newMapSelects(ctx, n) }},
		{selectNotifies, func(ctx context.Context) table { return newNotifySelects(ctx, n) }},
	})...)
}

// ofOneCase are the primitives' waits and the Selects over one case of them, in pairs.
var ofOneCase = []tableMaker{
	{"vigil Take", func(ctx context.Context) table { return newQueueWaits(ctx) }},
	{"vigil Select, OnTake", func(ctx context.Context) table { return newQueueSelects(ctx, 1) }},
	{"vigil Acquire", func(ctx context.Context) table { return newSemaWaits(ctx) }},
	{"vigil Select, OnAcquire", func(ctx context.Context) table { return newSemaSelects(ctx, 1) }},
	{"vigil Lock", func(ctx context.Context) table { return newMutexWaits(ctx) }},
	{"vigil Select, OnLock", func(ctx context.Context) table { return newMutexSelects(ctx, 1) }},
	{"vigil Take of a key", func(ctx context.Context) table { return newMapWaits(ctx, 1) }},
	{"vigil Select, OnTake of a key", func(ctx context.Context) table { return newMapSelects(ctx, 1) }},
	{"vigil Wait", func(ctx context.Context) table { return newNotifyWaits(ctx) }},
	{"vigil Select, OnNotify", func(ctx context.Context) table { return newNotifySelects(ctx, 1) }},
}

var waitsAndSelects = bothContexts(ofOneCase)

func waitAims() (aims []aim) {
	for i := 0; i < len(ofOneCase); i += 2 {
		wait, one := ofOneCase[i].name, ofOneCase[i+1].name
		aims = append(aims, aim{one, wait, 1.3}, aim{one + andCancel, wait + andCancel, 1.3})
	}
	return aims
}

// bothContexts returns each table under a context that cannot end, and under one that can.
func bothContexts(makers []tableMaker) (both []tableMaker) {
	for _, m := range makers {
		both = append(both,
			tableMaker{m.name, func(context.Context) table { return m.open(context.Background()) }},
			tableMaker{m.name + andCancel, m.open})
	}
	return both
}

func timed(makers []tableMaker) func(context.Context) []measure.Subject {
	return func(ctx context.Context) (subjects []measure.Subject) {
		for _, m := range makers {
			subjects = append(subjects, pingPong(m.name, func() table { return m.open(ctx) }))
		}
		return subjects
	}
}

// mostObjects is how many objects a Select of up to four cases may allocate.
const mostObjects = 1

// objectsJob counts what ping-pong allocates.
func objectsJob(set *Settings, cell Cell, makers []tableMaker) Job {
	return Job{Cell: cell, run: func() (series []measure.Series, notes []string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var subjects []measure.Subject
		for _, m := range makers {
			subjects = append(subjects, measure.Subject{Name: m.name, Run: func(slice time.Duration) measure.Sample {
				return allocations(m.open(ctx), max(int(slice/time.Microsecond), 1000))
			}})
		}
		series = measure.Interleave(subjects, min(set.Rounds, 3), set.Slice)
		for _, name := range []string{selectQueues, selectSemas, selectMutexes, selectKeys, selectNotifies} {
			for _, name := range []string{name, name + andCancel} {
				s := find(series, name)
				notes = append(notes, goal(fmt.Sprintf("objects a Select, %s (%.3g bytes)", name, s.Alloc), s.Median(), mostObjects))
			}
		}
		return series, notes
	}}
}

// allocations counts the objects and bytes of a hand-over. What the first hand-overs
// allocate for all later ones is not counted, as far as no collection drops it.
func allocations(t table, rounds int) measure.Sample {
	defer t.close()
	exchange(t, rounds/10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	exchange(t, rounds)
	runtime.ReadMemStats(&after)
	n := float64(2 * rounds)
	return measure.Sample{Value: float64(after.Mallocs-before.Mallocs) / n, Alloc: float64(after.TotalAlloc-before.TotalAlloc) / n}
}

package rows

import (
	"context"
	"fmt"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
	"github.com/vigil-go/vigil/waitmap"
)

func waitRow() Row {
	return Row{
		Name:  "wait",
		Title: "Wait on a key that is there",
		About: "Wait against Load on the same map and keys, under a context that never ends and under one that can be canceled.",
		Base:  "Load",
		jobs: func(set *Settings) []Job {
			var jobs []Job
			for _, s := range []size{set.small(), set.large()} {
				jobs = append(jobs, waitJobs(set, "int/"+s.name, s.n, rivals.IntKeys)...)
				jobs = append(jobs, waitJobs(set, "str/"+s.name, s.n, rivals.StringKeys)...)
			}
			return jobs
		},
	}
}

func waitJobs[K rivals.Key](set *Settings, name string, n int, makeKeys func(int) []K) []Job {
	var jobs []Job
	for _, procs := range set.Procs {
		jobs = append(jobs, Job{
			Cell: Cell{Name: name, Procs: procs, Unit: "ns/op"},
			run:  func() ([]measure.Series, []string) { return waitSeries(set, makeKeys(n), procs) },
		})
	}
	return jobs
}

func waitSeries[K rivals.Key](set *Settings, keys []K, procs int) ([]measure.Series, []string) {
	m := waitmap.New[K, int](nil)
	for i, key := range keys {
		m.Store(key, i)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type loop = func(w *rivals.Worker[K, int])
	series := measure.Interleave([]measure.Subject{
		loops("Load", keys, procs, loop(func(w *rivals.Worker[K, int]) { rivals.LoadAll(m, w, rivals.Batch) })),
		loops("Wait", keys, procs, loop(func(w *rivals.Worker[K, int]) {
			rivals.WaitAll(context.Background(), m, w, rivals.Batch)
		})),
		loops("Wait, cancelable", keys, procs, loop(func(w *rivals.Worker[K, int]) {
			rivals.WaitAll(ctx, m, w, rivals.Batch)
		})),
	}, set.Rounds, set.Slice)
	return series, allocNotes(series)
}

// loops is a subject whose workers run batch over the keys.
func loops[K rivals.Key](name string, keys []K, procs int, batch func(*rivals.Worker[K, int])) measure.Subject {
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		workers := make([]*rivals.Worker[K, int], procs)
		for i := range workers {
			workers[i] = rivals.NewWorker(i, keys, rivals.IntValues(), 100)
		}
		return measure.Slice(procs, slice, func(i int) int {
			batch(workers[i])
			return rivals.Batch
		})
	}}
}

// allocNotes returns which subjects allocated. Below half a byte per operation it
// is the measurement that allocates.
func allocNotes(series []measure.Series) []string {
	var notes []string
	for _, s := range series {
		if s.Alloc >= 0.5 {
			notes = append(notes, fmt.Sprintf("%s allocates %.1f bytes/op", s.Name, s.Alloc))
		}
	}
	return notes
}

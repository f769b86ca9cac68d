package rows

import (
	"runtime"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
)

func mapRow() Row {
	return Row{
		Name:  "map",
		Title: "Loads and stores",
		About: "Keys drawn evenly from those the map was filled with. Of what is not a read, half stores and half " +
			"deletes, and before that a random half of the keys is deleted: the state such a mix settles in. " +
			"Time is wall time over the operations of all workers.",
		jobs: func(set *Settings) []Job {
			var jobs []Job
			for _, s := range []size{set.small(), set.large()} {
				jobs = append(jobs, newBed(set, s.n, rivals.IntKeys).jobs("int/"+s.name, mixes)...)
				jobs = append(jobs, newBed(set, s.n, rivals.StringKeys).jobs("str/"+s.name, mixes)...)
			}
			return jobs
		},
	}
}

func newBed[K rivals.Key](set *Settings, n int, keys func(int) []K) *bed[K, int] {
	return &bed[K, int]{set: set, n: n, makers: makers[K, int](set), makeKey: keys, vals: rivals.IntValues()}
}

func insertRow() Row {
	return Row{
		Name:  "insert",
		Title: "Fresh inserts",
		About: "An empty map without a hint of its size is filled; each worker stores a share of the keys that no other stores.",
		jobs: func(set *Settings) []Job {
			s := set.large()
			return append(insertJobs(set, "int/"+s.name, s.n, rivals.IntKeys),
				insertJobs(set, "str/"+s.name, s.n, rivals.StringKeys)...)
		},
	}
}

func insertJobs[K rivals.Key](set *Settings, name string, n int, makeKeys func(int) []K) []Job {
	var jobs []Job
	for _, procs := range set.Procs {
		jobs = append(jobs, Job{
			Cell: Cell{Name: name, Procs: procs, Unit: "ns/insert"},
			run: func() ([]measure.Series, []string) {
				return insertSeries(set, makeKeys(n), procs), nil
			},
		})
	}
	return jobs
}

func insertSeries[K rivals.Key](set *Settings, keys []K, procs int) []measure.Series {
	var subjects []measure.Subject
	vals := rivals.IntValues()
	for _, maker := range makers[K, int](set) {
		if maker.ReadOnly {
			continue
		}
		subjects = append(subjects, measure.Subject{Name: maker.Name, Run: func(time.Duration) measure.Sample {
			runtime.GC()
			m := maker.New(0)
			return measure.Once(len(keys), func() {
				measure.Parallel(procs, func(w int) {
					m.Fill(keys[w*len(keys)/procs:(w+1)*len(keys)/procs], vals)
				})
			})
		}})
	}
	return measure.Interleave(subjects, set.Rounds, set.Slice)
}

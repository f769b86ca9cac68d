package rows

import (
	"runtime"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
)

func memoryRow() Row {
	return Row{
		Name:  "memory",
		Title: "Bytes per entry",
		About: "Live heap after two collections, before and after the map is filled by one goroutine, over the entries. " +
			"The keys' own bytes exist before and are not counted. Tables grow in jumps, so several sizes are shown.",
		jobs: func(set *Settings) []Job {
			var jobs []Job
			for _, n := range set.sweep() {
				jobs = append(jobs, memoryJob(set, "int/"+short(n), n, rivals.IntKeys, rivals.IntValues()))
			}
			for _, n := range set.sweep() {
				jobs = append(jobs, memoryJob(set, "str/"+short(n), n, rivals.StringKeys, rivals.IntValues()))
			}
			n := set.large().n
			return append(jobs,
				memoryJob(set, "int→string/"+short(n), n, rivals.IntKeys, stringValues()),
				memoryJob(set, "int→[4]int64/"+short(n), n, rivals.IntKeys, wideValues()),
				memoryJob(set, "int→*T/"+short(n), n, rivals.IntKeys, pointerValues()))
		},
	}
}

func (set *Settings) sweep() []int {
	if set.Quick {
		return []int{10_000, 20_000, 30_000}
	}
	return []int{100_000, 200_000, 300_000, 500_000, 700_000, 1_000_000, 1_500_000, 2_000_000}
}

// memoryJob fills one map after another, once, because sizes do not vary between
// rounds.
func memoryJob[K rivals.Key, V any](set *Settings, name string, n int, makeKeys func(int) []K, vals []V) Job {
	return Job{
		Cell: Cell{Name: name, Procs: set.headline(), Unit: "bytes/entry"},
		run: func() ([]measure.Series, []string) {
			keys := makeKeys(n)
			var subjects []measure.Subject
			for _, maker := range makers[K, V](set) {
				if !maker.ReadOnly {
					subjects = append(subjects, sizeOf(maker, keys, vals))
				}
			}
			return measure.Interleave(subjects, 1, 0), nil
		},
	}
}

func sizeOf[K rivals.Key, V any](maker rivals.Maker[K, V], keys []K, vals []V) measure.Subject {
	return measure.Subject{Name: maker.Name, Run: func(time.Duration) measure.Sample {
		before := measure.Live()
		m := maker.New(0)
		m.Fill(keys, vals)
		after := measure.Live()
		runtime.KeepAlive(m)
		runtime.KeepAlive(keys)
		return measure.Sample{Value: measure.Growth(before, after, len(keys))}
	}}
}

func iterateRow() Row {
	return Row{
		Name:  "iterate",
		Title: "Iteration",
		About: "One goroutine visits every entry by the map's own callback (Range, ForEach, IterCb), over and over.",
		jobs: func(set *Settings) []Job {
			s := set.large()
			return []Job{
				iterateJob(set, "int/"+s.name, s.n, rivals.IntKeys),
				iterateJob(set, "str/"+s.name, s.n, rivals.StringKeys),
			}
		},
	}
}

func iterateJob[K rivals.Key](set *Settings, name string, n int, makeKeys func(int) []K) Job {
	return Job{
		Cell: Cell{Name: name, Procs: set.headline(), Unit: "ns/entry"},
		run: func() ([]measure.Series, []string) {
			keys, vals := makeKeys(n), rivals.IntValues()
			var subjects []measure.Subject
			for _, maker := range makers[K, int](set) {
				m := maker.New(n)
				m.Fill(keys, vals)
				subjects = append(subjects, measure.Subject{Name: maker.Name, Run: func(slice time.Duration) measure.Sample {
					return measure.Slice(1, slice, func(int) int { return m.Walk() })
				}})
			}
			runtime.GC()
			return measure.Interleave(subjects, set.Rounds, set.Slice), nil
		},
	}
}

func collectRow() Row {
	return Row{
		Name:      "collect",
		Title:     "What a collection costs",
		About:     "Time of one runtime.GC with a map of 10 million ints alive. Runs only when -rows names it: it takes gigabytes.",
		OnRequest: true,
		jobs: func(set *Settings) []Job {
			n := set.scaled(10_000_000, 50_000)
			return []Job{{
				Cell: Cell{Name: "int/" + short(n), Procs: set.headline(), Unit: "µs/collection"},
				run:  func() ([]measure.Series, []string) { return collectSeries(set, n), nil },
			}}
		},
	}
}

// collectSeries measures one map after another. A collection with all of them alive
// would count all of them.
func collectSeries(set *Settings, n int) []measure.Series {
	var out []measure.Series
	keys := rivals.IntKeys(n)
	for _, maker := range makers[int, int](set) {
		if maker.ReadOnly {
			continue
		}
		m := maker.New(0)
		m.Fill(keys, rivals.IntValues())
		runtime.GC()
		series := measure.Series{Name: maker.Name}
		for range set.Rounds {
			took := measure.Once(1, runtime.GC).Value
			series.Values = append(series.Values, took/1000)
		}
		runtime.KeepAlive(m)
		out = append(out, series)
	}
	return out
}

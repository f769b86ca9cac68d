package rows

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
)

func dedupRow() Row {
	return Row{
		Name:  "dedup",
		Title: "One load for all callers",
		About: "distinct: no goroutine asks for a key that another is loading; the load returns at once, and nothing is kept. A Group's load has a goroutine of " +
			"its own, so that callers can leave, and a Goexit is an error; a row shows what that alone costs. failing: the " +
			"same, with an error. hot: so many goroutines want one key, again and again, and a load takes 50 microseconds; ns " +
			"per call, all together. miss: a cache of 1024 entries is asked for 524288 keys in turn. hit: one that has what is " +
			"asked for. batch: 100 keys at a time that are not there, ns a key. zipf: 64 goroutines want 10000 keys as 1/k^0.99, " +
			"loads take 1 ms and more (a timer's), the cache is new each time and has room for a tenth of the keys or for " +
			"all. Loads are counted: no two of one key run at a time, and where there is room for all there is one a key.",
		jobs: func(set *Settings) (jobs []Job) {
			for _, cell := range []struct {
				name string
				load loadFunc
			}{{"distinct", instantly}, {"failing", failing}} {
				jobs = append(jobs, overProcs(set, Cell{Name: cell.name, Unit: "ns/call", Base: "singleflight"}, asking(append([]fetcher{aGoroutine}, coalescers...), cell.load))...)
			}
			for _, n := range []int{64, 1000} {
				jobs = append(jobs, hotJob(set, n))
			}
			jobs = append(jobs, overProcs(set, Cell{Name: "miss", Unit: "ns/call", Base: "otter"}, asking(caches, instantly))...)
			jobs = append(jobs, overProcs(set, Cell{Name: "hit", Unit: "ns/call", Base: "otter"}, hits)...)
			jobs = append(jobs, overProcs(set.alone(), Cell{Name: "batch", Unit: "ns/key", Base: "otter"}, batches)...)
			return append(jobs, zipfJob(set, "tenth", 0.1), zipfJob(set, "all", 4))
		},
	}
}

func instantly(string) (int, error) { return 1, nil }

func failing(string) (int, error) { return 0, errLoad }

const smallCache = 1024

// fetchKeys is more than a small cache holds.
var fetchKeys = sync.OnceValue(func() []string {
	keys := make([]string, 512*smallCache)
	for i := range keys {
		keys[i] = "key-" + strconv.Itoa(i)
	}
	return keys
})

// asking measures calls one after another: each processor's goroutine has keys of
// its own.
func asking(fetchers []fetcher, load loadFunc) func(context.Context) []measure.Subject {
	return func(ctx context.Context) (subjects []measure.Subject) {
		for _, f := range fetchers {
			subjects = append(subjects, measure.Subject{Name: f.name, Run: func(slice time.Duration) measure.Sample {
				return ask(ctx, f.open(smallCache, load), fetchKeys(), slice)
			}})
		}
		return subjects
	}
}

func ask(ctx context.Context, open fetching, keys []string, slice time.Duration) measure.Sample {
	defer open.close()
	workers := runtime.GOMAXPROCS(0)
	next := make([]struct {
		at int
		_  [120]byte
	}, workers)
	share := len(keys) / workers
	return measure.Slice(workers, slice, func(w int) int {
		own := keys[w*share : (w+1)*share]
		for range rivals.Batch {
			if _, err := open.get(ctx, own[next[w].at%share]); err != nil && err != errLoad {
				panic(err)
			}
			next[w].at++
		}
		return rivals.Batch
	})
}

func hits(ctx context.Context) (subjects []measure.Subject) {
	for _, f := range caches {
		subjects = append(subjects, measure.Subject{Name: f.name, Run: func(slice time.Duration) measure.Sample {
			open := f.open(8*smallCache, instantly)
			keys := fetchKeys()[:smallCache]
			for range 3 { // ristretto drops some of the entries it is given
				for _, k := range keys {
					_, err := open.get(ctx, k)
					mustNot(err)
				}
				time.Sleep(time.Millisecond)
			}
			return ask(ctx, open, keys, slice)
		}})
	}
	return subjects
}

func batches(ctx context.Context) (subjects []measure.Subject) {
	const size = 100
	for _, f := range caches {
		probe := f.open(smallCache, instantly)
		probe.close()
		if probe.many == nil {
			continue
		}
		subjects = append(subjects, measure.Subject{Name: f.name, Run: func(slice time.Duration) measure.Sample {
			open := f.open(smallCache, instantly)
			defer open.close()
			keys, at := fetchKeys(), 0
			return measure.Slice(1, slice, func(int) int {
				found, err := open.many(ctx, keys[at:at+size])
				mustNot(err)
				if len(found) != size {
					panic(fmt.Sprintf("rows: %s: %d of %d keys", f.name, len(found), size))
				}
				at = (at + size) % (len(keys) - size)
				return size
			})
		}})
	}
	return subjects
}

// A tally counts loads, of each key and in total.
type tally struct {
	took  time.Duration
	index map[string]int
	loads []atomic.Int32
	now   []atomic.Int32 // loads under way
	most  atomic.Int32   // the most concurrent loads of one key
}

func newTally(keys []string, took time.Duration) *tally {
	n := len(keys)
	t := &tally{took: took, index: make(map[string]int, n), loads: make([]atomic.Int32, n), now: make([]atomic.Int32, n)}
	for i, k := range keys {
		t.index[k] = i
	}
	return t
}

func (t *tally) load(key string) (int, error) {
	i := t.index[key]
	t.loads[i].Add(1)
	n := t.now[i].Add(1)
	for m := t.most.Load(); m < n && !t.most.CompareAndSwap(m, n); m = t.most.Load() {
	}
	time.Sleep(t.took)
	t.now[i].Add(-1)
	return i, nil
}

// sums returns the number of all loads and of the loads of the most loaded key.
func (t *tally) sums() (all, most int) {
	for i := range t.loads {
		n := int(t.loads[i].Load())
		all, most = all+n, max(most, n)
	}
	return all, most
}

// counts are the numbers of loads of a cell's subjects.
type counts map[string]count

type count struct{ calls, loads, ofOneKey, atATime int }

func (c counts) add(name string, t *tally, calls int) {
	all, most := t.sums()
	old := c[name]
	c[name] = count{old.calls + calls, old.loads + all, max(old.ofOneKey, most), max(old.atATime, int(t.most.Load()))}
}

func (c counts) notes() (notes []string) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		n := c[name]
		notes = append(notes, fmt.Sprintf("%s: %d calls, %d loads; of one key at most %d a round, %d at a time",
			name, n.calls, n.loads, n.ofOneKey, n.atATime))
	}
	return notes
}

// Askers are goroutines that ask for keys repeatedly.
type askers struct {
	goroutines int
	capacity   int
	keys       []string // all keys
	draws      []string // the keys in the order of the requests; each goroutine starts at another index
	took       time.Duration
}

// hotJob has only the coalescers: a cache would load once and never again.
func hotJob(set *Settings, goroutines int) Job {
	one := fetchKeys()[:1]
	return askersJob(set, Cell{Name: fmt.Sprintf("hot/%d", goroutines), Base: "singleflight"}, coalescers, set.Slice,
		askers{goroutines: goroutines, keys: one, draws: one, took: 50 * time.Microsecond})
}

// zipfJob has caches with room for a share of the keys, or for all of them. That
// room is ample, because some caches divide it into parts.
func zipfJob(set *Settings, name string, room float64) Job {
	keys := fetchKeys()[:set.scaled(10_000, 200)]
	draws := zipf(keys, 0.99, 1<<16, rand.New(rand.NewPCG(1, 2)).Float64)
	slice := max(set.Slice, time.Duration(set.scaled(300, 5))*time.Millisecond)
	return askersJob(set, Cell{Name: "zipf/" + name, Base: "otter"}, caches, slice,
		askers{goroutines: 64, capacity: int(room * float64(len(keys))), keys: keys, draws: draws, took: time.Millisecond})
}

func askersJob(set *Settings, cell Cell, fetchers []fetcher, slice time.Duration, c askers) Job {
	cell.Procs, cell.Unit = set.headline(), "ns/call"
	return Job{Cell: cell, run: func() ([]measure.Series, []string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		counts := make(counts)
		var subjects []measure.Subject
		for _, f := range fetchers {
			subjects = append(subjects, measure.Subject{Name: f.name, Run: func(slice time.Duration) measure.Sample {
				return c.run(ctx, f, counts, slice)
			}})
		}
		series := measure.Interleave(subjects, set.Rounds, slice)
		return series, append(counts.notes(), allocNotes(series)...)
	}}
}

func (c askers) run(ctx context.Context, f fetcher, counts counts, slice time.Duration) measure.Sample {
	t := newTally(c.keys, c.took)
	open := f.open(c.capacity, t.load)
	defer open.close()
	var calls atomic.Int64
	var starts atomic.Uint64
	at := make([]uint64, c.goroutines)
	for w := range at {
		at[w] = starts.Add(uint64(len(c.draws)/c.goroutines + 1))
	}
	sample := measure.Slice(c.goroutines, slice, func(w int) int {
		const some = 16
		for range some {
			_, err := open.get(ctx, c.draws[at[w]%uint64(len(c.draws))])
			mustNot(err)
			at[w]++
		}
		calls.Add(some)
		return some
	})
	counts.add(f.name, t, int(calls.Load()))
	return sample
}

package soak_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// A sample has the metrics at a moment without activity.
type sample struct {
	ops    int
	counts [len(counted)]int
}

// counted are the metrics, and how much higher each may be at the end than in the
// middle: garbage that was not collected yet, a goroutine that has not ended yet, a
// map that has grown a little.
var counted = [...]struct {
	name  string
	slack int
}{{"heap bytes", 64 << 10}, {"heap objects", 300}, {"fds", 5}, {"goroutines", 5}}

func take(ops int) sample {
	for range 3 { // pools are empty after two, and a third collects what cleanups have freed
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd") // an error means none
	return sample{ops, [...]int{int(m.HeapAlloc), int(m.HeapObjects), len(fds), runtime.NumGoroutine()}}
}

// thirds returns the medians of the three thirds of one metric. Single samples that
// are off do not change a median.
func thirds(all []sample, metric int) (medians [3]int) {
	n := len(all) / 3
	for i := range medians {
		var counts []int
		for _, s := range all[len(all)-(3-i)*n:][:n] {
			counts = append(counts, s.counts[metric])
		}
		slices.Sort(counts)
		medians[i] = counts[n/2]
	}
	return medians
}

// growing returns the names of the metrics that are not flat. The first third does
// not count, because tables and free lists grow at first. A leak adds as much
// between middle and end as in a third of the run, so a longer run finds smaller
// leaks.
func growing(all []sample) (names []string) {
	for i, m := range counted {
		if t := thirds(all, i); t[2]-t[1] > m.slack {
			names = append(names, m.name)
		}
	}
	return names
}

// table returns the thirds of all metrics.
func table(all []sample) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d operations, %d samples; medians of\n%-14s %12s %12s %12s %12s\n",
		all[len(all)-1].ops, len(all), "", "first third", "middle third", "last third", "slack")
	for i, m := range counted {
		t := thirds(all, i)
		fmt.Fprintf(&b, "%-14s %12d %12d %12d %12d\n", m.name, t[0], t[1], t[2], m.slack)
	}
	return b.String()
}

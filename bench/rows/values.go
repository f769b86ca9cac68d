package rows

import "github.com/vigil-go/vigil/bench/rivals"

// wide is a value that no single atomic store can write.
type wide [4]int64

// record is what *T points to.
type record struct{ a int64 }

func stringValues() []string { return rivals.StringKeys(1024) }

func wideValues() []wide {
	vals := make([]wide, 1024)
	for i := range vals {
		vals[i] = wide{int64(i), 1, 2, 3}
	}
	return vals
}

func pointerValues() []*record {
	vals := make([]*record, 1024)
	for i := range vals {
		vals[i] = &record{a: int64(i)}
	}
	return vals
}

func valuesRow() Row {
	return Row{
		Name:  "values",
		Title: "Values larger than a word, and with pointers",
		About: "The same mixed loads with int keys and values that are a string, four int64 and a pointer, against the two " +
			"rivals that take any value without a lock.",
		jobs: func(set *Settings) []Job {
			var jobs []Job
			one := set.alone()
			for _, s := range []size{set.small(), set.large()} {
				jobs = append(jobs, valueBed(one, s.n, stringValues).jobs("string/"+s.name, valueMixes)...)
				jobs = append(jobs, valueBed(one, s.n, wideValues).jobs("[4]int64/"+s.name, valueMixes)...)
				jobs = append(jobs, valueBed(one, s.n, pointerValues).jobs("*T/"+s.name, valueMixes)...)
			}
			return jobs
		},
	}
}

var valueMixes = []rivals.Mix{100, 90, 50}

func valueBed[V any](set *Settings, n int, vals func() []V) *bed[int, V] {
	return &bed[int, V]{
		set: set, n: n, makeKey: rivals.IntKeys, vals: vals(),
		makers: makers[int, V](set, rivals.Ours, "xsync", "sync.Map"),
	}
}

package faults_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Fences are those that calls have returned, and those of loads.
type fences struct {
	mu      sync.Mutex
	clock   int64
	loads   map[load]bool
	results []fenced
}

type load struct {
	key   string
	fence uint64
}

// A fenced is a call that has returned a fence.
type fenced struct {
	kind, key    string // of loads or locks
	fence        uint64
	begun, ended int64
}

func newFences() *fences {
	return &fences{loads: make(map[load]bool)}
}

// now returns a time. Of two calls, the later one returns the larger time.
func (f *fences) now() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock++
	return f.clock
}

// loading notes that a load has begun.
func (f *fences) loading(t *testing.T, key string, fence uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := load{key, fence}
	assert.False(t, f.loads[l], "seed %d: two loads of %q with the fence %d", *seed, key, fence)
	f.loads[l] = true
}

// returned notes what a call has returned.
func (f *fences) returned(kind, key string, begun int64, fence uint64) {
	ended := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.results = append(f.results, fenced{kind, key, fence, begun, ended})
}

func (f *fences) count(kind string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if kind == "load" {
		return len(f.loads)
	}
	for _, r := range f.results {
		if r.kind == kind {
			n++
		}
	}
	return n
}

// check fails if a call has returned a fence that is not larger than that of a call that
// had returned before it began: the result of an old load, or a lock of two holders.
func (f *fences) check(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	byKey := make(map[[2]string][]fenced)
	for _, r := range f.results {
		byKey[[2]string{r.kind, r.key}] = append(byKey[[2]string{r.kind, r.key}], r)
		assert.True(t, r.kind == "lock" || f.loads[load{r.key, r.fence}], "seed %d: a result of no load: %+v", *seed, r)
	}
	for _, results := range byKey {
		checkOrder(t, results)
	}
}

func checkOrder(t *testing.T, results []fenced) {
	byBegin, byEnd := slices.Clone(results), slices.Clone(results)
	slices.SortFunc(byBegin, func(a, b fenced) int { return int(a.begun - b.begun) })
	slices.SortFunc(byEnd, func(a, b fenced) int { return int(a.ended - b.ended) })
	var newest fenced // of the calls that had returned
	for _, r := range byBegin {
		for len(byEnd) > 0 && byEnd[0].ended < r.begun {
			if byEnd[0].fence > newest.fence {
				newest = byEnd[0]
			}
			byEnd = byEnd[1:]
		}
		assert.Greater(t, r.fence, newest.fence, "seed %d: %+v after %+v", *seed, r, newest)
	}
}

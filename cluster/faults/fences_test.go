package faults_test

import (
	"fmt"
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
	worker       string
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
func (f *fences) returned(r fenced) {
	r.ended = f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.results = append(f.results, r)
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
// had returned before it began: the result of an old load, or a lock of two holders. As Do says, it may
// be the result for which an earlier call on the same machine still waited.
func (f *fences) check(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	byKey := make(map[[2]string][]fenced)
	for _, r := range f.results {
		byKey[[2]string{r.kind, r.key}] = append(byKey[[2]string{r.kind, r.key}], r)
		assert.True(t, r.kind == "lock" || f.loads[load{r.key, r.fence}], "seed %d: a result of no load: %+v", *seed, r)
	}
	for _, results := range byKey {
		for _, why := range outOfOrder(results) {
			assert.Fail(t, "out of order", "seed %d: %s", *seed, why)
		}
	}
}

// outOfOrder says which calls of one key have returned too small a fence.
func outOfOrder(results []fenced) (all []string) {
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
		if r.fence <= newest.fence && !r.hasJoined(results) {
			all = append(all, fmt.Sprintf("%+v after %+v", r, newest))
		}
	}
	return all
}

// hasJoined reports whether an earlier call of the same worker still waited for what r has returned.
func (r fenced) hasJoined(results []fenced) bool {
	return r.kind == "load" && slices.ContainsFunc(results, func(e fenced) bool {
		return e.worker == r.worker && e.fence == r.fence && e.begun < r.begun && r.begun < e.ended
	})
}

// TestOrderOfFences: what check accepts, and what it does not.
func TestOrderOfFences(t *testing.T) {
	before := fenced{"A", "load", "key", 7, 1, 4}
	for name, c := range map[string]struct {
		others  []fenced
		ordered bool
	}{
		"a newer load":                         {[]fenced{{"B", "load", "key", 8, 5, 6}}, true},
		"at the same time":                     {[]fenced{{"B", "load", "key", 7, 3, 6}}, true},
		"the result of the one before":         {[]fenced{{"B", "load", "key", 7, 5, 6}}, false},
		"an older one":                         {[]fenced{{"B", "load", "key", 6, 5, 6}}, false},
		"an earlier call of the machine waits": {[]fenced{{"B", "load", "key", 7, 2, 6}, {"B", "load", "key", 7, 5, 7}}, true},
		"one of another machine":               {[]fenced{{"C", "load", "key", 7, 2, 6}, {"B", "load", "key", 7, 5, 7}}, false},
		"one that has returned":                {[]fenced{{"B", "load", "key", 7, 2, 3}, {"B", "load", "key", 7, 5, 7}}, false},
		"one with another result":              {[]fenced{{"B", "load", "key", 8, 2, 6}, {"B", "load", "key", 7, 5, 7}}, false},
		"a lock":                               {[]fenced{{"B", "lock", "key", 7, 2, 6}, {"B", "lock", "key", 7, 5, 7}}, false},
	} {
		all := outOfOrder(append(c.others, before))
		assert.Equal(t, c.ordered, len(all) == 0, "%s: %v", name, all)
	}
}

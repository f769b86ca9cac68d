package dedup_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
)

// TestAllocations checks that a hit allocates nothing, and a call that loads one flight.
func TestAllocations(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	allocs := func(most float64, name string, f func()) {
		t.Helper()
		require.LessOrEqual(t, testing.AllocsPerRun(1000, f), most, name)
	}
	var g dedup.Group[int, int]
	f := func(context.Context) (int, error) { return 1, nil }
	n := 0
	allocs(1, "Do of a distinct key", func() { n++; g.Do(bg, n%100, f) })
	allocs(2, "and with a context that may end", func() { n++; g.Do(ctx, n%100, f) })

	load := func(_ context.Context, k int) (int, error) { return k, nil }
	for name, o := range map[string]*dedup.CacheOptions[int, int]{
		"open": nil, "bounded": {MaxEntries: 10}, "with a TTL": {TTL: time.Hour}, "stale": {TTL: 1, StaleWhileRevalidate: time.Hour},
	} {
		gate := make(chan struct{})
		if name == "stale" {
			load = func(_ context.Context, k int) (int, error) { <-gate; return k, nil }
		}
		c := newCache(t, load, o)
		c.Put(1, 1)
		c.Get(ctx, 1) // begins to revalidate
		allocs(0, "hit, "+name, func() { c.Get(ctx, 1) })
		allocs(0, "Peek, "+name, func() { c.Peek(1) })
		close(gate)
	}
}

package httpcache

import (
	"fmt"
	"hash/maphash"
	"testing"

	"github.com/stretchr/testify/require"
)

// pagesOfABucket returns pages that have a bucket in common.
func pagesOfABucket(w *writes, n int) (all []string) {
	var first *bucket
	for i := 0; len(all) < n; i++ {
		uri := fmt.Sprint("/", i)
		b, _ := w.of(uri)
		if first == nil || b == first {
			first, all = b, append(all, uri)
		}
	}
	return all
}

func TestWriteToAPageIsNoneToItsNeighbours(t *testing.T) {
	w := &writes{seed: maphash.MakeSeed()}
	pages := pagesOfABucket(w, 6)
	for i, uri := range pages[:4] {
		w.add(uri, uint64(10+i))
		w.add(uri, uint64(5+i)) // has been overtaken
	}
	for i, uri := range pages[:4] {
		require.EqualValues(t, 10+i, w.last(uri))
	}
	require.Zero(t, w.last(pages[4]))

	w.add(pages[4], 20) // the first has to make room
	require.EqualValues(t, 20, w.last(pages[4]))
	for i, uri := range pages[:4] {
		require.EqualValues(t, 10+i, w.last(uri), "no write is forgotten")
	}
	require.EqualValues(t, 10, w.last(pages[5]), "it counts for all pages of the bucket")
}

func TestNoWriteIsOverlookedWhileOthersAreAdded(t *testing.T) {
	w := &writes{seed: maphash.MakeSeed()}
	pages := pagesOfABucket(w, 12)
	var ticks ticks
	w.add(pages[0], ticks.next())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 2000 {
			for _, uri := range pages[1:] {
				w.add(uri, ticks.next())
			}
		}
	}()
	last := uint64(1)
	for running := true; running; { // a tick may be that of a later write to another page
		select {
		case <-done:
			running = false
		default:
		}
		require.GreaterOrEqual(t, w.last(pages[0]), last)
		last = ticks.next()
		w.add(pages[0], last)
	}
}

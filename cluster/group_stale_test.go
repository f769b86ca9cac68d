package cluster_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// TestConflictIsNoSync: a lease is refused because of one that had ended before the call. Do does
// not take the result of that, which had been returned before, for a new one.
func TestConflictIsNoSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes []engine.Write // the lease of the first load, and its result
		first, a := newFake(t)
		first.write = func(_ context.Context, w engine.Write) (uint64, error) {
			writes = append(writes, w)
			revision := uint64(len(writes))
			go first.tell(put(w, revision))
			return revision, nil
		}
		load := func(v string) func(context.Context) (string, error) {
			return func(context.Context) (string, error) { return v, nil }
		}
		_, err := newGroup[string](t, a, endless).Do(bg, "k", load("old"))
		require.NoError(t, err)

		second, b := newFake(t)
		next := uint64(2)
		second.write = func(_ context.Context, w engine.Write) (uint64, error) {
			if w.Expected == 0 && next == 2 { // by what a slow or deposed leader knows
				go second.tell(put(writes[0], 1))
				return 0, &engine.ConflictError{Key: w.Key, Revision: 1}
			}
			next++
			go second.tell(put(w, next))
			return next, nil
		}
		second.mu.Lock()
		second.at.Revision = 2
		second.mu.Unlock()
		g := newGroup[string](t, b, endless)
		done := start(func() (string, error) { return g.Do(bg, "k", load("new")) })
		synctest.Wait()
		second.tell(put(writes[1], 2))
		require.Equal(t, result[string]{v: "new"}, <-done)
	})
}

func put(w engine.Write, revision uint64) engine.Event {
	return engine.Event{Kind: engine.Put, Key: w.Key, Value: w.Value, Revision: revision}
}

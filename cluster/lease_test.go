package cluster_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
)

// A keeper makes a fake engine keep the keys of a Group. It does not end leases.
type keeper struct {
	*fake
	after func(n int, w engine.Write) error // called after the nth write was applied

	mu       sync.Mutex
	writes   int
	revision uint64
	there    map[string]uint64 // the revisions of keys
}

func newKeeper(t *testing.T) (*keeper, *cluster.Bucket) {
	f, b := newFake(t)
	s := &keeper{fake: f, there: make(map[string]uint64), after: func(int, engine.Write) error { return nil }}
	f.write = s.apply
	return s, b
}

func (s *keeper) apply(ctx context.Context, w engine.Write) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if w.Expected != s.there[w.Key] {
		return 0, &engine.ConflictError{Key: w.Key, Revision: s.revision}
	}
	s.revision++
	s.writes++
	event := engine.Event{Kind: engine.Put, Key: w.Key, Value: w.Value, Revision: s.revision}
	s.there[w.Key] = s.revision
	if w.Delete {
		event.Kind = engine.Delete
		delete(s.there, w.Key)
	}
	s.tell(event)
	return s.revision, s.after(s.writes, w)
}

// requireEmpty fails if a lease was left.
func (s *keeper) requireEmpty(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.there)
}

func groupEvent(revision uint64, key string, value []byte) engine.Event {
	return engine.Event{Kind: engine.Put, Key: "g\x00" + key, Value: value, Revision: revision}
}

// TestGroupFindsWhatItDoesNotKnow: a later version, or another program, has written to the
// key. It does not keep this one from loading.
func TestGroupFindsWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g := newGroup[string](t, s.machine(t).Bucket)
	e := s.engine(t, enginetest.NewLink(s.dial))
	defer e.Close()
	for _, value := range []string{"", "junk", "\xff" + string(cluster.ResultRecord(nil))[1:]} {
		_, err := e.Write(bg, engine.Write{Key: "g\x00key", Value: []byte(value), Unconditional: true})
		require.NoError(t, err)
		v, err := g.Do(bg, "key", func(context.Context) (string, error) { return value, nil })
		require.NoError(t, err)
		require.Equal(t, value, v)
	}
}

package cluster_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/dedup"
)

// A keeper makes a fake engine keep the keys of a Group or Cache. It does not end leases.
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
	if !w.Unconditional && w.Expected != s.there[w.Key] {
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
	g := newGroup[string](t, s.machine(t).Bucket, brief)
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

// TestGroupRefusesResultsReadAnew: a result that is read anew may be older than the call,
// also if its revision is newer than what was seen at the call.
func TestGroupRefusesResultsReadAnew(t *testing.T) {
	k, b := newKeeper(t)
	g := newGroup[string](t, b, brief)
	load := func(context.Context) (string, error) { return "new", nil }
	old := groupEvent(7, "key", cluster.ResultRecord([]byte(`"old"`)))
	k.tell(groupEvent(5, "key", cluster.LeaseRecord()))
	require.NoError(t, b.Sync(bg))
	loaded := do(g, "key", load)
	requireWaits(t, g, "key")
	k.there[old.Key], k.revision = 7, 7
	k.tell(engine.Event{Kind: engine.Reset, History: "2"}, old, synced(7))
	require.Equal(t, result[string]{v: "new"}, <-loaded)
}

// TestGroupRefusesOldResults: the same result is read anew while the outcome of a write is
// unknown.
func TestGroupRefusesOldResults(t *testing.T) {
	k, b := newKeeper(t)
	old := groupEvent(7, "key", cluster.ResultRecord([]byte(`"old"`)))
	k.there[old.Key], k.revision = 7, 7
	k.tell(old)
	require.NoError(t, b.Sync(bg))
	g := newGroup[string](t, b, brief)
	lost := 0
	k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
		if lost++; lost > 2 {
			return k.apply(ctx, w)
		}
		if lost == 2 {
			k.tell(engine.Event{Kind: engine.Reset, History: "1"}, old, synced(7), synced(7)) // the first was applied
		}
		return 0, engine.ErrUnknown
	}
	v, err := g.Do(bg, "key", func(context.Context) (string, error) { return "new", nil })
	require.NoError(t, err)
	require.Equal(t, "new", v)
}

// TestGroupSharesAfterTheHistoryIsLost: a load that began since then.
func TestGroupSharesAfterTheHistoryIsLost(t *testing.T) {
	k, b := newKeeper(t)
	g := newGroup[string](t, b, brief)
	k.tell(groupEvent(5, "key", cluster.LeaseRecord()))
	require.NoError(t, b.Sync(bg))
	loaded := do(g, "key", never)
	requireWaits(t, g, "key")
	k.tell(engine.Event{Kind: engine.Reset, History: "2"}, groupEvent(3, "key", cluster.LeaseRecord()), synced(4))
	require.NoError(t, b.Sync(bg)) // the wait has ended, and the next one begins
	requireWaits(t, g, "key")
	k.tell(groupEvent(5, "key", cluster.ResultRecord([]byte(`"new"`))))
	require.Equal(t, result[string]{v: "new"}, <-loaded)
}

// TestGroupLeavesNoLease: the answer to a write of the lease is missing when the load is
// given up, or has no result.
func TestGroupLeavesNoLease(t *testing.T) {
	for name, lost := range map[string]int{"of the first write": 1, "of a renewal": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, b := newKeeper(t)
				g := newGroup[string](t, b, brief)
				ctx, cancel := context.WithCancel(bg)
				asked := make(chan struct{})
				answer := make(chan struct{})
				k.after = func(n int, w engine.Write) error {
					if n != lost {
						return nil
					}
					close(asked)
					<-answer
					return engine.ErrUnknown
				}
				loaded := start(func() (string, error) {
					return g.Do(ctx, "key", func(ctx context.Context) (string, error) {
						<-ctx.Done()
						return "", context.Cause(ctx)
					})
				})
				<-asked
				cancel()
				require.ErrorIs(t, (<-loaded).err, context.Canceled)
				synctest.Wait()
				close(answer)
				synctest.Wait()
				k.requireEmpty(t)
			})
		})
	}
}

// TestGroupErrorThatTheEngineCannotHave reaches the callers here as it is, and a machine
// that waits loads.
func TestGroupErrorThatTheEngineCannotHave(t *testing.T) {
	t.Parallel()
	all, _ := groups[string](t, 2, endless)
	large := strings.Repeat("x", 2<<20)
	for _, want := range []result[string]{{v: large}, {err: errors.New(large)}} {
		l, next := newLoad(), newLoad()
		first := do(all[0], "key", l.f)
		<-l.begun
		second := do(all[1], "key", next.f)
		requireWaits(t, all[1], "key")
		l.end <- want
		got := <-first
		require.Error(t, got.err)
		require.Empty(t, got.v)
		if want.err != nil {
			require.Same(t, want.err, got.err)
		}
		<-next.begun
		next.end <- result[string]{err: io.EOF}
		require.Equal(t, io.EOF, (<-second).err)
	}
}

// TestGroupSharesAResultThatNobodyHereWaitsFor: another machine does.
func TestGroupSharesAResultThatNobodyHereWaitsFor(t *testing.T) {
	t.Parallel()
	all, _ := groups[string](t, 2, endless)
	l := newLoad()
	ctx, cancel := context.WithCancel(bg)
	first := start(func() (string, error) { return all[0].Do(ctx, "key", l.f) })
	loading := <-l.begun
	second := do(all[1], "key", never)
	requireWaits(t, all[1], "key")
	cancel()
	require.ErrorIs(t, (<-first).err, context.Canceled)
	<-loading.Done()
	require.ErrorIs(t, context.Cause(loading), dedup.ErrAbandoned)
	l.end <- result[string]{v: "value"}
	require.Equal(t, result[string]{v: "value"}, <-second)
}

func TestGroupLongTTL(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.machine(t).Bucket
	g, err := cluster.NewGroup[string](b, &cluster.GroupOptions{TTL: math.MaxInt64})
	require.NoError(t, err)
	v, err := g.Do(bg, "key", func(ctx context.Context) (string, error) {
		require.NoError(t, b.Sync(ctx))
		return "value", ctx.Err()
	})
	require.NoError(t, err)
	require.Equal(t, "value", v)
}

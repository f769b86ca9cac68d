package natsengine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// TestDeposedLeaderHidesNoMessage: a leader that was deposed says that nothing has come. The watch
// does not go to the revision that the new leader has named, because it would miss what is before.
func TestDeposedLeaderHidesNoMessage(t *testing.T) {
	t.Parallel()
	e := openAll(t, 1, new(Options))[0]
	p, err := e.position(t.Context())
	require.NoError(t, err)
	e.replicated.Store(true)
	w := &watch{e: e, at: p.Position, goal: p, fresh: p}
	w.goal.Revision += 10
	require.NoError(t, w.skip(t.Context()))
	require.Equal(t, p.Position, w.at)
	now, err := e.position(t.Context())
	require.NoError(t, err)
	require.Equal(t, p.Revision+1, now.Revision, "there is a message by which the watch gets there")
}

// TestDeposedLeaderNamesNoGoal: a leader that was deposed names a revision before the one that the
// watch must reach.
func TestDeposedLeaderNamesNoGoal(t *testing.T) {
	t.Parallel()
	e := openAll(t, 1, new(Options))[0]
	p, err := e.position(t.Context())
	require.NoError(t, err)
	w := &watch{e: e, at: p.Position, goal: p, fresh: p, owed: true, tell: func(event engine.Event) { t.Error("told", event) }}
	w.goal.Revision += 10
	require.ErrorIs(t, w.check(t.Context()), errRestart)
}

// TestRefusedAndApplied: a leader that was deposed refuses a write by an old state, and the new one
// applies it.
func TestRefusedAndApplied(t *testing.T) {
	t.Parallel()
	e := openAll(t, 1, new(Options))[0]
	first, err := e.Write(t.Context(), engine.Write{Key: "key"})
	require.NoError(t, err)
	e.replicated.Store(true)
	p := &put{e: e, w: &engine.Write{Key: "key", Value: []byte("2"), Expected: first}, expected: first, retry: newBackoff()}
	p.subject, err = e.subject("key")
	require.NoError(t, err)
	p.begin()
	_, err = p.conflict(t.Context())
	require.ErrorIs(t, err, errPending)
	require.ErrorIs(t, p.failed(context.Canceled), engine.ErrUnknown)
	ack, err := e.publish(t.Context(), p.message()) // the new leader is slower
	require.NoError(t, err)
	revision, err := p.step(t.Context())
	require.NoError(t, err)
	require.Equal(t, ack.Sequence, revision)
}

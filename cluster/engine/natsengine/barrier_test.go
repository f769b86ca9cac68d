package natsengine

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// openAll returns engines of one bucket.
func openAll(t *testing.T, n int, o *Options) (all []*Engine) {
	s, err := StartServer(&ServerOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	o.Bucket, o.Server, o.Logger = "test", s, slog.New(slog.DiscardHandler)
	for range n {
		e, err := Open(t.Context(), o)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, e.Close()) })
		all = append(all, e)
	}
	return all
}

// told returns what Watch tells up to a Synced event of a revision or a later one.
func told(t *testing.T, e *Engine, from engine.Position, revision uint64) (all []engine.Event) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := e.Watch(ctx, from, func(event engine.Event) {
		if ctx.Err() != nil {
			return
		}
		all = append(all, event)
		if event.Kind == engine.Synced && event.Revision >= revision {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	return all
}

// messages returns how many the stream has.
func messages(t *testing.T, e *Engine) uint64 {
	s, err := e.js.Stream(t.Context(), e.stream)
	require.NoError(t, err)
	return s.CachedInfo().State.Msgs
}

// TestBarriersLeaveNoGap: what several engines write to be sure of the leader does not make a watch
// believe that it has missed something, and does not stay.
func TestBarriersLeaveNoGap(t *testing.T) {
	t.Parallel()
	all := openAll(t, 3, new(Options))
	watching, others := all[0], all[1:]
	p, err := watching.position(t.Context())
	require.NoError(t, err)
	told(t, watching, engine.Position{}, p.Revision)
	var last uint64
	for _, e := range others {
		last, err = e.writeBarrier(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, []engine.Event{{Kind: engine.Synced, Revision: last}}, told(t, watching, p.Position, last))
	for range 10 {
		_, err = others[0].writeBarrier(t.Context())
		require.NoError(t, err)
	}
	require.LessOrEqual(t, messages(t, watching), uint64(1+len(others)))
}

// TestBarrierExpires: an engine that is closed leaves nothing behind.
func TestBarrierExpires(t *testing.T) {
	t.Parallel()
	e := openAll(t, 1, &Options{DuplicateWindow: time.Second})[0]
	before := messages(t, e)
	_, err := e.writeBarrier(t.Context())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return messages(t, e) == before }, time.Minute, 10*time.Millisecond)
}

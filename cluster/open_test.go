package cluster_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
)

func TestOpenRefuses(t *testing.T) {
	_, err := cluster.Open(bg, nil)
	require.ErrorContains(t, err, "Dir")
	_, err = cluster.Open(bg, &cluster.Options{Dir: t.TempDir(), Name: "a.b"})
	require.ErrorContains(t, err, "a.b")
	var none context.Context
	require.Panics(t, func() { _, _ = cluster.Open(none, nil) })
}

// TestOpenGivesUp: the engine has nothing to tell before the context ends. Open leaves
// nothing behind.
func TestOpenGivesUp(t *testing.T) {
	f := &fake{events: make(chan engine.Event), closed: make(chan struct{}), at: engine.Position{History: "1"}}
	ctx, cancel := context.WithCancel(bg)
	opened := start(func() (*cluster.Bucket, error) {
		return cluster.Open(ctx, &cluster.Options{Engine: f, Logger: quiet})
	})
	f.events <- engine.Event{Kind: engine.Reset, History: "1"} // and no Synced
	cancel()
	require.ErrorIs(t, (<-opened).err, context.Canceled)
	<-f.closed
}

// TestValuesOutliveTheProcess: a directory is used by one Bucket after the other.
func TestValuesOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		b, err := cluster.Open(bg, &cluster.Options{Dir: dir, Logger: quiet})
		require.NoError(t, err)
		_, err = cluster.Open(bg, &cluster.Options{Dir: dir, Logger: quiet})
		require.ErrorContains(t, err, dir, "two servers of one directory")
		m := newMap[int](t, b)
		before, _ := m.Load("key")
		require.Equal(t, round, before)
		store(t, m, "key", round+1)
		require.NoError(t, b.Close())
	}
}

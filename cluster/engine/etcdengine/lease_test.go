package etcdengine_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
)

// leases returns the leases that there are.
func leases(t *testing.T, c *clientv3.Client) int {
	r, err := c.Leases(bg)
	require.NoError(t, err)
	return len(r.Leases)
}

// TestLeasesAreRevoked: no lease is left of a write that was refused, nor of a value that was
// replaced by one with a TTL.
func TestLeasesAreRevoked(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	w := engine.Write{Key: "key", TTL: time.Hour}
	for range 5 {
		revision, err := e.Write(bg, w)
		require.NoError(t, err)
		_, err = e.Write(bg, engine.Write{Key: "key", TTL: time.Hour})
		require.ErrorIs(t, err, engine.ErrConflict)
		w.Expected = revision
	}
	c := s.admin(t)
	for leases(t, c) != 1 {
	}
	r, err := c.Get(bg, "vigil/test/k/key")
	require.NoError(t, err)
	require.NotZero(t, r.Kvs[0].Lease)
}

// TestForeignLeaseIsKept: a lease that others have given the key may have other keys.
func TestForeignLeaseIsKept(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	c := s.admin(t)
	l, err := c.Grant(bg, 3600)
	require.NoError(t, err)
	_, err = c.Put(bg, "vigil/test/k/key", "1", clientv3.WithLease(l.ID))
	require.NoError(t, err)
	for _, key := range []string{"key", "other", "other"} { // the engine revokes in this order
		_, err = e.Write(bg, engine.Write{Key: key, TTL: time.Hour, Unconditional: true})
		require.NoError(t, err)
	}
	for leases(t, c) != 3 { // of key, of other, and the foreign one
	}
	left, err := c.TimeToLive(bg, l.ID)
	require.NoError(t, err)
	require.Positive(t, left.TTL)
}

// TestLongTTL: a value whose TTL is more than etcd takes is there when a later one with a short
// TTL is gone.
func TestLongTTL(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	_, err := e.Write(bg, engine.Write{Key: "long", TTL: math.MaxInt64})
	require.NoError(t, err)
	_, err = e.Write(bg, engine.Write{Key: "short", TTL: time.Second})
	require.NoError(t, err)
	for there := true; there; {
		_, there, err = e.Get(bg, "short", 0)
		require.NoError(t, err)
	}
	_, there, err := e.Get(bg, "long", 0)
	require.NoError(t, err)
	require.True(t, there)
}

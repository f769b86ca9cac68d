package faults_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

// TestDeposedLeader: a leader is cut off from the other servers, but not from a worker. When the
// others have another leader, that worker does not see an old state as the newest, and no
// write is refused by it.
func TestDeposedLeader(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 0, &lab.Options{Isolation: lab.Proxies}, nil)
	var at [3]*client // each server has a worker that knows only it
	for i := range at {
		at[i] = s.join(&openOptions{Server: i + 1})
	}
	at[0].do(request{Op: "store", Key: "x", Value: "old"})
	at[0].do(request{Op: "store", Key: "gone", Value: "old"})
	leader := s.leader()
	n := slices.Index(s.Servers(), leader)
	old, other := at[n], at[(n+1)%3]
	require.Equal(t, "old", old.do(request{Op: "load", Key: "x"}).Value)
	s.must(leader.CutRoutes())
	other.do(request{Op: "store", Key: "x", Value: "new"})
	other.do(request{Op: "delete", Key: "gone"})
	load := old.start(request{Op: "load", Key: "x", Within: ttl})
	swap := old.start(request{Op: "swap", Key: "gone", Value: "new", Within: ttl})
	if r := load.result(); r.Err == "" {
		require.Equal(t, "new", r.Value)
	}
	if r := swap.result(); r.Err == "" {
		require.True(t, r.OK, "a write was refused by an old state")
	}
	s.must(leader.Heal())
	require.Equal(t, "new", old.do(request{Op: "load", Key: "x"}).Value)
}

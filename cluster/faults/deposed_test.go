package faults_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

// TestDeposedLeader: a leader is cut off from the other servers, but not from a worker. When the
// others have another leader, that worker does not see an old state as the newest.
func TestDeposedLeader(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 0, &lab.Options{Isolation: lab.Proxies}, nil)
	var at [3]*client // each server has a worker that knows only it
	for i := range at {
		at[i] = s.join(&openOptions{Server: i + 1})
	}
	at[0].do(request{Op: "store", Key: "x", Value: "old"})
	leader := s.leader()
	for i, server := range s.Servers() {
		if server == leader {
			continue
		}
		old := at[indexOf(s.Servers(), leader)]
		require.Equal(t, "old", old.do(request{Op: "load", Key: "x"}).Value)
		s.must(leader.CutRoutes())
		at[i].do(request{Op: "store", Key: "x", Value: "new"})
		r := old.call(request{Op: "load", Key: "x", Within: ttl})
		t.Logf("%+v", r)
		if r.Err == "" {
			require.Equal(t, "new", r.Value)
		}
		s.must(leader.Heal())
		require.Equal(t, "new", old.do(request{Op: "load", Key: "x"}).Value)
		return
	}
}

func indexOf(all []*lab.Server, s *lab.Server) int {
	for i := range all {
		if all[i] == s {
			return i
		}
	}
	return -1
}

package etcdengine_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/etcdengine"
)

// leader waits until a cluster has one.
func leader(t *testing.T, all []*server) *server {
	c := all[0].admin(t)
	for {
		for _, s := range all {
			r, err := c.Status(bg, s.address())
			if err == nil && r.Leader == r.Header.MemberId {
				return s
			}
		}
	}
}

// increment adds one to the number of a key.
func increment(t *testing.T, e engine.Engine) {
	for {
		entry, ok, err := e.Get(bg, "key", 0)
		require.NoError(t, err)
		n := 0
		if ok {
			n, err = strconv.Atoi(string(entry.Value))
			require.NoError(t, err)
		}
		_, err = e.Write(bg, engine.Write{Key: "key", Value: strconv.AppendInt(nil, int64(n+1), 10), Expected: entry.Revision})
		if !errors.Is(err, engine.ErrConflict) {
			require.NoError(t, err)
			return
		}
	}
}

// TestLeaderIsKilled: each of many increments is applied once, and a watch sees all of them in
// their order, while the leader of three servers is killed.
func TestLeaderIsKilled(t *testing.T) {
	t.Parallel()
	const machines, writers, increments = 2, 2, 40
	all := newServers(t, 3, "--heartbeat-interval", "50", "--election-timeout", "500")
	o := &etcdengine.Options{Bucket: "test", AckTimeout: time.Second, Logger: quiet}
	for _, s := range all {
		o.Addresses = append(o.Addresses, s.address())
	}
	var writing sync.WaitGroup
	half := make(chan struct{}, machines*writers)
	e := all[0].open(t, o)
	events := follow(t, e)
	for range machines {
		e := all[0].open(t, o)
		for range writers {
			writing.Go(func() {
				for i := range increments {
					increment(t, e)
					if i == increments/2 {
						half <- struct{}{}
					}
				}
			})
		}
	}
	<-half
	killed := leader(t, all)
	killed.kill()
	<-half
	require.NoError(t, killed.start())
	writing.Wait()
	for n := 1; n <= machines*writers*increments; {
		event := <-events
		require.NotEqual(t, engine.Reset, event.Kind)
		if event.Kind == engine.Put {
			require.Equal(t, strconv.Itoa(n), string(event.Value))
			n++
		}
	}
}

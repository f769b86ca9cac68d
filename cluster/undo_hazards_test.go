package cluster_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// takes are the ways to take a value of a Map.
var takes = map[string]func(m *cluster.Map[string], ctx context.Context) (string, error){
	"Take": func(m *cluster.Map[string], ctx context.Context) (string, error) { return m.Take(ctx, "key") },
	"OnTake": func(m *cluster.Map[string], ctx context.Context) (v string, err error) {
		_, err = await.Select(ctx, m.OnTake("key", &v))
		return v, err
	},
}

// TestParkerMisbehavesDuringATake: its Take does not return, and the value is there again, once.
func TestParkerMisbehavesDuringATake(t *testing.T) {
	for name, strike := range misbehave.Parks {
		for kind, take := range takes {
			t.Run(name+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, b := newKeeper(t)
					m := newMap[string](t, b)
					store(t, m, "key", "value")
					apply := make(chan struct{})
					k.write = func(_ context.Context, w engine.Write) (uint64, error) {
						<-apply
						return k.apply(bg, w)
					}
					p := misbehave.NewParker()
					p.Before = strike
					var taken result[string]
					ended := make(chan bool, 1)
					go func() {
						returned, _ := misbehave.Outcome(func() error {
							taken.v, taken.err = take(m, wake.WithParker(bg, p))
							return taken.err
						})
						ended <- returned
					}()
					synctest.Wait()
					close(apply)
					if <-ended {
						require.Equal(t, "value", taken.v)
						if taken.err != nil {
							require.ErrorIs(t, taken.err, cluster.ErrUnknown)
						}
					}
					synctest.Wait()
					_, there := m.Load("key")
					require.Equal(t, taken.v == "", there)
					require.Zero(t, m.Waiters("key"))
					if there {
						v, err := m.Take(bg, "key")
						require.Equal(t, result[string]{v: "value"}, result[string]{v, err})
					}
				})
			})
		}
	}
}

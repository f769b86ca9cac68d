package cluster_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/cluster/engine/natsengine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	bg    = context.Background()
	quiet = slog.New(slog.DiscardHandler)
)

// A site is a server in this process, and the machines that use it.
type site struct {
	dir       string
	markerTTL time.Duration
	mu        sync.Mutex
	server    *natsengine.Server
}

func newSite(t *testing.T) *site {
	s := &site{dir: t.TempDir()}
	s.start(t)
	t.Cleanup(func() { require.NoError(t, s.server.Close()) })
	return s
}

func (s *site) start(t *testing.T) {
	server, err := natsengine.StartServer(&natsengine.ServerOptions{Dir: s.dir})
	require.NoError(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = server
}

func (s *site) restart(t *testing.T) {
	require.NoError(t, s.server.Close())
	s.start(t)
}

// purge empties the bucket as an administrator can.
func (s *site) purge(t *testing.T) {
	nc, err := nats.Connect("nats://site", nats.SetCustomDialer(enginetest.NewLink(s.dial)))
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(bg, "KV_test")
	require.NoError(t, err)
	require.NoError(t, stream.Purge(bg))
}

func (s *site) dial() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server.Dial("", "")
}

func (s *site) engine(t *testing.T, link *enginetest.Link) engine.Engine {
	e, err := natsengine.Open(bg, &natsengine.Options{
		Bucket: "test", Addresses: []string{"nats://site"}, Dialer: link, CheckInterval: 50 * time.Millisecond,
		MarkerTTL: s.markerTTL, Logger: quiet,
	})
	require.NoError(t, err)
	return e
}

// A machine is a process that uses the bucket, as far as the test can tell.
type machine struct {
	*cluster.Bucket
	link *enginetest.Link
}

func (s *site) machine(t *testing.T) machine {
	link := enginetest.NewLink(s.dial)
	return machine{newBucket(t, s.engine(t, link)), link}
}

func newBucket(t *testing.T, e engine.Engine) *cluster.Bucket {
	b, err := cluster.Open(bg, &cluster.Options{Engine: e, Logger: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func newMap[V any](t *testing.T, b *cluster.Bucket) *cluster.Map[V] {
	m, err := cluster.NewMap[V](b, nil)
	require.NoError(t, err)
	return m
}

// pair returns the Maps of two machines.
func pair[V any](t *testing.T) (a, b *cluster.Map[V], s *site) {
	s = newSite(t)
	return newMap[V](t, s.machine(t).Bucket), newMap[V](t, s.machine(t).Bucket), s
}

func store[V any](t *testing.T, m *cluster.Map[V], key string, v V) uint64 {
	t.Helper()
	revision, err := m.Store(bg, key, v)
	require.NoError(t, err)
	return revision
}

// A result is what a call returned.
type result[V any] struct {
	v   V
	err error
}

func start[V any](f func() (V, error)) chan result[V] {
	c := make(chan result[V], 1)
	go func() {
		v, err := f()
		c <- result[V]{v, err}
	}()
	return c
}

package natsengine_test

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

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/cluster/engine/natsengine"
)

// A site is a server in this process that can be stopped and started.
type site struct {
	dir string
	mu  sync.Mutex
	s   *natsengine.Server
}

func newSite(t *testing.T) *site {
	s := &site{dir: t.TempDir()}
	s.start(t)
	t.Cleanup(func() { require.NoError(t, s.s.Close()) })
	return s
}

func (s *site) start(t *testing.T) {
	server, err := natsengine.StartServer(&natsengine.ServerOptions{Dir: s.dir})
	require.NoError(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.s = server
}

func (s *site) restart(t *testing.T) {
	require.NoError(t, s.s.Close())
	s.start(t)
}

func (s *site) dial() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.s.Dial("", "")
}

// admin returns a connection of somebody who does not use the engine.
func (s *site) admin(t *testing.T) jetstream.JetStream {
	nc, err := nats.Connect("nats://site", nats.SetCustomDialer(enginetest.NewLink(s.dial)))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return js
}

func (s *site) options(link *enginetest.Link) *natsengine.Options {
	return &natsengine.Options{
		Bucket: "test", Addresses: []string{"nats://site"}, Dialer: link, CheckInterval: 50 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// open opens the bucket, and closes it when the test ends.
func (s *site) open(t *testing.T, o *natsengine.Options) *natsengine.Engine {
	e, err := natsengine.Open(context.Background(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

func TestConformance(t *testing.T) {
	enginetest.Run(t, func(t *testing.T, forgets bool) *enginetest.Store {
		s := newSite(t)
		return &enginetest.Store{
			Restart: s.restart,
			Open: func(t *testing.T) (engine.Engine, *enginetest.Link) {
				link := enginetest.NewLink(s.dial)
				o := s.options(link)
				if forgets {
					o.MarkerTTL = time.Second
				}
				return s.open(t, o), link
			},
			Purge: func(t *testing.T) {
				stream, err := s.admin(t).Stream(context.Background(), "KV_test")
				require.NoError(t, err)
				require.NoError(t, stream.Purge(context.Background()))
			},
			Remake: func(t *testing.T) {
				js := s.admin(t)
				stream, err := js.Stream(context.Background(), "KV_test")
				require.NoError(t, err)
				require.NoError(t, js.DeleteStream(context.Background(), "KV_test"))
				_, err = js.CreateStream(context.Background(), stream.CachedInfo().Config)
				require.NoError(t, err)
			},
		}
	})
}

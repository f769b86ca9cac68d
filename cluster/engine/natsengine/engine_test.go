package natsengine_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/cluster/engine/natsengine"
	"github.com/vigil-go/vigil/internal/testkit"
)

var bg = context.Background()

// stream makes the stream of the bucket as somebody else would.
func (s *site) stream(t *testing.T, change func(*jetstream.StreamConfig)) {
	c := jetstream.StreamConfig{Name: "KV_test", Subjects: []string{"$KV.test.>"}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, AllowRollup: true}
	change(&c)
	_, err := s.admin(t).CreateStream(bg, c)
	require.NoError(t, err)
}

// TestNoMarkerTTL: in a bucket whose values would end without a marker, a TTL is refused
// with an error that says why.
func TestNoMarkerTTL(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"no TTLs":    func(*jetstream.StreamConfig) {},
		"no markers": func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true },
	} {
		s := newSite(t)
		s.stream(t, change)
		e := s.open(t, s.options(enginetest.NewLink(s.dial)))
		_, err := e.Write(bg, engine.Write{Key: "key", TTL: time.Second})
		require.ErrorIs(t, err, engine.ErrNoTTL, name)
		require.ErrorContains(t, err, "SubjectDeleteMarkerTTL", name)
		require.NotErrorIs(t, err, engine.ErrUnknown, name)
		_, err = e.Write(bg, engine.Write{Key: "key"})
		require.NoError(t, err, name)
		_, err = e.Write(bg, engine.Write{Key: "key", Delete: true, Unconditional: true})
		require.NoError(t, err, name)
	}
}

// TestLongTTL: a value whose TTL the server could not add to a date is there when a later one
// with a short TTL is gone.
func TestLongTTL(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	long := []time.Duration{math.MaxInt64, math.MaxInt64 - time.Second, 240 * 365 * 24 * time.Hour}
	for i, ttl := range long {
		_, err := e.Write(bg, engine.Write{Key: fmt.Sprint(i), TTL: ttl})
		require.NoError(t, err)
	}
	_, err := e.Write(bg, engine.Write{Key: "short", TTL: time.Second})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, ok, err := e.Get(bg, "short", 0)
		return err == nil && !ok
	}, time.Minute, 10*time.Millisecond)
	for i := range long {
		_, ok, err := e.Get(bg, fmt.Sprint(i), 0)
		require.NoError(t, err)
		require.True(t, ok, long[i])
	}
}

// TestForgetfulStreamIsRefused: a stream that drops values without telling is no bucket.
func TestForgetfulStreamIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"drops when full":   func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 10 },
		"drops when old":    func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"deleted come back": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 5 },
	} {
		s := newSite(t)
		s.stream(t, change)
		_, err := natsengine.Open(bg, s.options(enginetest.NewLink(s.dial)))
		require.ErrorContains(t, err, "KV_test", name)
	}
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]*natsengine.Options{
		"none":         nil,
		"no bucket":    {Addresses: []string{"nats://127.0.0.1:1"}},
		"bad bucket":   {Bucket: "a.b", Addresses: []string{"nats://127.0.0.1:1"}},
		"no server":    {Bucket: "a"},
		"negative":     {Bucket: "a", Addresses: []string{"nats://127.0.0.1:1"}, AckTimeout: -1},
		"short marker": {Bucket: "a", Addresses: []string{"nats://127.0.0.1:1"}, MarkerTTL: time.Millisecond},
		"replicas":     {Bucket: "a", Addresses: []string{"nats://127.0.0.1:1"}, Replicas: -1},
	} {
		_, err := natsengine.Open(bg, o)
		require.Error(t, err, name)
	}
	for _, o := range []*natsengine.ServerOptions{nil, {}, {Dir: t.TempDir(), Listen: "no port"}, {Dir: filepath.Join(os.DevNull, "x")}} {
		_, err := natsengine.StartServer(o)
		require.Error(t, err)
	}
}

// TestOpenWaitsForServer: no server is there when Open is called.
func TestOpenWaitsForServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	link := enginetest.NewLink(s.dial)
	link.Cut()
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := natsengine.Open(ctx, s.options(link))
	require.ErrorIs(t, err, context.Canceled)

	opened := make(chan error, 1)
	go func() {
		e, err := natsengine.Open(bg, s.options(link))
		if err == nil {
			err = e.Close()
		}
		opened <- err
	}()
	link.Heal()
	require.NoError(t, <-opened)
}

// TestRefusedConnection: Open does not try for ever what cannot succeed.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	o := s.options(enginetest.NewLink(s.dial))
	o.Credentials = filepath.Join(t.TempDir(), "missing")
	_, err := natsengine.Open(bg, o)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestTwoServersOfOneDirectory would destroy its data.
func TestTwoServersOfOneDirectory(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, err := natsengine.StartServer(&natsengine.ServerOptions{Dir: s.dir})
	require.ErrorContains(t, err, s.dir)
	s.restart(t)
}

// TestListeningServer: a server that listens takes connections over TCP.
func TestListeningServer(t *testing.T) {
	t.Parallel()
	server, err := natsengine.StartServer(&natsengine.ServerOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	require.NoError(t, err)
	defer server.Close()
	e, err := natsengine.Open(bg, &natsengine.Options{Bucket: "test", Addresses: []string{server.URL()}})
	require.NoError(t, err)
	defer e.Close()
	inside, err := natsengine.Open(bg, &natsengine.Options{Bucket: "test", Server: server})
	require.NoError(t, err)
	defer inside.Close()
	revision, err := e.Write(bg, engine.Write{Key: "key", Value: []byte("1")})
	require.NoError(t, err)
	entry, ok, err := inside.Get(bg, "key", revision)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "1", string(entry.Value))
}

// TestStoredValuesOutliveTheServer: what was acknowledged is there after a restart.
func TestStoredValuesOutliveTheServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	before, err := e.Position(bg)
	require.NoError(t, err)
	revision, err := e.Write(bg, engine.Write{Key: "key", Value: []byte("1")})
	require.NoError(t, err)
	s.restart(t)
	entry, ok, err := e.Get(bg, "key", revision)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, engine.Entry{Value: []byte("1"), Revision: revision}, entry)
	after, err := e.Position(bg)
	require.NoError(t, err)
	require.Equal(t, before.History, after.History)
}

// TestServerLosesWrites: a server comes back with an older state, and uses revisions again.
// The watch does not take the new values for those that it knows.
func TestServerLosesWrites(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	put := func(key, value string) uint64 {
		revision, err := e.Write(bg, engine.Write{Key: key, Value: []byte(value), Unconditional: true})
		require.NoError(t, err)
		return revision
	}
	put("kept", "1")
	old := t.TempDir()
	require.NoError(t, s.s.Close())
	require.NoError(t, os.CopyFS(filepath.Join(old, "nats"), os.DirFS(filepath.Join(s.dir, "nats"))))
	s.start(t)

	events := make(chan engine.Event, 100)
	ctx, cancel := context.WithCancel(bg)
	ended := make(chan error, 1)
	go func() { ended <- e.Watch(ctx, engine.Position{}, func(event engine.Event) { events <- event }) }()
	first := <-events
	require.Equal(t, engine.Reset, first.Kind)
	var last uint64
	for range 5 {
		last = put("lost", "1")
	}
	for event := range events {
		if event.Revision == last {
			break
		}
	}
	require.NoError(t, s.s.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "nats")))
	require.NoError(t, os.CopyFS(s.dir, os.DirFS(old)))
	s.start(t)
	for event := range events {
		if event.Kind == engine.Reset {
			require.NotEqual(t, first.History, event.History)
			break
		}
	}
	for event := range events {
		if event.Kind == engine.Synced {
			break
		}
		require.Equal(t, "kept", event.Key)
	}
	cancel()
	<-ended
}

// TestForeignMessages: what others write to the stream is not taken for a key, and is not
// waited for.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	js := s.admin(t)
	events := make(chan engine.Event, 100)
	ctx, cancel := context.WithCancel(bg)
	ended := make(chan error, 1)
	go func() { ended <- e.Watch(ctx, engine.Position{}, func(event engine.Event) { events <- event }) }()
	for range 2 {
		<-events // Reset, Synced
	}
	for _, key := range []string{"plain", "k.a.b", "k.=zz", "k.=41", "other.key"} {
		ack, err := js.Publish(bg, "$KV.test."+key, []byte("x"))
		require.NoError(t, err)
		require.Equal(t, engine.Event{Kind: engine.Synced, Revision: ack.Sequence}, <-events, key)
	}
	ack, err := js.Publish(bg, "$KV.test.k.key", []byte("x"))
	require.NoError(t, err)
	require.Equal(t, engine.Event{Kind: engine.Put, Key: "key", Value: []byte("x"), Revision: ack.Sequence}, <-events)
	cancel()
	<-ended
}

// TestLostConsumer: the server drops the consumer of a watch.
func TestLostConsumer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	events := make(chan engine.Event, 100)
	ctx, cancel := context.WithCancel(bg)
	ended := make(chan error, 1)
	go func() { ended <- e.Watch(ctx, engine.Position{}, func(event engine.Event) { events <- event }) }()
	for range 2 {
		<-events
	}
	js := s.admin(t)
	stream, err := js.Stream(bg, "KV_test")
	require.NoError(t, err)
	for name := range stream.ConsumerNames(bg).Name() {
		require.NoError(t, stream.DeleteConsumer(bg, name))
	}
	revision, err := e.Write(bg, engine.Write{Key: "key"})
	require.NoError(t, err)
	for event := range events {
		require.NotEqual(t, engine.Reset, event.Kind)
		if event.Kind == engine.Put {
			require.Equal(t, revision, event.Revision)
			break
		}
	}
	cancel()
	<-ended
}

// TestHundredThousandKeys: the end of the initial state is told once, and after all of it.
func TestHundredThousandKeys(t *testing.T) {
	keys := testkit.Scale(100_000, 10_000)
	s := newSite(t)
	s.stream(t, func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage })
	js := s.admin(t)
	for i := range keys {
		_, err := js.PublishAsync(fmt.Sprint("$KV.test.k.", i), nil, jetstream.WithStallWait(time.Minute))
		require.NoError(t, err)
	}
	<-js.PublishAsyncComplete()
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	var kinds [engine.Skipped + 1]int
	ctx, cancel := context.WithCancel(bg)
	err := e.Watch(ctx, engine.Position{}, func(event engine.Event) {
		kinds[event.Kind]++
		if event.Kind == engine.Synced {
			require.Equal(t, keys, kinds[engine.Put])
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, [...]int{0, keys, 0, 1, 1, 0}, kinds)
}

var _ nats.CustomDialer = (*natsengine.Server)(nil)

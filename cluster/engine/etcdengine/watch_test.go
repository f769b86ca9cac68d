package etcdengine_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
)

// follow calls Watch until the test ends, and returns a channel of what it tells.
func follow(t *testing.T, e engine.Engine) chan engine.Event {
	events, ended := make(chan engine.Event, 1000), make(chan error, 1)
	ctx, cancel := context.WithCancel(bg)
	go func() { ended <- e.Watch(ctx, engine.Position{}, func(event engine.Event) { events <- event }) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	require.Equal(t, engine.Reset, (<-events).Kind)
	return events
}

// until receives events up to one for which the function returns true.
func until(events chan engine.Event, f func(event engine.Event) bool) engine.Event {
	for event := range events {
		if f(event) {
			return event
		}
	}
	panic("not reached")
}

func isSynced(event engine.Event) bool { return event.Kind == engine.Synced }

// TestServerLosesWrites: a server comes back with an older state, and uses revisions again.
// The watch does not take the new values for those that it knows.
func TestServerLosesWrites(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	put := func(key string) uint64 {
		revision, err := e.Write(bg, engine.Write{Key: key, Unconditional: true})
		require.NoError(t, err)
		return revision
	}
	put("kept")
	data, old := s.data(), t.TempDir()
	s.kill()
	require.NoError(t, os.CopyFS(old, os.DirFS(data)))
	require.NoError(t, s.start())
	before, err := e.Position(bg)
	require.NoError(t, err)
	events := follow(t, e)
	until(events, isSynced)
	var last uint64
	for range 5 {
		last = put("lost")
	}
	until(events, func(event engine.Event) bool { return event.Revision == last })
	s.kill()
	require.NoError(t, os.RemoveAll(data))
	require.NoError(t, os.CopyFS(data, os.DirFS(old)))
	require.NoError(t, s.start())
	reset := until(events, func(event engine.Event) bool { return event.Kind == engine.Reset })
	require.NotEqual(t, before.History, reset.History)
	require.Equal(t, "kept", (<-events).Key)
	require.True(t, isSynced(<-events))
}

// TestForeignWrites: what others write is told, and does not keep anybody waiting.
func TestForeignWrites(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	c := s.admin(t)
	events := follow(t, e)
	until(events, isSynced)
	put := func(key string) uint64 {
		r, err := c.Put(bg, key, "x")
		require.NoError(t, err)
		return uint64(r.Header.Revision)
	}
	revision := put("vigil/test/k/key")
	require.Equal(t, engine.Event{Kind: engine.Put, Key: "key", Value: []byte("x"), Revision: revision}, <-events)
	entry, ok, err := e.Get(bg, "key", 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, engine.Entry{Value: []byte("x"), Revision: revision}, entry)

	for _, key := range []string{"vigil/test/other", "vigil/test/x/other"} {
		require.Equal(t, engine.Event{Kind: engine.Synced, Revision: put(key)}, <-events)
	}

	put("vigil/test2/k/key") // nobody tells the watch
	p, err := e.Position(bg)
	require.NoError(t, err)
	require.GreaterOrEqual(t, until(events, isSynced).Revision, p.Revision)

	r, err := c.Txn(bg).Then(clientv3.OpPut("vigil/test/k/a", "1"), clientv3.OpPut("vigil/test/k/b", "2"), clientv3.OpDelete("vigil/test/k/key")).Commit()
	require.NoError(t, err)
	at := uint64(r.Header.Revision)
	for _, event := range []engine.Event{
		{Kind: engine.Skipped}, {Kind: engine.Put, Key: "a", Value: []byte("1"), Revision: at}, {Kind: engine.Put, Key: "b", Value: []byte("2"), Revision: at},
		{Kind: engine.Delete, Key: "key", Revision: at}, {Kind: engine.Synced, Revision: at},
	} {
		require.Equal(t, event, <-events)
	}
}

// TestSyncedAfterAllThatWasThere: a watch that goes on tells Synced when it has told all that was there
// when it was called, also if others have written several keys at once meanwhile.
func TestSyncedAfterAllThatWasThere(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	tell := func(from engine.Position) (to engine.Position, kinds []engine.Kind) {
		ctx, cancel := context.WithCancel(bg)
		err := e.Watch(ctx, from, func(event engine.Event) {
			if ctx.Err() != nil {
				return
			}
			from.History += event.History
			from.Revision = event.Revision
			if kinds = append(kinds, event.Kind); isSynced(event) {
				cancel()
			}
		})
		require.ErrorIs(t, err, context.Canceled)
		return from, kinds
	}
	at, _ := tell(engine.Position{})
	c := s.admin(t)
	for range 2 {
		_, err := c.Txn(bg).Then(clientv3.OpPut("vigil/test/k/a", "1"), clientv3.OpPut("vigil/test/k/b", "2")).Commit()
		require.NoError(t, err)
	}
	last, err := e.Write(bg, engine.Write{Key: "c"})
	require.NoError(t, err)
	at, kinds := tell(at)
	require.Equal(t, last, at.Revision)
	put := engine.Put
	require.Equal(t, []engine.Kind{engine.Skipped, put, put, put, put, put, engine.Synced}, kinds)
}

// TestLargeChanges: what one transaction has written is told at once, also if it comes in several
// messages.
func TestLargeChanges(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	link := enginetest.NewLink(s.dial)
	events := follow(t, s.open(t, s.options(link)))
	until(events, isSynced)
	link.Cut()
	const changes, keys = 5, 3
	large := strings.Repeat("x", 400<<10)
	c := s.admin(t)
	for range changes {
		var puts []clientv3.Op
		for i := range keys {
			puts = append(puts, clientv3.OpPut(fmt.Sprint("vigil/test/k/", i), large))
		}
		_, err := c.Txn(bg).Then(puts...).Commit()
		require.NoError(t, err)
	}
	link.Heal()
	for range changes {
		require.Equal(t, engine.Skipped, (<-events).Kind)
		for i := range keys {
			event := <-events
			require.Equal(t, fmt.Sprint(i), event.Key)
			require.Len(t, event.Value, len(large))
		}
		require.True(t, isSynced(<-events))
	}
}

// TestTellExitsAmidABatch: a watch that has ended amid what belongs together does not go on from
// there.
func TestTellExitsAmidABatch(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	_, err := s.admin(t).Txn(bg).Then(clientv3.OpPut("vigil/test/k/a", "1"), clientv3.OpPut("vigil/test/k/b", "2")).Commit()
	require.NoError(t, err)
	at := engine.Position{}
	require.Panics(t, func() {
		_ = e.Watch(bg, at, func(event engine.Event) {
			at.History += event.History
			if at.Revision = event.Revision; event.Kind == engine.Put {
				panic("x")
			}
		})
	})
	keys := 0
	ctx, cancel := context.WithCancel(bg)
	err = e.Watch(ctx, at, func(event engine.Event) {
		if event.Kind == engine.Put {
			keys++
		}
		if isSynced(event) {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 2, keys)
}

// A mute stream receives nothing.
type mute struct{ grpc.ClientStream }

func (m mute) RecvMsg(any) error {
	<-m.Context().Done()
	return m.Context().Err()
}

// TestMuteStream: a server does not answer that it has made a stream. The watch asks for another
// one.
func TestMuteStream(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	o := s.options(enginetest.NewLink(s.dial))
	var streams atomic.Int32
	o.DialOptions = append(o.DialOptions, grpc.WithChainStreamInterceptor(
		func(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, next grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
			stream, err := next(ctx, d, c, method, options...)
			if err == nil && streams.Add(1) == 1 {
				return mute{stream}, nil
			}
			return stream, err
		}))
	until(follow(t, s.open(t, o)), isSynced)
	require.Equal(t, int32(2), streams.Load())
}

// TestTwoWatches: there is one at a time.
func TestTwoWatches(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	until(follow(t, e), isSynced)
	require.Error(t, e.Watch(bg, engine.Position{}, func(engine.Event) {}))
}

// TestPages: values of many sizes are read anew.
func TestPages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	want := map[string]int{}
	for i := range 300 {
		key, size := fmt.Sprint(i), 0
		if i%30 == 0 {
			size = 100 << 10
		}
		want[key] = size
		_, err := e.Write(bg, engine.Write{Key: key, Value: make([]byte, size)})
		require.NoError(t, err)
	}
	got, last := map[string]int{}, uint64(0)
	until(follow(t, e), func(event engine.Event) bool {
		if event.Kind == engine.Put {
			require.Greater(t, event.Revision, last)
			got[event.Key], last = len(event.Value), event.Revision
		}
		return isSynced(event)
	})
	require.Equal(t, want, got)
}

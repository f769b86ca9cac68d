package etcdengine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/cluster/engine/etcdengine"
)

func TestBadOptions(t *testing.T) {
	t.Parallel()
	some := []string{"http://127.0.0.1:1"}
	for name, o := range map[string]*etcdengine.Options{
		"none":        nil,
		"no bucket":   {Addresses: some},
		"bad bucket":  {Bucket: "a/b", Addresses: some},
		"no server":   {Bucket: "a"},
		"negative":    {Bucket: "a", Addresses: some, AckTimeout: -1},
		"no password": {Bucket: "a", Addresses: some, User: "x"},
		"long prefix": {Bucket: "a", Addresses: some, Prefix: strings.Repeat("x", 1<<20)},
		"no client":   {Bucket: "a", Client: clientv3.NewCtxClient(bg)},
		"TLS or not":  {Bucket: "a", Addresses: []string{"https://127.0.0.1:1", "http://127.0.0.1:1"}},
		"unused TLS":  {Bucket: "a", Addresses: some, TLS: new(tls.Config)},
	} {
		_, err := etcdengine.Open(bg, o)
		require.Error(t, err, name)
	}
}

// TestOpenWaitsForServer: no server is there when Open is called. If none comes, the error
// says why.
func TestOpenWaitsForServer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	link := enginetest.NewLink(s.dial)
	link.Cut()
	for limit, told := 50*time.Millisecond, false; !told; limit *= 2 {
		ctx, cancel := context.WithTimeout(bg, limit)
		_, err := etcdengine.Open(ctx, s.options(link))
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		told = strings.Contains(err.Error(), "the link is down")
	}

	opened := make(chan error, 1)
	go func() {
		e, err := etcdengine.Open(bg, s.options(link))
		if err == nil {
			err = e.Close()
		}
		opened <- err
	}()
	link.Heal()
	require.NoError(t, <-opened)
}

// TestClientStaysOpen: an engine uses a client that is not its own, by an address that no test
// stands behind.
func TestClientStaysOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.admin(t)
	e, err := etcdengine.Open(bg, &etcdengine.Options{Bucket: "test", Prefix: "other/", Client: c})
	require.NoError(t, err)
	_, err = e.Write(bg, engine.Write{Key: "key", Value: []byte("1")})
	require.NoError(t, err)
	require.NoError(t, e.Close())
	r, err := c.Get(bg, "other/test/k/key")
	require.NoError(t, err)
	require.Len(t, r.Kvs, 1)

	e = s.open(t, &etcdengine.Options{Bucket: "test", Client: c})
	require.NoError(t, c.Close())
	_, err = e.Write(bg, engine.Write{Key: "key", Value: []byte("1")})
	require.ErrorIs(t, err, engine.ErrClosed)
	_, _, err = e.Get(bg, "key", 0)
	require.ErrorIs(t, err, engine.ErrClosed)
	require.ErrorIs(t, e.Watch(bg, engine.Position{}, nil), engine.ErrClosed)
}

// A lost write is one whose answer is held back, and which was applied.
func lost(t *testing.T, s *server, w engine.Write) (revision int64, link *enginetest.Link, done chan error, got *atomic.Uint64) {
	link = enginetest.NewLink(s.dial)
	a := s.open(t, s.options(link))
	link.Hold()
	done, got = make(chan error, 1), new(atomic.Uint64)
	go func() {
		revision, err := a.Write(bg, w)
		got.Store(revision)
		done <- err
	}()
	c := s.admin(t)
	for revision == 0 {
		r, err := c.Get(bg, "vigil/test/k/"+w.Key)
		require.NoError(t, err)
		if len(r.Kvs) > 0 {
			revision = r.Kvs[0].ModRevision
		}
	}
	return revision, link, done, got
}

// TestLostAnswerOfReplacedWrite: the success of a write is recognized, also if its value is gone
// when the engine looks.
func TestLostAnswerOfReplacedWrite(t *testing.T) {
	t.Parallel()
	for name, newer := range map[string][]engine.Write{
		"replaced":             {{Key: "key", Value: []byte("2"), Unconditional: true}},
		"deleted":              {{Key: "key", Delete: true, Unconditional: true}},
		"deleted and put anew": {{Key: "key", Delete: true, Unconditional: true}, {Key: "key", Value: []byte("2")}},
	} {
		s := newServer(t)
		revision, link, done, got := lost(t, s, engine.Write{Key: "key", Value: []byte("1")})
		b := s.open(t, s.options(enginetest.NewLink(s.dial)))
		for _, w := range newer {
			_, err := b.Write(bg, w)
			require.NoError(t, err)
		}
		link.Cut()
		link.Heal()
		require.NoError(t, <-done, name)
		require.Equal(t, uint64(revision), got.Load(), name)
	}
}

// TestLostAnswerAndCompaction: nobody can tell any more.
func TestLostAnswerAndCompaction(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, link, done, _ := lost(t, s, engine.Write{Key: "key", Value: []byte("1")})
	b := s.open(t, s.options(enginetest.NewLink(s.dial)))
	_, err := b.Write(bg, engine.Write{Key: "key", Value: []byte("2"), Unconditional: true})
	require.NoError(t, err)
	s.forget(t)
	link.Cut()
	link.Heal()
	require.ErrorIs(t, <-done, engine.ErrUnknown)
}

// TestLostAnswerAndPurge: the write belongs to a history that is over.
func TestLostAnswerAndPurge(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, link, done, _ := lost(t, s, engine.Write{Key: "key", Value: []byte("1")})
	s.purge(t)
	link.Cut()
	link.Heal()
	require.ErrorIs(t, <-done, engine.ErrUnknown)
}

// A meddler lets a transaction that puts a value through, or not, and then says that it was
// canceled, as a proxy may.
type meddler struct {
	through bool
	left    atomic.Int32 // times
	late    func() error // sends what was not let through
}

func (m *meddler) meddle(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, next grpc.UnaryInvoker, options ...grpc.CallOption) error {
	send := func(ctx context.Context, out any) error { return next(ctx, method, in, out, cc, options...) }
	puts := strings.HasSuffix(method, "/Txn") && strings.Contains(fmt.Sprint(in), "vigil/test/k/")
	switch {
	case !puts || m.left.Add(-1) < 0:
		return send(ctx, out)
	case m.through:
		if err := send(ctx, out); err != nil {
			return err
		}
	default:
		m.late = func() error { return send(bg, new(pb.TxnResponse)) }
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return send(ended, out)
	}
	return status.Error(codes.Canceled, "meddled")
}

// meddled returns an engine on whose first put m meddles.
func meddled(t *testing.T, s *server, m *meddler) engine.Engine {
	o := s.options(enginetest.NewLink(s.dial))
	o.DialOptions = append(o.DialOptions, grpc.WithChainUnaryInterceptor(m.meddle))
	m.left.Store(1)
	return s.open(t, o)
}

// TestCanceledByServer: the client would send a transaction again that was canceled, but not by
// its caller.
func TestCanceledByServer(t *testing.T) {
	t.Parallel()
	for _, through := range []bool{true, false} {
		s := newServer(t)
		e := meddled(t, s, &meddler{through: through})
		revision, err := e.Write(bg, engine.Write{Key: "key", Value: []byte("1"), Unconditional: true})
		require.NoError(t, err)
		r, err := s.admin(t).Get(bg, "vigil/test/k/key")
		require.NoError(t, err)
		require.Len(t, r.Kvs, 1)
		require.Equal(t, int64(1), r.Kvs[0].Version, "applied more than once")
		require.Equal(t, uint64(r.Kvs[0].ModRevision), revision)
	}
}

// TestLateRequest: a transaction comes to the server when the engine has given it up.
func TestLateRequest(t *testing.T) {
	t.Parallel()
	for _, w := range []engine.Write{
		{Key: "key", Value: []byte("1"), Unconditional: true}, {Key: "key", Delete: true, Unconditional: true},
	} {
		s := newServer(t)
		m := new(meddler)
		e := meddled(t, s, m)
		_, err := e.Write(bg, w)
		require.NoError(t, err)
		newer, err := e.Write(bg, engine.Write{Key: "key", Value: []byte("2"), Unconditional: true})
		require.NoError(t, err)
		require.NoError(t, m.late())
		entry, ok, err := e.Get(bg, "key", 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, engine.Entry{Value: []byte("2"), Revision: newer}, entry)
	}
}

// leases returns the leases that there are.
func leases(t *testing.T, c *clientv3.Client) int {
	r, err := c.Leases(bg)
	require.NoError(t, err)
	return len(r.Leases)
}

// TestLeasesAreRevoked: no lease is left of a write that was refused, nor of a value that was
// replaced or deleted.
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
	_, err = e.Write(bg, engine.Write{Key: "key", Delete: true, Unconditional: true})
	require.NoError(t, err)
	for leases(t, c) != 0 {
	}
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

// TestLargeValue: what is too large is refused, by the server or by the client, and it is known
// not to have been written.
func TestLargeValue(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	_, err := e.Write(bg, engine.Write{Key: "fits", Value: make([]byte, 1<<20)})
	require.NoError(t, err)
	for _, size := range []int{1800 << 10, 10 << 20} {
		_, err = e.Write(bg, engine.Write{Key: "key", Value: make([]byte, size), TTL: time.Hour})
		require.ErrorContains(t, err, fmt.Sprint(size))
		require.NotErrorIs(t, err, engine.ErrUnknown)
	}
	_, there, err := e.Get(bg, "key", 0)
	require.NoError(t, err)
	require.False(t, there)
	_, err = e.Write(bg, engine.Write{Key: strings.Repeat("x", 1<<16)})
	require.NoError(t, err)
}

// TestStoredValuesOutliveTheServer: what was acknowledged is there when the server has been
// killed, and the history is the same.
func TestStoredValuesOutliveTheServer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
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

var errCause = errors.New("cause")

// TestGiveUpWhileServerIsDown: what was never sent has a known outcome.
func TestGiveUpWhileServerIsDown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := s.open(t, s.options(enginetest.NewLink(s.dial)))
	s.kill()
	for etcdengine.Connected(e) {
	}
	ctx, cancel := context.WithCancelCause(bg)
	done := make(chan error, 1)
	go func() {
		_, err := e.Write(ctx, engine.Write{Key: "key"})
		done <- err
	}()
	cancel(errCause)
	err := <-done
	require.ErrorIs(t, err, errCause)
	require.NotErrorIs(t, err, engine.ErrUnknown)
}

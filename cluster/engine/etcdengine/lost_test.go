package etcdengine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/enginetest"
	"github.com/vigil-go/vigil/cluster/engine/etcdengine"
)

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

package etcdengine_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

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

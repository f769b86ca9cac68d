package enginetest

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// loseAck starts a write whose answer is held back, and returns when another engine has
// seen that it was applied.
func loseAck(ctx context.Context, t *testing.T, s *Store, w engine.Write) (c chan result, a, b engine.Engine, link *Link, view *View) {
	a, link = s.Open(t)
	b, _ = s.Open(t)
	view = watch(t, b, engine.Position{})
	view.wait(func() bool { return view.Synced > 0 })
	if w.Delete {
		must(t, b, put(w.Key, "0"))
	}
	told := view.count(w.Key)
	link.Hold()
	c = start(ctx, a, w)
	view.wait(func() bool { return view.lowest[w.Key] > told })
	return c, a, b, link, view
}

// count returns the newest revision of the key that was told, after everything was.
func (v *View) count(key string) uint64 {
	v.wait(func() bool { return !v.Partial })
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lowest[key]
}

// testLostAck: the answer is lost, and one's own success is recognized.
func testLostAck(t *testing.T, s *Store) {
	c, a, _, link, view := loseAck(context.Background(), t, s, put("key", "1"))
	link.Cut()
	link.Heal()
	r := <-c
	require.NoError(t, r.err)
	require.Equal(t, view.count("key"), r.revision)
	_, revision, ok := get(t, a, "key")
	require.True(t, ok)
	require.Equal(t, r.revision, revision, "the write was applied twice")
}

func testLostAckOfCreate(t *testing.T, s *Store) {
	c, _, _, link, view := loseAck(context.Background(), t, s, engine.Write{Key: "key", Value: []byte("1")})
	link.Cut()
	link.Heal()
	r := <-c
	require.NoError(t, r.err, "one's own success is no conflict")
	require.Equal(t, view.count("key"), r.revision)
}

func testLostAckOfDelete(t *testing.T, s *Store) {
	c, _, b, link, view := loseAck(context.Background(), t, s, remove("key"))
	link.Cut()
	link.Heal()
	r := <-c
	require.NoError(t, r.err)
	require.Empty(t, view.has(b))
}

// testLostAckAndNewerWrite: a write that was applied is not applied again after a newer one.
func testLostAckAndNewerWrite(t *testing.T, s *Store) {
	c, a, b, link, view := loseAck(context.Background(), t, s, put("key", "old"))
	applied := view.count("key")
	newer := must(t, b, put("key", "new"))
	link.Cut()
	link.Heal()
	r := <-c
	if r.err == nil {
		require.Equal(t, applied, r.revision)
	} else {
		require.ErrorIs(t, r.err, engine.ErrUnknown)
	}
	value, revision, _ := get(t, a, "key")
	require.Equal(t, "new", value)
	require.Equal(t, newer, revision)
}

func testLostAckAndEnd(t *testing.T, s *Store) {
	cause := errors.New("cause")
	ctx, cancel := context.WithCancelCause(context.Background())
	c, _, _, link, _ := loseAck(ctx, t, s, put("key", "1"))
	cancel(cause)
	r := <-c
	require.ErrorIs(t, r.err, engine.ErrUnknown)
	require.ErrorIs(t, r.err, context.Canceled)
	require.ErrorIs(t, r.err, cause)
	link.Heal()
}

func testLostAckAndClose(t *testing.T, s *Store) {
	c, a, _, link, _ := loseAck(context.Background(), t, s, put("key", "1"))
	link.Cut()
	require.NoError(t, a.Close())
	r := <-c
	require.ErrorIs(t, r.err, engine.ErrUnknown)
	require.ErrorIs(t, r.err, engine.ErrClosed)
}

// testWriteWaits: a write waits until the server can be reached, and if it is given up
// before that, it is known not to have been applied.
func testWriteWaits(t *testing.T, s *Store) {
	e, link := s.Open(t)
	must(t, e, put("before", ""))
	link.Cut()
	ctx, cancel := context.WithCancel(context.Background())
	given := start(ctx, e, put("given up", ""))
	waits := start(context.Background(), e, put("waits", ""))
	cancel()
	r := <-given
	require.ErrorIs(t, r.err, context.Canceled)
	unknown := errors.Is(r.err, engine.ErrUnknown) // the engine may not have noticed the cut
	link.Heal()
	require.NoError(t, (<-waits).err)
	_, _, ok := get(t, e, "given up")
	require.False(t, ok && !unknown)
}

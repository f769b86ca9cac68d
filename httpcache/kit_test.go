package httpcache

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A kit is a stream that a test writes by hand, and the owner of its body.
type kit struct {
	*stream
	budget *budget
	ctx    context.Context // of the fetch
	ended  chan error      // told why the fetch is to end

	mu          sync.Mutex
	evictions   int
	detachments int
	breaks      []error
}

func (k *kit) evicted(*body) { k.mu.Lock(); k.evictions++; k.mu.Unlock() }
func (k *kit) detached()     { k.mu.Lock(); k.detachments++; k.mu.Unlock() }
func (k *kit) broke(e error) { k.mu.Lock(); k.breaks = append(k.breaks, e); k.mu.Unlock() }

const testBudget = 64 * chunkSize

func newStream(t testing.TB, kept bool, changes ...func(*streamOptions)) *kit {
	return newStreamIn(t, &budget{max: testBudget}, kept, changes...)
}

func newStreamIn(t testing.TB, g *budget, kept bool, changes ...func(*streamOptions)) *kit {
	o := streamOptions{announced: -1, limit: testBudget, window: 4, maxDelay: time.Second, unreadTimeout: 5 * time.Second}
	for _, change := range changes {
		change(&o)
	}
	k := &kit{budget: g, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancelCause(t.Context())
	k.ctx = ctx
	k.stream = newBody(g, k, kept, o, func(err error) { k.ended <- err; cancel(err) }).stream.Load()
	t.Cleanup(func() { k.leaving.Stop(); cancel(nil) })
	return k
}

// write has n bytes arrive, which count up. It does not wait for room.
func (k *kit) write(n int) {
	for n > 0 {
		buf, _ := k.rest()
		if len(buf) == 0 && !k.grow() {
			panic("no room")
		}
		m := min(n, len(buf))
		if copy(buf[:m], content(k.size)); m > 0 {
			k.add(m)
		}
		n -= m
	}
}

// pattern is repeated in the body of every test.
var pattern = func() []byte {
	const period = 65_521 // no multiple of a chunk
	p := make([]byte, period)
	rand.NewChaCha8([32]byte{}).Read(p)
	return append(p, p...)
}()

// content is what follows an offset in the body of every test, for more than a
// chunk.
func content(off int64) []byte { return pattern[off%int64(len(pattern)/2):][:len(pattern)/2] }

// isContent reports whether p is at that offset of the body.
func isContent(p []byte, off int64) bool { return bytes.Equal(p, content(off)[:len(p)]) }

// A supply is a body of n bytes, which comes in pieces of any size.
type supply struct {
	off, n int64
	piece  func() int
	err    error
}

func (s *supply) Read(p []byte) (int, error) {
	if s.off == s.n {
		return 0, s.err
	}
	n := int(min(int64(len(p)), int64(s.piece()), s.n-s.off))
	copy(p[:n], content(s.off))
	s.off += int64(n)
	return n, nil
}

func whole(n int64) *supply {
	return &supply{n: n, piece: func() int { return 1 << 20 }, err: io.EOF}
}

// arrive has src arrive to its end.
func (k *kit) arrive(src io.Reader) error {
	err := k.fill(k.ctx, src, func() {}, func() {})
	k.finish(err)
	return err
}

// join returns a reader that has a reference.
func (k *kit) join(t testing.TB) *reader {
	require.True(t, k.body.open())
	r, ok := k.follow()
	require.True(t, ok)
	return r
}

// leave is the end of a reader.
func leave(r *reader) {
	r.close()
	r.s.body.release()
}

// take reads n bytes and checks them.
func take(t testing.TB, r *reader, n int64) {
	for got := int64(0); got < n; {
		p, err := r.next(t.Context())
		require.NoError(t, err)
		require.True(t, isContent(p, r.off))
		got += int64(len(p))
	}
}

// readSection reads all of a whole body of n bytes, and checks it.
func readSection(t testing.TB, b *body, n int64) {
	all := &section{body: b}
	for buf := make([]byte, chunkSize); all.off < n; {
		m, err := all.Read(buf)
		require.NoError(t, err)
		require.True(t, isContent(buf[:m], all.off-int64(m)))
	}
	_, err := all.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.Equal(t, n, all.off)
}

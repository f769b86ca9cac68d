package waitmap_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// counter is a waker that counts its calls.
type counter struct{ n atomic.Int32 }

func (c *counter) Wake()       { c.n.Add(1) }
func (c *counter) woken() bool { return c.n.Load() > 0 }

var _ wake.Registration = (*waitmap.Future[int])(nil)

func requireResult[V any](t testing.TB, f *waitmap.Future[V], want V, target error) {
	t.Helper()
	v, done, err := f.Result()
	require.True(t, done)
	if target == nil {
		require.NoError(t, err)
	} else {
		require.ErrorIs(t, err, target)
	}
	require.Equal(t, want, v)
}

func requireUndone[V any](t testing.TB, f *waitmap.Future[V]) {
	t.Helper()
	v, done, err := f.Result()
	require.False(t, done)
	require.NoError(t, err)
	require.Zero(t, v)
}

// TestHazardInLineBeforeTheRequest: Register returns in line, so an answer
// that comes before the first wait is not missed.
func TestHazardInLineBeforeTheRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		var w counter
		f := m.Register("a", &w)
		require.Equal(t, 1, m.Waiters("a"))
		requireUndone(t, f)
		require.False(t, w.woken())
		m.Store("a", 1) // the answer
		m.Delete("a")
		require.True(t, w.woken(), "the waker runs before the store returns")
		requireResult(t, f, 1, nil)
		for range 3 { // not consumed by looking
			v, err := f.Wait(doneCtx())
			require.NoError(t, err)
			require.Equal(t, 1, v)
		}
		require.False(t, f.Stop())
		requireResult(t, f, 1, nil)
		requireIdle(t, m)
	})
}

func TestRegisterOnPresentKey(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		var w counter
		f := m.Register("a", &w)
		require.True(t, w.woken())
		requireResult(t, f, 1, nil)
		require.False(t, f.Stop())
		requireIdle(t, m)
		m.Store("a", 2)
		requireResult(t, f, 1, nil)
		requireResult(t, m.Register("a", nil), 2, nil)
		require.Equal(t, 1, m.Len(), "nothing was taken")
	})
}

func TestRegisterManyAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		const n = 300 // more than a batch of wakers
		fs := make([]*waitmap.Future[int], n)
		ws := make([]counter, n)
		for i := range fs {
			fs[i] = m.Register("a", &ws[i])
		}
		require.Equal(t, n, m.Waiters("a"))
		for i := 0; i < n; i += 3 {
			require.True(t, fs[i].Stop())
		}
		m.Store("a", 1)
		m.Store("a", 2)
		for i := range fs {
			if i%3 == 0 {
				requireResult(t, fs[i], 0, waitmap.ErrCanceled)
				require.False(t, ws[i].woken(), "Stop prevented the wake")
			} else {
				requireResult(t, fs[i], 1, nil)
				require.True(t, ws[i].woken())
			}
		}
		requireIdle(t, m)
	})
}

func TestFutureStop(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		var w counter
		f := m.Register("a", &w)
		require.True(t, f.Stop())
		require.False(t, f.Stop())
		requireIdle(t, m)
		_, err := f.Wait(bg)
		require.ErrorIs(t, err, waitmap.ErrCanceled)
		m.Store("a", 1)
		requireResult(t, f, 0, waitmap.ErrCanceled)
		require.False(t, w.woken())
		require.Zero(t, m.Cancel("a"))
	})
}

// TestFutureStopReleasesItsWaiters: those inside Wait get ErrCanceled.
func TestFutureStopReleasesItsWaiters(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		f := m.Register("a", nil)
		a := startIn(func() (int, error) { return f.Wait(bg) })
		b := startIn(func() (int, error) { return f.Wait(bg) })
		require.Equal(t, 1, m.Waiters("a"), "a Future is one waiter, however many wait on it")
		require.True(t, f.Stop())
		requireError(t, waitmap.ErrCanceled, a)
		requireError(t, waitmap.ErrCanceled, b)
		requireIdle(t, m)
	})
}

func TestFutureManyWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		const n = 20
		var w counter
		f := m.Register("a", &w)
		ws := make([]<-chan result[int], n)
		cancels := make([]func(), n)
		for i := range ws {
			ctx, cancel := context.WithCancel(bg)
			cancels[i] = cancel
			ws[i] = startIn(func() (int, error) { return f.Wait(ctx) })
		}
		for i := 0; i < n; i += 2 {
			cancels[i]()
			requireError(t, context.Canceled, ws[i])
		}
		require.Equal(t, 1, m.Waiters("a"), "a Future whose Wait failed stays in line")
		requireUndone(t, f)
		require.False(t, w.woken())
		m.Store("a", 1)
		for i := 1; i < n; i += 2 {
			requireValue(t, 1, ws[i])
			cancels[i]()
		}
		require.True(t, w.woken())
		requireResult(t, f, 1, nil)
	})
}

// TestFutureWaitFailedThenServed: in line until Stop.
func TestFutureWaitFailedThenServed(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		f := m.Register("a", nil)
		for range 5 {
			_, err := f.Wait(doneCtx())
			require.ErrorIs(t, err, context.Canceled)
		}
		require.Equal(t, 1, m.Waiters("a"))
		m.Store("a", 3)
		v, err := f.Wait(doneCtx())
		require.NoError(t, err)
		require.Equal(t, 3, v)
	})
}

func TestFutureNilContext(t *testing.T) {
	var m intMap
	f := m.Register("a", nil)
	require.Contains(t, panicText(t, func() { f.Wait(nilCtx) }), "nil context")
	require.True(t, f.Stop())
}

// TestWakerForSelect uses the channel adapter.
func TestWakerForSelect(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		c := make(wake.Chan, 1)
		f := m.Register("a", c)
		select {
		case <-c:
			t.Fatal("woken early")
		default:
		}
		go m.Store("a", 1)
		<-c
		requireResult(t, f, 1, nil)
	})
}

// TestHazardWakerCallsBack: a waker may store into the same key, cancel,
// stop and register; no lock is held while it runs.
func TestHazardWakerCallsBack(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		var chain *waitmap.Future[int]
		m.Register("a", wake.Func(func() {
			v, ok := m.Load("a")
			require.True(t, ok, "the value is visible to a waker")
			require.Equal(t, 1, v)
			m.Delete("a")
			chain = m.Register("a", wake.Func(func() { m.Delete("a"); m.Store("b", 5) }))
			m.Store("a", 2)
			require.Zero(t, m.Cancel("a"))
			waitingKeys(m)
			m.CancelAll()
		}))
		m.Store("a", 1)
		requireResult(t, chain, 2, nil)
		requireContents(t, map[string]int{"b": 5}, m)

		for name, release := range map[string]func(){
			"Cancel":    func() { m.Cancel("x") },
			"CancelAll": func() { m.CancelAll() },
			"Close":     func() { m.Close() },
		} {
			ran := 0
			m.Register("x", wake.Func(func() { m.Store("x", ran); m.Delete("x"); m.Cancel("y"); ran++ }))
			f := m.Register("y", nil)
			release()
			require.Equal(t, 1, ran, name)
			requireResult(t, f, 0, errOneOf(f))
		}
		requireIdle(t, m)
	})
}

// errOneOf is the error of f, which is one of the two that a release returns.
func errOneOf(f *waitmap.Future[int]) error {
	if _, _, err := f.Result(); err == waitmap.ErrClosed {
		return waitmap.ErrClosed
	}
	return waitmap.ErrCanceled
}

// TestWakerStoresItsOwnKeyForEver: a relay of wakers, each storing the next.
func TestWakerRelay(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		const n = 200
		var relay func(i int)
		relay = func(i int) {
			m.Register("a", wake.Func(func() {
				if i < n {
					m.Delete("a")
					relay(i + 1)
					m.Store("a", i+1)
				}
			}))
		}
		relay(0)
		m.Store("a", 0)
		requireContents(t, map[string]int{"a": n}, m)
		requireIdle(t, m)
	})
}

// TestWakerPanics: the panic reaches the storer; the map stays usable and the
// value is stored. What becomes of wakers behind it is not specified, but no
// value is lost: their futures are done.
func TestWakerPanics(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Register("a", wake.Func(func() { panic("bad waker") }))
		f := m.Register("a", nil)
		require.Equal(t, "bad waker", panicText(t, func() { m.Store("a", 1) }))
		requireResult(t, f, 1, nil)
		requireContents(t, map[string]int{"a": 1}, m)
		requireIdle(t, m)
		m.Store("a", 2)
		m.Delete("a")
		require.Zero(t, m.Len())
	})
}

// TestStopInsideOtherWaker: one waker stops the Future behind it in line,
// which got its value from the same store.
func TestStopInsideOtherWaker(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		var second *waitmap.Future[int]
		stopped := true
		m.Register("a", wake.Func(func() { stopped = second.Stop() }))
		second = m.Register("a", nil)
		m.Store("a", 1)
		require.False(t, stopped)
		requireResult(t, second, 1, nil)
		synctest.Wait()
	})
}

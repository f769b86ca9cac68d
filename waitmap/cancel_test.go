package waitmap_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

func TestErrorsAreDistinct(t *testing.T) {
	require.NotErrorIs(t, waitmap.ErrClosed, waitmap.ErrCanceled)
	require.NotErrorIs(t, waitmap.ErrCanceled, waitmap.ErrClosed)
	for _, err := range []error{waitmap.ErrClosed, waitmap.ErrCanceled} {
		require.NotErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		require.Contains(t, err.Error(), "waitmap: ")
	}
}

func TestCancel(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		require.Zero(t, m.Cancel("a"))
		w1 := wait.start(m, bg, "a")
		w2 := wait.start(m, bg, "a")
		other := wait.start(m, bg, "b")
		require.Equal(t, 2, m.Cancel("a"))
		require.Zero(t, m.Waiters("a"), "at once, not when the waiters run")
		require.Zero(t, m.Cancel("a"))
		requireError(t, waitmap.ErrCanceled, w1)
		r := <-w2
		require.ErrorIs(t, r.err, waitmap.ErrCanceled)
		require.NotErrorIs(t, r.err, waitmap.ErrClosed)
		require.Zero(t, r.v)
		synctest.Wait()
		requirePending(t, other)

		later := wait.start(m, bg, "a") // Cancel does not affect later waits
		requirePending(t, later)
		m.Store("a", 1)
		requireValue(t, 1, later)
		m.Store("b", 2)
		requireValue(t, 2, other)
		requireIdle(t, m)
	})
}

func TestCancelLeavesTheValue(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		w := waitFun(waits["WaitNext"]).start(m, bg, "a")
		require.Equal(t, 1, m.Cancel("a"))
		requireError(t, waitmap.ErrCanceled, w)
		requireContents(t, map[string]int{"a": 1}, m)
		require.Zero(t, m.CancelAll())
	})
}

func TestCancelCause(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		require.Zero(t, m.CancelCause("a", io.EOF))
		w := wait.start(m, bg, "a")
		require.Equal(t, 1, m.CancelCause("a", io.EOF))
		r := <-w
		require.ErrorIs(t, r.err, waitmap.ErrCanceled)
		require.ErrorIs(t, r.err, io.EOF)
		require.NotErrorIs(t, r.err, waitmap.ErrClosed)

		w = wait.start(m, bg, "a")
		wrapped := errors.Join(errors.New("outer"), io.ErrUnexpectedEOF)
		m.CancelCause("a", wrapped)
		requireError(t, io.ErrUnexpectedEOF, w)

		w = wait.start(m, bg, "a")
		require.Equal(t, 1, m.CancelCause("a", nil))
		requireError(t, waitmap.ErrCanceled, w)
		requireIdle(t, m)
	})
}

func TestCancelReachesFutures(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		var c counter
		f := m.Register("a", &c)
		w := startIn(func() (int, error) { return f.Wait(bg) })
		require.Equal(t, 1, m.CancelCause("a", io.EOF))
		require.True(t, c.woken())
		requireResult(t, f, 0, waitmap.ErrCanceled)
		requireResult(t, f, 0, io.EOF)
		requireError(t, io.EOF, w)
		require.False(t, f.Stop())
		requireResult(t, f, 0, io.EOF)
		m.Store("a", 1)
		requireResult(t, f, 0, io.EOF)
	})
}

func TestCancelAll(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		synctest.Test(t, func(t *testing.T) {
			m := newMap()
			require.Zero(t, m.CancelAll())
			const keys, each = 100, 3
			var fs []*waitmap.Future[int]
			cs := make([]counter, keys*each)
			for i := range keys * each {
				if i%each == 0 && i%2 == 0 {
					m.Store(i/each, 1)
					m.Delete(i / each)
				}
				fs = append(fs, m.Register(i/each, &cs[i]))
			}
			w := startIn(func() (int, error) { return m.Take(bg, 1000) })
			require.Equal(t, keys*each+1, m.CancelAll())
			requireIdle(t, m)
			require.Zero(t, m.CancelAll())
			for i, f := range fs {
				requireResult(t, f, 0, waitmap.ErrCanceled)
				require.True(t, cs[i].woken())
			}
			requireError(t, waitmap.ErrCanceled, w)
			f := m.Register(1, nil)
			requireUndone(t, f)
			require.True(t, f.Stop())
		})
	})
}

func TestClose(t *testing.T) {
	overWaits(t, func(t *testing.T, m *intMap, wait waitFun) {
		m.Store("there", 1)
		w := wait.start(m, bg, "a")
		require.NoError(t, m.Close())
		requireIdle(t, m)
		r := <-w
		require.ErrorIs(t, r.err, waitmap.ErrClosed)
		require.NotErrorIs(t, r.err, waitmap.ErrCanceled)

		_, err := wait(m, bg, "a") // now and later
		require.ErrorIs(t, err, waitmap.ErrClosed)
		requireIdle(t, m)
		require.NoError(t, m.Close())
		require.Zero(t, m.Cancel("a"))
		require.Zero(t, m.CancelAll())

		requireContents(t, map[string]int{"there": 1}, m) // loads still work
		m.Store("a", 2)                                   // stores still store
		m.Swap("b", 3)
		m.LoadOrStore("c", 4)
		m.Compute("d", func(int, bool) (int, waitmap.Op) { return 5, waitmap.StoreOp })
		m.Delete("there")
		requireContents(t, map[string]int{"a": 2, "b": 3, "c": 4, "d": 5}, m)
	})
}

// TestClosePresentKey: a present key is still returned, changed and taken.
func TestClosePresentKey(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		m.Store("a", 1)
		m.Close()
		v, err := m.Wait(bg, "a")
		require.NoError(t, err)
		require.Equal(t, 1, v)
		v, err = m.WaitFor(bg, "a", always)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		requireResult(t, m.Register("a", nil), 1, nil)
		_, err = m.WaitNext(bg, "a")
		require.ErrorIs(t, err, waitmap.ErrClosed)
		v, err = m.WaitCompute(bg, "a", func(old int) (int, waitmap.Op) { return old + 1, waitmap.StoreOp })
		require.NoError(t, err)
		require.Equal(t, 2, v)
		v, err = m.Take(bg, "a")
		require.NoError(t, err)
		require.Equal(t, 2, v)
		_, err = m.Take(bg, "a")
		require.ErrorIs(t, err, waitmap.ErrClosed)
		require.Zero(t, m.Len())
	})
}

func TestCloseReachesFutures(t *testing.T) {
	inBubble(t, func(t *testing.T, m *intMap) {
		var before, after counter
		f := m.Register("a", &before)
		m.Close()
		require.True(t, before.woken())
		requireResult(t, f, 0, waitmap.ErrClosed)
		f = m.Register("a", &after)
		require.True(t, after.woken())
		requireResult(t, f, 0, waitmap.ErrClosed)
		require.False(t, f.Stop())
		_, err := f.Wait(bg)
		require.ErrorIs(t, err, waitmap.ErrClosed)
	})
}

// TestCloseOfZeroMap: Close may be the first call.
func TestCloseOfZeroMap(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		require.NoError(t, m.Close())
		_, err := m.Wait(bg, "a")
		require.ErrorIs(t, err, waitmap.ErrClosed)
		for i := range manyKeys { // growth keeps it closed
			m.Store(string(rune('a'+i)), i)
		}
		_, err = m.Take(bg, "absent")
		require.ErrorIs(t, err, waitmap.ErrClosed)
		m.Clear()
		_, err = m.Wait(bg, "a")
		require.ErrorIs(t, err, waitmap.ErrClosed)
	})
}

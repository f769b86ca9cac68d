package waitq_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// committing returns a case of s with a Commit.
func (s *stock) committing(f func(ctx context.Context) (done bool, err error)) *taking {
	c := s.on(1, nil)
	c.Commit = f
	return c
}

// TestSelectBeginsAgain if the case that it has chosen has not happened: in order, with all
// cases, and as long as that goes on.
func TestSelectBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b stock
		commits := 0
		ended := errors.New("ended")
		var other *taking
		first := a.committing(func(ctx context.Context) (bool, error) {
			require.NoError(t, ctx.Err())
			require.Zero(t, a.waiters()+b.waiters(), "the Select is in no line")
			require.Equal(t, time.Duration(commits)*time.Second, other.Elapsed)
			time.Sleep(time.Second)
			commits++
			return commits == 4, ended
		})
		other = b.on(1, nil)
		c := goSelect(bg, first, other)
		for n := 1; n <= 4; n++ {
			synctest.Wait()
			require.Empty(t, c)
			a.put(1)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, n, commits)
		}
		require.Equal(t, selectResult{0, ended}, <-c)
		require.Zero(t, other.Elapsed)
		requireStock(t, 0, &a)
		requireStock(t, 0, &b)
	})
}

// TestSelectTriesTheNextCase when the first one has not happened.
func TestSelectTriesTheNextCase(t *testing.T) {
	var a, b stock
	a.put(3)
	b.put(1)
	commits := 0
	refused := func(context.Context) (bool, error) { commits++; return false, nil }
	i, err := waitq.Select(bg, []wake.Case{a.committing(refused), b.on(1, nil)})
	require.Equal(t, selectResult{1, nil}, selectResult{i, err})
	require.Equal(t, 3, commits)
	requireStock(t, 0, &a)

	ctx, cancel := context.WithCancel(bg)
	a.put(1)
	i, err = waitq.Select(ctx, []wake.Case{a.committing(func(context.Context) (bool, error) { cancel(); return false, nil })})
	require.Equal(t, -1, i)
	require.ErrorIs(t, err, context.Canceled)
	requireStock(t, 0, &b)
}

// TestSelectCommitMisbehaves: the Select is in no line, and nothing is used again that is in
// use.
func TestSelectCommitMisbehaves(t *testing.T) {
	for how, strike := range strikes {
		synctest.Test(t, func(t *testing.T) {
			var a, b stock
			c := goSelect(bg, a.committing(func(context.Context) (bool, error) { strike(); return true, nil }), b.on(1, nil))
			synctest.Wait()
			a.put(1)
			_, returned := <-c
			require.False(t, returned, how)
			requireStock(t, 0, &a)
			requireStock(t, 0, &b)
		})
	}
}

package uringwake

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCancelBesideResult: Cancel does nothing to an operation that has ended, so that
// others may read its result meanwhile. The race detector looks on.
func TestCancelBesideResult(t *testing.T) {
	l := startedLoop(t)
	a, _ := socketPair(t)
	var s *Submission
	require.NoError(t, l.Go(background, func(ctx context.Context) {
		s = Start(ctx, RecvOp(a, make([]byte, 1), 0))
	}))
	require.NoError(t, l.Close(background))
	var all sync.WaitGroup
	all.Go(func() {
		for range 10_000 {
			s.Cancel()
		}
	})
	for range 10_000 {
		_, done := s.Result()
		require.True(t, done)
	}
	all.Wait()
}

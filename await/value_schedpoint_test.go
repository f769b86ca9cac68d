//go:build vigil_schedpoint

package await_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/schedpoint"
)

// TestValueStoredAsTheContextEnds: the version can be loaded, its waiter is not woken yet,
// and the context ends. The waiter returns the version.
func TestValueStoredAsTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v await.Value[int]
		ctx, cancel := context.WithCancel(t.Context())
		w := waitNewer(ctx, &v, 0)
		synctest.Wait()
		defer schedpoint.Hold(schedpoint.ValueStored, func() {
			cancel()
			synctest.Wait()
		})()
		v.Store(5)
		require.Equal(t, seen{5, 1, nil}, <-w)
		require.Zero(t, v.Waiters())
	})
}

// TestValueStoredBeforeTheLine: a version is stored after a waiter has found none.
func TestValueStoredBeforeTheLine(t *testing.T) {
	overNewerWaits(t, func(t *testing.T, wait func(context.Context, *await.Value[int], uint64) <-chan seen) {
		var v await.Value[int]
		stored := false
		defer schedpoint.Hold(schedpoint.ValueEnters, func() {
			if !stored {
				stored = true
				v.Store(5)
			}
		})()
		require.Equal(t, seen{5, 1, nil}, <-wait(t.Context(), &v, 0))
		require.True(t, stored)
		require.Zero(t, v.Waiters())
	})
}

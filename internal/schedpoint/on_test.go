//go:build vigil_schedpoint

package schedpoint

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestHold checks that a goroutine that passes a point calls the function held
// there, until that is released.
func TestHold(t *testing.T) {
	n := 0
	release := Hold(MapRead, func() { n++ })
	At(MapRead)
	At(MapView)
	require.Equal(t, 1, n)
	release()
	At(MapRead)
	require.Equal(t, 1, n)

	first := Hold(MapRead, func() { n = 100 })
	defer Hold(MapRead, func() { n = 200 })()
	first() // has no effect: another Hold has replaced it
	At(MapRead)
	require.Equal(t, 200, n)
}

// TestShake checks that the seeds together delay goroutines at every point, and that
// a stopped Shake delays none.
func TestShake(t *testing.T) {
	for seed := range uint64(200) {
		stop := Shake(seed, seed%2 == 0)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for p := range points {
					At(p)
				}
			})
		}
		all.Wait()
		stop()
		for p := range points {
			require.Nil(t, holds[p].Load())
		}
	}
	for p, n := range Held() {
		require.NotZero(t, n, p)
	}
	require.Len(t, Held(), int(points))
}

//go:build vigil_yield

package yield

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHold: who passes calls what is there, until that is released.
func TestHold(t *testing.T) {
	n := 0
	release := Hold(MapRead, func() { n++ })
	At(MapRead)
	At(MapDoor)
	require.Equal(t, 1, n)
	release()
	At(MapRead)
	require.Equal(t, 1, n)

	first := Hold(MapRead, func() { n = 100 })
	defer Hold(MapRead, func() { n = 200 })()
	first() // not its own any more
	At(MapRead)
	require.Equal(t, 200, n)
}

// TestShake: some seeds hold up some points, all seeds together all of them,
// and what has stopped holds up nobody.
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

package striped_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/striped"
)

// TestOfDiffers between goroutines that exist at one time.
func TestOfDiffers(t *testing.T) {
	stripes := make([]int, 64)
	var mu sync.Mutex
	var ready, all sync.WaitGroup
	ready.Add(len(stripes))
	for range len(stripes) {
		all.Go(func() {
			s := striped.Of(stripes)
			mu.Lock()
			*s++
			mu.Unlock()
			ready.Done()
			ready.Wait() // the stack is not another goroutine's meanwhile
		})
	}
	all.Wait()
	used, sum := 0, 0
	for _, n := range stripes {
		if sum += n; n > 0 {
			used++
		}
	}
	require.Equal(t, len(stripes), sum)
	require.Greater(t, used, len(stripes)/8)
}

// TestOfOneStripe: there may be one only.
func TestOfOneStripe(t *testing.T) {
	one := make([]int, 1)
	require.Same(t, &one[0], striped.Of(one))
}

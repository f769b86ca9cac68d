package dedup

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestAPlaceForALoadThatIsCanceled (golang/go#63615): a load in line that
// gets a place and is canceled before it runs does not run, and passes it on.
func TestAPlaceForALoadThatIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1)
		first, second, third := new(loadContext), new(loadContext), new(loadContext)
		require.NoError(t, p.take(first))
		got, last := make(chan error, 1), make(chan error, 1)
		go func() { got <- p.take(second) }()
		synctest.Wait()
		go func() { last <- p.take(third) }()
		synctest.Wait()

		nesting.Lock()
		seated := first.node.giveBack()
		nesting.Unlock()
		cause := errors.New("the cause")
		second.cancel(cause)
		synctest.Wait()
		wakeSeated(seated)
		require.ErrorIs(t, <-got, cause)
		require.NoError(t, <-last)
		p.leave(third)
		require.Equal(t, 1, p.free)
	})
}

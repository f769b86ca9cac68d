package load

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// TestASlotForALoadThatIsCanceled (golang/go#63615): a load in line that
// gets a slot and is canceled before it runs does not run, and passes it on.
func TestASlotForALoadThatIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewSlots(1)
		first, second, third := new(Context), new(Context), new(Context)
		require.NoError(t, p.Acquire(first))
		got, last := make(chan error, 1), make(chan error, 1)
		go func() { got <- p.Acquire(second) }()
		synctest.Wait()
		go func() { last <- p.Acquire(third) }()
		synctest.Wait()

		nesting.Lock()
		granted := first.node.giveBack()
		nesting.Unlock()
		cause := errors.New("the cause")
		second.Cancel(cause)
		synctest.Wait()
		wakeGranted(granted)
		require.ErrorIs(t, <-got, cause)
		require.NoError(t, <-last)
		p.Release(third)
		require.Equal(t, 1, p.free)
	})
}

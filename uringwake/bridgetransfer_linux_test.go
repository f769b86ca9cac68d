package uringwake

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// interrupting is a context that interrupts a call when it is asked for its parker for
// the nth time.
type interrupting struct {
	context.Context
	n atomic.Int32
	i *bridge.Interrupter
}

func (c *interrupting) Value(key any) any {
	if c.n.Add(-1) == 0 {
		c.i.Interrupt()
	}
	return c.Context.Value(key)
}

// TestInterruptBeforeTheKernelHasIt comes at every point between the begin of a Read and
// its sleep.
func TestInterruptBeforeTheKernelHasIt(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	var fds [2]int
	require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	for range 20 {
		for n := int32(1); ; n++ {
			ctx := &interrupting{Context: context.Background(), i: new(bridge.Interrupter)}
			ctx.n.Store(n)
			result := make(chan error, 1)
			go func() {
				_, err := bridge.Read(ctx, fds[0], make([]byte, 1), -1, ctx.i)
				result <- err
			}()
			testkit.SpinUntil(func() bool { return ctx.n.Load() <= 0 || isInFlight(t) })
			late := ctx.n.Load() > 0 // it has asked less often
			if late {
				ctx.i.Interrupt()
			}
			require.ErrorIs(t, <-result, bridge.ErrInterrupted)
			if late {
				break
			}
		}
	}
}

// isInFlight reports whether goroutines have an operation in flight.
func isInFlight(t *testing.T) bool {
	d, err := defaultGoroutineDriver()
	require.NoError(t, err)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops.inFlight() > 0
}

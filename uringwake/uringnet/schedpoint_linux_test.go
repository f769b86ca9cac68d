//go:build vigil_schedpoint

package uringnet_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// TestContextEndsAfterALateInterrupt: a context that ends while a late interrupt is looked at
// ends the read.
func TestContextEndsAfterALateInterrupt(t *testing.T) {
	skipWithoutRing(t)
	a, _ := pair(t, "tcp")
	ctx := newWatched()
	read := world{t, nil}.start(func(context.Context) {
		_, err := a.ReadContext(ctx, make([]byte, 1))
		require.ErrorIs(t, err, context.Canceled)
	})
	asleep(a, false)
	release := schedpoint.Hold(schedpoint.SleepEnds, sync.OnceFunc(func() {
		close(ctx.done)
		uringnet.InterruptLate(a, false) // this one is in time
	}))
	defer release()
	uringnet.InterruptLate(a, false)
	<-read
}

package uringwake

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDoorIsHeldOpen by a signaler until its call has returned.
func TestDoorIsHeldOpen(t *testing.T) {
	var d door
	d.announce()
	require.True(t, d.claim())
	var shut atomic.Bool
	done := make(chan struct{})
	go func() {
		d.close()
		shut.Store(true)
		close(done)
	}()
	for d.word.Load()&phaseMask != closed {
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
		require.False(t, shut.Load())
	}
	d.endSignal()
	<-done
}

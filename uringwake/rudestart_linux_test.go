package uringwake

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/wake"
)

// awaitNone waits until the goroutines' ring has nothing in flight.
func awaitNone() {
	for d := (GoroutineDriver{defaultDriver.made.Load()}); d.InFlight() > 0; {
		runtime.Gosched()
	}
}

// withRudeCompletion calls f in a goroutine of its own, when the completion of an operation
// is there whose waker ends the goroutine that calls it. It reports whether f returned.
func withRudeCompletion(t *testing.T, f func()) (returned bool) {
	driver := UseGoroutineDriver(t, 8, 64).d
	work := make(chan struct{}, 1)
	driver.mu.Lock()
	driver.work = work // nobody else takes the completion
	driver.mu.Unlock()
	s := Start(background, TimeoutOp(0))
	s.Register(wake.Func(runtime.Goexit))
	driver.mu.Lock()
	driver.paused = false
	driver.drainBacklog()
	require.Zero(t, driver.enter(1))
	driver.paused = true
	driver.mu.Unlock()
	over := make(chan struct{})
	go func() {
		defer close(over)
		f()
		returned = true
	}()
	<-over
	go driver.keeper(work)
	go driver.reaper()
	return returned
}

// TestStartOutlivesRudeWakers: an operation that was started has an owner, whatever the
// wakers of others do.
func TestStartOutlivesRudeWakers(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	a, b := socketPair(t)
	var s *Submission
	require.True(t, withRudeCompletion(t, func() { s = Start(background, RecvOp(a, make([]byte, 1), 0)) }))
	unix.Write(b, []byte("x"))
	_, err := s.Wait(background)
	require.NoError(t, err)
	awaitNone()
}

// TestCancelOutlivesRudeWakers: the caller of Cancel has more to do, such as to wait for
// the last completion.
func TestCancelOutlivesRudeWakers(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	a, _ := socketPair(t)
	var s *Submission
	require.True(t, withRudeCompletion(t, func() {
		s = Start(background, RecvOp(a, make([]byte, 1), 0))
		s.Cancel()
	}))
	_, err := s.Wait(background)
	require.ErrorIs(t, err, unix.ECANCELED)
	awaitNone()
}

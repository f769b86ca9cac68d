package uringwake

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The samples of a spinner that sees goroutines wait, or never does.
var (
	someWait   = []metrics.Sample{{Name: "/sched/gomaxprocs:threads"}}
	nobodyWait = []metrics.Sample{{Name: "/no/such/metric"}}
)

// procs sets GOMAXPROCS for the test.
func procs(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// A loop that spins sees the mail, without a signal.
func TestSpinSeesMail(t *testing.T) {
	procs(t, 2)
	l := manual(t, LoopOptions{Doorbell: DoorbellEventFD, SpinFor: time.Hour})
	l.watched, l.spin.sample = true, nobodyWait
	go l.mailbox.push(new(mail))
	require.True(t, l.lookForMail())
	require.Zero(t, l.switches.Load())
	require.Equal(t, uint64(1), l.count.Spins)
	require.Equal(t, uint64(1), l.count.SpinHits)
}

// A loop does not spin while goroutines wait for a processor.
func TestNoSpinWhileGoroutinesWait(t *testing.T) {
	procs(t, 2)
	s := newSpinner(time.Hour)
	s.sample = someWait
	require.False(t, s.worth())
	s.sample = nobodyWait
	require.True(t, s.worth())
	l := manual(t, LoopOptions{Doorbell: DoorbellEventFD, SpinFor: time.Hour}) // or skip
	stop := busyGoroutines()
	for range 100 {
		require.True(t, l.spin.goroutineWaits())
		require.False(t, l.lookForMail())
	}
	stop()
	require.Zero(t, l.count.Spins)
}

// busyGoroutines are more than there are processors, and always want one.
func busyGoroutines() (stop func()) {
	var stopped atomic.Bool
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for !stopped.Load() {
				runtime.Gosched()
			}
		})
	}
	return func() { stopped.Store(true); all.Wait() }
}

// It stops spinning when a goroutine begins to wait for one.
func TestSpinEndsWhenAGoroutineWaits(t *testing.T) {
	procs(t, 2)
	l := manual(t, LoopOptions{Doorbell: DoorbellEventFD, SpinFor: time.Hour})
	for l.count.Spins == 0 { // else they have come too early
		var looks atomic.Bool
		stop := make(chan func(), 1)
		go func() {
			for !looks.Load() { // running all the time, it waits for none
			}
			stop <- busyGoroutines()
		}()
		looks.Store(true)
		require.False(t, l.lookForMail())
		(<-stop)()
	}
	require.Zero(t, l.count.SpinHits)
}

// A loop stops spinning while that does not pay, and tries it again from time to time.
func TestSpinsAsLongAsThatPays(t *testing.T) {
	procs(t, 2)
	s := newSpinner(0)
	s.sample = nobodyWait
	misses := 0
	for ; s.worth(); misses++ {
		s.note(false)
	}
	require.Equal(t, 6, misses) // (7/8)^6 is less than one half
	for range 3 {
		tries := 2 // the one above, and the one that finds it worth it
		for ; !s.worth(); tries++ {
		}
		require.Equal(t, spinTry, tries)
		s.note(false)
		require.False(t, s.worth())
	}
	for range 6 {
		s.note(true)
	}
	for range 2 * spinTry {
		require.True(t, s.worth())
	}
	for name, s := range map[string]spinner{"told not to": newSpinner(-1), "one processor": newSpinner(time.Hour)} {
		s.sample = nobodyWait
		if name == "one processor" {
			procs(t, 1)
		}
		require.False(t, s.worth(), name)
	}
}

package uringwake

import (
	"bytes"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The watchdog, on a loop that only has an epoch and a door: its time is the
// bubble's.
func TestWatchdogAccusesWhoHoldsTheLoopOnly(t *testing.T) {
	const limit = time.Second
	for name, c := range map[string]struct {
		phase   uint64
		moves   bool
		reports int
	}{
		"holds it":      {awake, false, 1}, // once
		"goes on":       {awake, true, 0},
		"sleeps":        {asleep, false, 0},
		"is being rung": {rung + oneRinger, false, 0},
		"closes":        {closed + oneRinger, false, 0},
		"has ringers":   {awake + oneRinger, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said bytes.Buffer
				l := new(Loop)
				l.end.init()
				l.door.word.Store(c.phase)
				l.epoch.Store(1)
				go l.watch(limit, slog.New(slog.NewTextHandler(&said, nil)))
				for range 10 {
					time.Sleep(limit)
					synctest.Wait()
					if c.moves {
						l.epoch.Add(1)
					}
				}
				require.Equal(t, c.reports, bytes.Count(said.Bytes(), []byte("holds its loop")))
				l.epoch.Add(1)
				time.Sleep(3 * limit) // a new turn is accused anew
				synctest.Wait()
				again := 0
				if c.phase&phaseMask == awake {
					again = 1
				}
				require.Equal(t, c.reports+again, bytes.Count(said.Bytes(), []byte("holds its loop")))
				l.end.reach(nil)
			})
		})
	}
}

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

// A loop that spins is not held by anybody, however long it does: it moves on.
func TestSpinningLoopMovesOn(t *testing.T) {
	procs(t, 2)
	l := manual(t, LoopOptions{Doorbell: DoorbellEventFD, SpinFor: time.Hour})
	l.watched, l.spin.sample = true, nobodyWait
	go func() {
		for l.epoch.Load() < 3 {
			runtime.Gosched()
		}
		l.mailbox.push(new(mail))
	}()
	require.True(t, l.lookForMail())
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
	stop := busyGoroutines()
	l := manual(t, LoopOptions{Doorbell: DoorbellEventFD, SpinFor: time.Hour})
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

// And it stops to when one does.
func TestSpinEndsWhenAGoroutineWaits(t *testing.T) {
	procs(t, 2)
	l := manual(t, LoopOptions{Doorbell: DoorbellEventFD, SpinFor: time.Hour})
	l.watched = true
	stop := make(chan func())
	go func() {
		for l.epoch.Load() == 0 { // running all the time, it waits for none
		}
		stop <- busyGoroutines()
	}()
	for l.epoch.Load() == 0 {
		require.False(t, l.lookForMail())
	}
	(<-stop)()
	require.Zero(t, l.count.SpinHits)
}

// Spinning is given up while it does not pay, and tried again from time to time.
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

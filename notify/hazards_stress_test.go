package notify_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/notify"
)

// rounds is the length of a stress test.
func rounds(t *testing.T, n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// impatient is every way to wait under a context that may end at any moment. Each reports
// whether it consumed a wake.
var impatient = map[string]func(n *notify.Notify, spin int) bool{
	"Wait": func(n *notify.Notify, spin int) bool {
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		go func() { idle(spin); cancel() }()
		return n.Wait(ctx) == nil
	},
	"Stop": func(n *notify.Notify, spin int) bool {
		l := n.Listen()
		idle(spin)
		if spin%2 == 0 && l.Ready() {
			return true
		}
		l.Stop() // hands an unconsumed wake on
		return false
	},
	"C": func(n *notify.Notify, spin int) bool {
		l := n.Listen()
		c := l.C()
		idle(spin)
		select {
		case <-c:
			return true
		default:
			l.Stop()
			return false
		}
	},
	"Listener.Wait": func(n *notify.Notify, spin int) bool {
		l := n.Listen()
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		go func() { idle(spin); cancel() }()
		if l.Wait(ctx) == nil {
			return true
		}
		l.Stop()
		return false
	},
	"TryWait": func(n *notify.Notify, _ int) bool { return n.TryWait() },
	"Select": func(n *notify.Notify, spin int) bool {
		ctx, cancel := context.WithCancel(bg)
		defer cancel()
		go func() { idle(spin); cancel() }()
		i, _ := await.Select(ctx, n.OnNotify())
		return i == 0
	},
	"Select of two": func(n *notify.Notify, spin int) bool {
		var other notify.Notify
		go func() { idle(spin); other.NotifyOne() }()
		i, _ := await.Select(bg, other.OnNotify(), n.OnNotify())
		return i == 1
	},
}

var sink atomic.Int64

func idle(spin int) {
	for range spin {
		sink.Add(1)
	}
}

// TestStressHazardNoPermitIsLost has one wake, which is sent again only after it was
// consumed. So a lost wake stops the test, and a doubled one is noticed.
func TestStressHazardNoPermitIsLost(t *testing.T) {
	for name, wait := range impatient {
		t.Run(name, func(t *testing.T) {
			var n notify.Notify
			var wakes atomic.Int64 // sent and not consumed: 0 or 1
			consumed := make(chan struct{}, 1)
			stop := make(chan struct{})
			var waiters sync.WaitGroup
			for seed := range uint64(4) {
				waiters.Go(func() {
					keepWaiting(stop, &n, wait, seed, func() {
						if wakes.Add(-1) != 0 {
							t.Error("a wake was consumed twice")
						}
						consumed <- struct{}{}
					})
				})
			}
			for i := range rounds(t, 20000) {
				wakes.Add(1)
				if i%2 == 0 {
					n.NotifyOne()
				} else {
					n.NotifyLast()
				}
				<-consumed
			}
			close(stop)
			waiters.Wait()
			requireIdle(t, &n)
		})
	}
}

func keepWaiting(stop <-chan struct{}, n *notify.Notify, wait func(*notify.Notify, int) bool, seed uint64, got func()) {
	random := rand.New(rand.NewPCG(seed, 2))
	for {
		select {
		case <-stop:
			return
		default:
		}
		if wait(n, random.IntN(200)) {
			got()
		}
		runtime.Gosched() // otherwise the waiters keep the processors
	}
}

// TestStressHazardWakesAreConserved: as many waiters are woken as NotifyN and
// NotifyWaiters return, and one for each NotifyOne.
func TestStressHazardWakesAreConserved(t *testing.T) {
	var n notify.Notify
	var sent, got atomic.Int64
	ctx, cancel := context.WithCancel(bg)
	var waiters sync.WaitGroup
	for i := range 8 {
		waiters.Go(func() {
			for n.Wait(ctx) == nil {
				got.Add(1)
				idle(i * 10)
			}
		})
	}
	var wakers sync.WaitGroup
	for seed := range uint64(2) {
		wakers.Go(func() {
			random := rand.New(rand.NewPCG(seed, 3))
			for range rounds(t, 50000) {
				if random.IntN(4) == 0 {
					sent.Add(int64(n.NotifyWaiters()))
				} else {
					sent.Add(int64(n.NotifyN(1 + random.IntN(3))))
				}
			}
		})
	}
	wakers.Wait()
	cancel()
	waiters.Wait()
	require.Equal(t, sent.Load(), got.Load())
	requireIdle(t, &n)
}

// TestStressHazardNobodyListensReturnsEarly is a queue of jobs on one Notify:
// a job whose wake is lost is never done.
func TestStressHazardNobodyListensReturnsEarly(t *testing.T) {
	var (
		n    notify.Notify
		jobs jobs
		done sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(bg)
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for {
				for jobs.take() {
					n.NotifyOne() // there may be more than one job to a permit
					done.Done()
				}
				if n.Wait(ctx) != nil {
					return
				}
			}
		})
	}
	for range rounds(t, 100000) {
		done.Add(1)
		jobs.put()
		n.NotifyOne()
		if sink.Add(1)%64 == 0 {
			done.Wait() // let them fall asleep
		}
	}
	done.Wait()
	cancel()
	workers.Wait()
}

type jobs struct{ n atomic.Int64 }

func (j *jobs) put() { j.n.Add(1) }

func (j *jobs) take() bool {
	for {
		n := j.n.Load()
		if n == 0 {
			return false
		}
		if j.n.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// TestStressHazardOneNotifyWaitersWakesTwoWaits: each round of NotifyWaiters
// lets every goroutine through once.
func TestStressHazardOneNotifyWaitersWakesTwoWaits(t *testing.T) {
	const goroutines = 4
	var n notify.Notify
	var passed [goroutines]atomic.Int64
	ctx, cancel := context.WithCancel(bg)
	var waiters sync.WaitGroup
	for i := range goroutines {
		waiters.Go(func() {
			for n.Wait(ctx) == nil {
				passed[i].Add(1)
			}
		})
	}
	total := 0
	for range rounds(t, 20000) {
		total += n.NotifyWaiters()
	}
	cancel()
	waiters.Wait()
	sum := 0
	for i := range passed {
		sum += int(passed[i].Load())
	}
	require.Equal(t, total, sum)
}

// TestHerd: each of many is woken once by one call.
func TestHerd(t *testing.T) {
	size := 100_000
	if testing.Short() || testkit.Race {
		size = 10_000
	}
	var n notify.Notify
	var woken atomic.Int64
	var herd sync.WaitGroup
	for range size {
		herd.Go(func() {
			if n.Wait(bg) == nil {
				woken.Add(1)
			}
		})
	}
	for reached := 0; reached < size; { // not all are in line at first
		reached += n.NotifyWaiters()
	}
	herd.Wait()
	require.EqualValues(t, size, woken.Load())
	requireIdle(t, &n)
}

package notify_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// TestStressSelectsConserveWakes: as many waits end as the calls of NotifyN and
// NotifyWaiters on two Notifies have said, on each of them. Some waiters wait for one,
// some select over both in either order, and some of these give up.
func TestStressSelectsConserveWakes(t *testing.T) {
	for seed := range uint64(3) {
		stop := schedpoint.Shake(seed, false)
		var n [2]notify.Notify
		var sent, got [2]atomic.Int64
		ctx, cancel := context.WithCancel(bg)
		var waiters sync.WaitGroup
		for i := range 6 {
			waiters.Go(func() {
				first := i % 2
				cases := []wake.Case{n[first].OnNotify(), n[1-first].OnNotify()}
				if i < 2 {
					cases = cases[:1]
				}
				for ctx.Err() == nil {
					c, end := context.WithCancel(ctx)
					if i < 4 {
						go func() { idle(i * 50); end() }()
					}
					if chosen, _ := await.Select(c, cases...); chosen >= 0 {
						got[first^chosen].Add(1)
					}
					end()
				}
			})
		}
		var wakers sync.WaitGroup
		for i := range n {
			wakers.Go(func() {
				random := rand.New(rand.NewPCG(seed, uint64(i)))
				for range rounds(t, 20000) {
					if random.IntN(4) == 0 {
						sent[i].Add(int64(n[i].NotifyWaiters()))
					} else {
						sent[i].Add(int64(n[i].NotifyN(1 + random.IntN(3))))
					}
				}
			})
		}
		wakers.Wait()
		cancel()
		waiters.Wait()
		stop()
		for i := range n {
			require.Equal(t, sent[i].Load(), got[i].Load(), "%d", i)
			requireIdle(t, &n[i])
		}
	}
}

// TestStressSelectsLoseNoPermit has one token for each of two Notifies. It is sent again
// only after it was consumed, so a lost one stops the test, and a doubled one is noticed.
func TestStressSelectsLoseNoPermit(t *testing.T) {
	for seed := range uint64(3) {
		stop := schedpoint.Shake(seed, false)
		var n [2]notify.Notify
		var tokens [2]atomic.Int64 // sent and not consumed: 0 or 1
		consumed := [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(bg)
		var waiters sync.WaitGroup
		for i := range 4 {
			waiters.Go(func() {
				first := i % 2
				cases := []wake.Case{n[first].OnNotify(), n[1-first].OnNotify()}
				for {
					chosen, err := await.Select(ctx, cases...)
					if err != nil {
						return
					}
					which := first ^ chosen
					if tokens[which].Add(-1) != 0 {
						t.Error("a wake was consumed twice")
					}
					consumed[which] <- struct{}{}
				}
			})
		}
		var senders sync.WaitGroup
		for i := range n {
			senders.Go(func() {
				for j := range rounds(t, 20000) {
					tokens[i].Add(1)
					if j%2 == 0 {
						n[i].NotifyOne()
					} else {
						n[i].NotifyLast()
					}
					<-consumed[i]
				}
			})
		}
		senders.Wait()
		cancel()
		waiters.Wait()
		stop()
		requireIdle(t, &n[0])
		requireIdle(t, &n[1])
	}
}

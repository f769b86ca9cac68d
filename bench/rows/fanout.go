package rows

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/waitmap"
)

func fanoutRow() Row {
	return Row{
		Name:  "fanout",
		Title: "One store wakes a thousand",
		About: "From the store (the close, the broadcast) until the last of 1000 sleeping goroutines has run, over 1000. " +
			"Closing a channel hands no value over; the thousand channels do, one by one.",
		Base: "close a channel",
		jobs: func(set *Settings) []Job {
			n := set.scaled(1000, 100)
			return overProcs(set, Cell{Name: short(n), Unit: "ns/waiter"},
				func(context.Context) []measure.Subject { return fanouts(n) })
		},
	}
}

// An event is what the waiters of one release wait for.
type event struct {
	wait    func(i int)
	inLine  func() bool // nil if it cannot be known
	release func()
	check   func() // called when all have run; may be nil
}

func fanouts(n int) []measure.Subject {
	return []measure.Subject{
		fanout("close a channel", n, closeEvent),
		fanout("thousand channels", n, func() event { return channelsEvent(n) }),
		fanout("sync.Cond", n, condEvent),
		fanout("vigil Wait", n, func() event { return waitEvent(n) }),
	}
}

// fanout repeats the release until its timed parts fill a fifth of the slice,
// because starting the waiters takes longer than releasing them.
func fanout(name string, n int, open func() event) measure.Subject {
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		var sum time.Duration
		times := 0
		for sum < slice/5 || times == 0 {
			sum += releaseOnce(n, open())
			times++
		}
		return measure.Sample{Value: float64(sum.Nanoseconds()) / float64(times*n)}
	}}
}

func releaseOnce(n int, c event) time.Duration {
	var here, gone sync.WaitGroup
	here.Add(n)
	for i := range n {
		gone.Go(func() {
			here.Done()
			c.wait(i)
		})
	}
	here.Wait()
	for c.inLine != nil && !c.inLine() {
		runtime.Gosched()
	}
	time.Sleep(500 * time.Microsecond) // without inLine the waiters sleep by now
	start := time.Now()
	c.release()
	gone.Wait()
	wall := time.Since(start)
	if c.check != nil {
		c.check()
	}
	return wall
}

func closeEvent() event {
	c := make(chan struct{})
	return event{wait: func(int) { <-c }, release: func() { close(c) }}
}

func channelsEvent(n int) event {
	cs := make([]chan int, n)
	for i := range cs {
		cs[i] = make(chan int, 1)
	}
	return event{wait: func(i int) { <-cs[i] }, release: func() {
		for i, c := range cs {
			c <- i
		}
	}}
}

func condEvent() event {
	var mu sync.Mutex
	cond, open := sync.NewCond(&mu), false
	return event{
		wait: func(int) {
			mu.Lock()
			for !open {
				cond.Wait()
			}
			mu.Unlock()
		},
		release: func() {
			mu.Lock()
			open = true
			mu.Unlock()
			cond.Broadcast()
		},
	}
}

func waitEvent(n int) event {
	m := waitmap.New[int, int](nil)
	return event{
		wait: func(int) {
			_, err := m.Wait(context.Background(), 7)
			mustNot(err)
		},
		inLine:  func() bool { return m.Waiters(7) == n },
		release: func() { m.Store(7, 1) },
	}
}

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

// A crowd is what waiters wait on.
type crowd struct {
	wait    func(i int)
	inLine  func() bool // nil: cannot be told
	release func()
	check   func() // when all have run; nil: nothing
}

func fanouts(n int) []measure.Subject {
	return []measure.Subject{
		fanout("close a channel", n, closeCrowd),
		fanout("thousand channels", n, func() crowd { return channelsCrowd(n) }),
		fanout("sync.Cond", n, condCrowd),
		fanout("vigil Wait", n, func() crowd { return waitCrowd(n) }),
	}
}

// fanout repeats the scene until its timed parts fill a fifth of the slice:
// gathering the crowd takes longer than releasing it.
func fanout(name string, n int, open func() crowd) measure.Subject {
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

func releaseOnce(n int, c crowd) time.Duration {
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
	time.Sleep(500 * time.Microsecond) // those who cannot be asked are asleep by now
	start := time.Now()
	c.release()
	gone.Wait()
	wall := time.Since(start)
	if c.check != nil {
		c.check()
	}
	return wall
}

func closeCrowd() crowd {
	c := make(chan struct{})
	return crowd{wait: func(int) { <-c }, release: func() { close(c) }}
}

func channelsCrowd(n int) crowd {
	cs := make([]chan int, n)
	for i := range cs {
		cs[i] = make(chan int, 1)
	}
	return crowd{wait: func(i int) { <-cs[i] }, release: func() {
		for i, c := range cs {
			c <- i
		}
	}}
}

func condCrowd() crowd {
	var mu sync.Mutex
	cond, open := sync.NewCond(&mu), false
	return crowd{
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

func waitCrowd(n int) crowd {
	m := waitmap.New[int, int](nil)
	return crowd{
		wait: func(int) {
			_, err := m.Wait(context.Background(), 7)
			mustNot(err)
		},
		inLine:  func() bool { return m.Waiters(7) == n },
		release: func() { m.Store(7, 1) },
	}
}

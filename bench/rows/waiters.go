package rows

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
	"github.com/vigil-go/vigil/waitmap"
)

func waitersRow() Row {
	return Row{
		Name:  "waiters",
		Title: "Bytes per waiter",
		About: "Live heap (and stacks, where goroutines sleep) with everyone in line, less before, per waiter. Each waits on a " +
			"key of its own. A future is what Register returns; the slice that holds the futures is not counted.",
		jobs: func(set *Settings) []Job {
			futures, parked := set.scaled(1_000_000, 10_000), set.scaled(100_000, 1000)
			return []Job{
				waitersJob(set, "pending/"+short(futures), []measure.Subject{
					futureSize("Future, int key", rivals.IntKeys, futures),
					futureSize("Future, str key", rivals.StringKeys, futures),
					{Name: "map of channels", Run: func(time.Duration) measure.Sample { return promiseSize(futures) }},
				}),
				waitersJob(set, "goroutine/"+short(parked), []measure.Subject{
					parkedSize("in Wait", parked, parkInWait),
					parkedSize("in Wait, cancelable", parked, parkInWaitCancelable),
					parkedSize("on one channel", parked, parkOnOne),
					parkedSize("on its own channel", parked, parkOnOwn),
				}),
			}
		},
	}
}

func waitersJob(set *Settings, name string, subjects []measure.Subject) Job {
	return Job{
		Cell: Cell{Name: name, Procs: set.headline(), Unit: "bytes/waiter"},
		run: func() ([]measure.Series, []string) {
			return measure.Interleave(subjects, min(set.Rounds, 3), 0), nil
		},
	}
}

func futureSize[K rivals.Key](name string, makeKeys func(int) []K, n int) measure.Subject {
	return measure.Subject{Name: name, Run: func(time.Duration) measure.Sample {
		keys, futures := makeKeys(n), make([]*waitmap.Future[int], n)
		before := measure.Live()
		m := waitmap.New[K, int](nil)
		for i, key := range keys {
			futures[i] = m.Register(key, nil)
		}
		after := measure.Live()
		runtime.KeepAlive(futures)
		runtime.KeepAlive(keys)
		m.CancelAll()
		return measure.Sample{Value: measure.Growth(before, after, n)}
	}}
}

func promiseSize(n int) measure.Sample {
	before := measure.Live()
	m := newChanMap()
	for i := range n {
		m.at(i)
	}
	after := measure.Live()
	runtime.KeepAlive(m)
	return measure.Sample{Value: measure.Growth(before, after, n)}
}

// parkedSize parks n goroutines. park returns how one of them sleeps and how all
// are released.
func parkedSize(name string, n int, park func(n int) event) measure.Subject {
	return measure.Subject{Name: name, Run: func(time.Duration) measure.Sample {
		before := measure.LiveAndStacks()
		c := park(n)
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
		time.Sleep(5 * time.Millisecond)
		after := measure.LiveAndStacks()
		c.release()
		gone.Wait()
		return measure.Sample{Value: measure.Growth(before, after, n)}
	}}
}

func parkInWait(n int) event { return parkIn(context.Background(), n, func() {}) }

func parkInWaitCancelable(n int) event {
	ctx, cancel := context.WithCancel(context.Background())
	return parkIn(ctx, n, cancel)
}

func parkIn(ctx context.Context, n int, cancel func()) event {
	m := waitmap.New[int, int](nil)
	return event{
		wait:    func(i int) { _, _ = m.Wait(ctx, i) },
		inLine:  func() bool { return waitersOf(m) == n },
		release: func() { m.CancelAll(); cancel() },
	}
}

func waitersOf[V any](m *waitmap.Map[int, V]) (n int) {
	for _, info := range m.Waiting() {
		n += info.Waiters
	}
	return n
}

func parkOnOne(int) event { return closeEvent() }

func parkOnOwn(n int) event {
	cs := make([]chan int, n)
	for i := range cs {
		cs[i] = make(chan int, 1)
	}
	return event{
		wait: func(i int) { <-cs[i] },
		release: func() {
			for _, c := range cs {
				c <- 1
			}
		},
	}
}

func cancelRow() Row {
	return Row{
		Name:  "cancel",
		Title: "A million waits that came to nothing",
		About: "A map with 1000 entries; a million waits on keys of their own are given up. Live heap before, with goroutines in " +
			"line, and after. Wait runs in goroutines, 10,000 at a time, whose context ends.",
		jobs: func(set *Settings) []Job {
			n := set.scaled(1_000_000, 10_000)
			return []Job{
				cancelJob(set, "Stop", n, giveUpByStop),
				cancelJob(set, "CancelAll", n, giveUpByCancelAll),
				cancelJob(set, "context", n, giveUpByContext),
			}
		},
	}
}

func cancelJob(set *Settings, how string, n int, giveUp func(m *waitmap.Map[int, int], n int) uint64) Job {
	return Job{
		Cell: Cell{Name: how + "/" + short(n), Procs: set.headline(), Unit: "bytes of heap"},
		run:  func() ([]measure.Series, []string) { return canceled(n, giveUp) },
	}
}

func canceled(n int, giveUp func(m *waitmap.Map[int, int], n int) uint64) ([]measure.Series, []string) {
	runBatch() // the memory that the runtime keeps of goroutines must not count as the map's
	m := waitmap.New[int, int](nil)
	for i := range 1000 {
		m.Store(i, i)
	}
	before := measure.Live()
	peak := giveUp(m, n)
	after := measure.Live()
	length, waiting := m.Len(), waitersOf(m)
	runtime.KeepAlive(m)
	return []measure.Series{
		{Name: "before", Values: []float64{float64(before)}},
		{Name: "in line", Values: []float64{float64(peak)}},
		{Name: "after", Values: []float64{float64(after)}},
	}, []string{fmt.Sprintf("afterwards Len is %d of 1000, Waiting lists %d", length, waiting)}
}

func registerMany(m *waitmap.Map[int, int], n int) []*waitmap.Future[int] {
	futures := make([]*waitmap.Future[int], n)
	for i := range futures {
		futures[i] = m.Register(1000+i, nil)
	}
	return futures
}

func giveUpByStop(m *waitmap.Map[int, int], n int) uint64 {
	futures := registerMany(m, n)
	peak := measure.Live()
	for _, f := range futures {
		f.Stop()
	}
	return peak
}

func giveUpByCancelAll(m *waitmap.Map[int, int], n int) uint64 {
	futures := registerMany(m, n)
	peak := measure.Live()
	m.CancelAll()
	runtime.KeepAlive(futures)
	return peak
}

// batchSize is how many goroutines wait at a time: a million would take gigabytes.
const batchSize = 10_000

// runBatch starts batchSize goroutines and waits for their end.
func runBatch() {
	c := closeEvent()
	var gone sync.WaitGroup
	for i := range batchSize {
		gone.Go(func() { c.wait(i) })
	}
	runtime.Gosched()
	c.release()
	gone.Wait()
}

func giveUpByContext(m *waitmap.Map[int, int], n int) (peak uint64) {
	for first := 0; first < n; first += batchSize {
		ctx, cancel := context.WithCancel(context.Background())
		var gone sync.WaitGroup
		for i := range batchSize {
			gone.Go(func() { _, _ = m.Wait(ctx, 1000+first+i) })
		}
		for waitersOf(m) < batchSize {
			runtime.Gosched()
		}
		if first == 0 {
			peak = measure.Live()
		}
		cancel()
		gone.Wait()
	}
	return peak
}

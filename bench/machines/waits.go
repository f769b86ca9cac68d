package machines

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/wake"
)

// Waits are what a Member waits for.
type Waits struct {
	N      int
	Parked bool // by Wait, in a goroutine for each; else by Register
	Own    bool // for a key each; else for one key
}

// Waiting says what waits cost, apart from the futures or goroutines of their callers.
type Waiting struct {
	Bytes      float64 // live heap of a wait, and its stack if it is parked
	Goroutines float64 // started for a wait, without the caller's
}

// Wait begins to wait.
func (m *Member) Wait(w Waits) (Waiting, error) { return tell[Waiting](m.machine, "wait", w) }

// Release stores the key for which the Member waits, and returns the time from the call of
// Store until all waiters have run. Those for keys of their own leave instead.
func (m *Member) Release() (time.Duration, error) {
	return tell[time.Duration](m.machine, "release", nil)
}

// waits is the state of the waits of a process.
type waits struct {
	Waits
	turn    int // makes keys new
	futures []*cluster.Future[string]
	woken   *sync.WaitGroup
}

func (w *waits) key(i int) string {
	if !w.Own {
		i = 0
	}
	return fmt.Sprintf("wait %d %d", w.turn, i)
}

func (m *member) wait(a Waits) (Waiting, error) {
	if m.m == nil {
		return Waiting{}, errNotOpen
	}
	w := &m.waits
	w.Waits, w.turn, w.futures, w.woken = a, w.turn+1, make([]*cluster.Future[string], a.N), new(sync.WaitGroup)
	keys := make([]string, a.N)
	for i := range keys {
		keys[i] = w.key(i)
	}
	before, goroutines := measure.LiveAndStacks(), runtime.NumGoroutine()
	w.woken.Add(a.N)
	if a.Parked {
		m.park(keys)
		goroutines += a.N
	} else {
		m.register(keys)
	}
	after := measure.LiveAndStacks()
	cost := Waiting{measure.Growth(before, after, a.N), float64(runtime.NumGoroutine()-goroutines) / float64(a.N)}
	runtime.KeepAlive(keys)
	return cost, nil
}

func (m *member) register(keys []string) {
	w := wake.Func(m.waits.woken.Done)
	for i, key := range keys {
		m.waits.futures[i] = m.m.Register(key, w)
	}
}

func (m *member) park(keys []string) {
	woken := m.waits.woken
	for _, key := range keys {
		go func() {
			defer woken.Done()
			_, _ = m.m.Wait(context.Background(), key)
		}()
	}
	for m.m.Waiters(keys[0]) < len(keys) {
		time.Sleep(time.Millisecond)
	}
}

func (m *member) release(*struct{}) (time.Duration, error) {
	w := &m.waits
	if w.Own {
		for _, f := range w.futures {
			f.Stop()
		}
		return 0, nil
	}
	start := time.Now()
	_, err := m.m.Store(context.Background(), w.key(0), "now")
	if err == nil {
		w.woken.Wait()
	}
	return time.Since(start), err
}

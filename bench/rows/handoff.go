package rows

import (
	"context"
	"sync"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/waitmap"
)

func handoffRow() Row {
	return Row{
		Name:  "handoff",
		Title: "Handing a value over, one way",
		About: "Two goroutines play ping-pong, so each waits in turn; vigil yields the processor before it sleeps. Time is per hand-over, half of a round trip. " +
			"Wait uses fresh keys that are deleted afterwards, Take the same two keys again and again, " +
			"Register is in line before the message goes out.",
		Base: "channel",
		jobs: func(set *Settings) []Job {
			return overProcs(set, Cell{Name: "ping-pong", Unit: "ns/hand-over"}, handoffs)
		},
	}
}

func handoffs(ctx context.Context) []measure.Subject {
	return []measure.Subject{
		pingPong("channel", func() table { return newChannels(0) }),
		pingPong("channel of 1", func() table { return newChannels(1) }),
		pingPong("sync.Cond", func() table { return newConds() }),
		pingPong("map of channels", func() table { return newChanMap() }),
		pingPong("vigil Wait", func() table { return newWaitTable(context.Background()) }),
		pingPong("vigil Wait, cancelable", func() table { return newWaitTable(ctx) }),
		pingPong("vigil Take", func() table { return newTakeTable(context.Background()) }),
		pingPong("vigil Take, cancelable", func() table { return newTakeTable(ctx) }),
		{Name: "vigil Register", Run: registerPingPong},
	}
}

// A table is where two goroutines exchange messages: message i goes out on side 0
// and comes back on side 1.
type table interface {
	send(i, side int)
	receive(i, side int)
	close()
}

// pingPong runs for about as long as the slice, at an estimate of 500 ns a
// hand-over. The number of rounds is fixed, so that the clock is not read
// meanwhile.
func pingPong(name string, open func() table) measure.Subject {
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		rounds := max(int(slice/time.Microsecond), 10)
		t := open()
		defer t.close()
		return measure.Once(2*rounds, func() { exchange(t, rounds) })
	}}
}

func exchange(t table, rounds int) {
	var other sync.WaitGroup
	other.Go(func() {
		for i := range rounds {
			t.receive(i, 0)
			t.send(i, 1)
		}
	})
	for i := range rounds {
		t.send(i, 0)
		t.receive(i, 1)
	}
	other.Wait()
}

type channels [2]chan int

func newChannels(size int) channels    { return channels{make(chan int, size), make(chan int, size)} }
func (t channels) send(i, side int)    { t[side] <- i }
func (t channels) receive(_, side int) { <-t[side] }
func (t channels) close()              {}

type condBox struct {
	mu      sync.Mutex
	cond    *sync.Cond
	full    bool
	message int
}

type conds [2]*condBox

func newConds() conds {
	var t conds
	for i := range t {
		t[i] = &condBox{}
		t[i].cond = sync.NewCond(&t[i].mu)
	}
	return t
}

func (t conds) send(i, side int) {
	b := t[side]
	b.mu.Lock()
	b.full, b.message = true, i
	b.mu.Unlock()
	b.cond.Signal()
}

func (t conds) receive(_, side int) {
	b := t[side]
	b.mu.Lock()
	for !b.full {
		b.cond.Wait()
	}
	b.full = false
	b.mu.Unlock()
}

func (t conds) close() {}

// chanMap is the usual hand-written version: a map of channels that are closed when
// the value is there.
type chanMap struct {
	mu sync.Mutex
	m  map[int]*promise
}

type promise struct {
	ready   chan struct{}
	message int
}

func newChanMap() *chanMap { return &chanMap{m: make(map[int]*promise)} }

func (t *chanMap) at(key int) *promise {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.m[key]
	if p == nil {
		p = &promise{ready: make(chan struct{})}
		t.m[key] = p
	}
	return p
}

func (t *chanMap) send(i, side int) {
	p := t.at(2*i + side)
	p.message = i
	close(p.ready)
}

func (t *chanMap) receive(i, side int) {
	key := 2*i + side
	<-t.at(key).ready
	t.mu.Lock()
	delete(t.m, key)
	t.mu.Unlock()
}

func (t *chanMap) close() {}

type waitTable struct {
	m   *waitmap.Map[int, int]
	ctx context.Context
}

func newWaitTable(ctx context.Context) waitTable {
	return waitTable{waitmap.New[int, int](nil), ctx}
}

func (t waitTable) send(i, side int) { t.m.Store(2*i+side, i) }

func (t waitTable) receive(i, side int) {
	if _, err := t.m.Wait(t.ctx, 2*i+side); err != nil {
		panic(err)
	}
	t.m.Delete(2*i + side)
}

func (t waitTable) close() {}

type takeTable struct {
	m   *waitmap.Map[int, int]
	ctx context.Context
}

func newTakeTable(ctx context.Context) takeTable {
	return takeTable{waitmap.New[int, int](nil), ctx}
}

func (t takeTable) send(i, side int) { t.m.Store(side, i) }

func (t takeTable) receive(_, side int) {
	if _, err := t.m.Take(t.ctx, side); err != nil {
		panic(err)
	}
}

func (t takeTable) close() {}

// registerPingPong has a client that gets in line for the answer before it sends
// the question, and a server that takes questions.
func registerPingPong(slice time.Duration) measure.Sample {
	rounds := max(int(slice/time.Microsecond), 10)
	ctx := context.Background()
	questions, answers := waitmap.New[int, int](nil), waitmap.New[int, int](nil)
	return measure.Once(2*rounds, func() {
		var server sync.WaitGroup
		server.Go(func() {
			for range rounds {
				i, err := questions.Take(ctx, 0)
				mustNot(err)
				answers.Store(i, i)
			}
		})
		for i := range rounds {
			answer := answers.Register(i, nil)
			questions.Store(0, i)
			_, err := answer.Wait(ctx)
			mustNot(err)
			answers.Delete(i)
		}
		server.Wait()
	})
}

func mustNot(err error) {
	if err != nil {
		panic(err)
	}
}

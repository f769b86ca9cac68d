package await_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

// A valuesModel is two Queues as slices, and the calls that were ever made.
type valuesModel struct {
	queues [2]modelQueue
	calls  []modelCall
}

type modelQueue struct {
	capacity int
	values   []int
	line     []modelPlace // of one side only
	closed   bool
}

// A modelPlace is a case of a call in the line of a Queue.
type modelPlace struct{ call, index int }

// A modelCall is a Put, a Take, or a Select.
type modelCall struct {
	cases  []modelCase
	dies   bool // its Park does not return once it was woken
	waits  bool
	chosen int
	v      int // that was taken
	err    error
}

type modelCase struct {
	queue int
	puts  bool
	v     int // to put
}

var errModelDied = errors.New("the goroutine has ended")

// start makes the call.
func (m *valuesModel) start(c modelCall) {
	m.calls = append(m.calls, c)
	n := len(m.calls) - 1
	for i, alt := range c.cases {
		if m.now(n, i, alt) {
			return
		}
	}
	m.calls[n].waits = true
	for i, alt := range c.cases {
		q := &m.queues[alt.queue]
		q.line = append(q.line, modelPlace{n, i})
	}
}

// now makes a case of the call happen if it need not wait.
func (m *valuesModel) now(n, i int, alt modelCase) (done bool) {
	c := modelCall{chosen: i}
	if alt.puts {
		done, c.err = m.put(alt.queue, alt.v)
	} else {
		c.v, done, c.err = m.take(alt.queue)
	}
	if done {
		m.calls[n].chosen, m.calls[n].v, m.calls[n].err = c.chosen, c.v, c.err
	}
	return done
}

// first takes the first call that puts, or takes, out of the lines.
func (m *valuesModel) first(queue int, puts bool) (p modelPlace, ok bool) {
	for _, p := range m.queues[queue].line {
		if c := m.calls[p.call]; c.cases[p.index].puts == puts {
			m.leave(p.call)
			m.calls[p.call].chosen = p.index
			return p, true
		}
	}
	return p, false
}

func (m *valuesModel) leave(n int) {
	m.calls[n].waits = false
	for i := range m.queues {
		q := &m.queues[i]
		q.line = slices.DeleteFunc(q.line, func(p modelPlace) bool { return p.call == n })
	}
}

func (m *valuesModel) put(queue, v int) (done bool, err error) {
	q := &m.queues[queue]
	switch {
	case q.closed:
		return true, await.ErrClosed
	case m.handOver(queue, v):
		return true, nil
	case len(q.values) >= q.capacity:
		return false, nil
	}
	q.values = append(q.values, v)
	return true, nil
}

// handOver gives v to the first taker. One that dies puts it back.
func (m *valuesModel) handOver(queue, v int) bool {
	p, ok := m.first(queue, false)
	if !ok {
		return false
	}
	c := &m.calls[p.call]
	if c.v = v; c.dies {
		c.v, c.err = 0, errModelDied
		if !m.handOver(queue, v) {
			q := &m.queues[queue]
			q.values = slices.Insert(q.values, 0, v)
		}
	}
	return true
}

func (m *valuesModel) take(queue int) (v int, done bool, err error) {
	q := &m.queues[queue]
	if len(q.values) == 0 {
		if q.closed {
			return 0, true, await.ErrClosed
		}
		return 0, false, nil
	}
	v, q.values = q.values[0], slices.Clone(q.values[1:])
	if len(q.values) < q.capacity {
		if p, ok := m.first(queue, true); ok {
			c := &m.calls[p.call]
			q.values = append(q.values, c.cases[p.index].v)
			m.served(c)
		}
	}
	return v, true, nil
}

// served ends a call that was woken and took nothing.
func (m *valuesModel) served(c *modelCall) {
	if c.dies {
		c.err = errModelDied
	}
}

func (m *valuesModel) cancel(n int) {
	if m.calls[n].waits {
		m.leave(n)
		m.calls[n].chosen, m.calls[n].err = -1, context.Canceled
	}
}

func (m *valuesModel) close(queue int) {
	q := &m.queues[queue]
	q.closed = true
	for len(q.line) > 0 {
		p := q.line[0]
		m.leave(p.call)
		c := &m.calls[p.call]
		c.chosen, c.err = p.index, await.ErrClosed
		m.served(c)
	}
}

// A valuesRun drives two Queues and their model by one script.
type valuesRun struct {
	t      testing.TB
	m      valuesModel
	queues [2]*await.Queue[int]
	calls  []*queueCall // v is the chosen case
	took   []*int
	last   int
}

// runValues takes two bytes a step: what to do, and with what.
func runValues(t testing.TB, script []byte) {
	r := &valuesRun{t: t}
	for i := range r.queues {
		r.queues[i], r.m.queues[i].capacity = await.NewQueue[int](1+2*i), 1+2*i
	}
	defer func() { // the calls of a script that failed must end, too
		_ = r.queues[0].Close()
		_ = r.queues[1].Close()
	}()
	for ; len(script) >= 2; script = script[2:] {
		r.step(int(script[0]), int(script[1]))
		r.check()
	}
	r.end()
}

func (r *valuesRun) step(what, arg int) {
	i := arg & 1
	switch what % 9 {
	case 0:
		v := r.fresh()
		done, err := r.m.put(i, v)
		require.Equal(r.t, done && err == nil, r.queues[i].TryPut(v))
	case 1:
		r.tryTake(i)
	case 2, 3:
		r.start(arg>>1, modelCase{queue: i, puts: what%9 == 2, v: r.fresh()})
	case 4, 5:
		cases := []modelCase{{i, arg&2 != 0, r.fresh()}, {arg >> 2 & 1, arg&8 != 0, r.fresh()}, {arg >> 4 & 1, arg&32 != 0, r.fresh()}}
		r.start(arg>>6, cases[:2+what%2]...)
	case 6:
		if len(r.calls) > 0 {
			r.cancel(arg % len(r.calls))
		}
	case 7:
		ctx := queueDoneContext()
		_, err := r.queues[i].Take(ctx)
		require.ErrorIs(r.t, errors.Join(err, r.queues[i].Put(ctx, -1)), errQueueCause)
	default:
		if arg%16 < 2 { // seldom
			require.NoError(r.t, r.queues[i].Close())
			r.m.close(i)
		} else {
			r.tryTake(i)
		}
	}
}

func (r *valuesRun) fresh() int {
	r.last++
	return r.last
}

func (r *valuesRun) tryTake(i int) {
	want, done, err := r.m.take(i)
	v, ok := r.queues[i].TryTake()
	require.Equal(r.t, done && err == nil, ok)
	require.Equal(r.t, want, v)
}

// start makes a call in one of the ways to sleep, or with a parker that dies.
func (r *valuesRun) start(how int, cases ...modelCase) {
	ctx, cancel := []queueWay{queueAsleep, queueSelecting, queueParked, queueParked}[how&3]()
	dies, took := how&3 == 3, new(int)
	if dies {
		end := func() { panic("park") }
		if how&4 != 0 {
			end = runtime.Goexit
		}
		ctx = wake.WithParker(ctx, dyingQueueParker{wake.NewParker(), end})
	}
	c := &queueCall{cancel: cancel, ended: make(chan struct{}), err: errModelDied}
	go func() {
		defer close(c.ended)
		defer func() { _ = recover() }()
		c.v, c.err = r.call(ctx, took, cases)
	}()
	r.calls, r.took = append(r.calls, c), append(r.took, took)
	r.m.start(modelCall{cases: cases, dies: dies})
}

func (r *valuesRun) call(ctx context.Context, took *int, cases []modelCase) (chosen int, err error) {
	var list []wake.Case
	for _, c := range cases {
		switch q := r.queues[c.queue]; {
		case len(cases) == 1 && c.puts:
			return 0, q.Put(ctx, c.v)
		case len(cases) == 1:
			*took, err = q.Take(ctx)
			return 0, err
		case c.puts:
			list = append(list, q.OnPut(c.v))
		default:
			list = append(list, q.OnTake(took))
		}
	}
	return await.Select(ctx, list...)
}

// A dyingQueueParker does not return from Park when it is woken.
type dyingQueueParker struct {
	wake.Parker
	end func()
}

func (p dyingQueueParker) Park(ctx context.Context) error {
	if err := p.Parker.Park(ctx); err != nil {
		return err
	}
	p.end()
	return nil
}

func (r *valuesRun) cancel(n int) {
	if c := r.calls[n]; c.cancel != nil {
		c.cancel()
		r.m.cancel(n)
	}
}

// check compares what can be seen from outside.
func (r *valuesRun) check() {
	synctest.Wait()
	for i, q := range r.queues {
		m := &r.m.queues[i]
		require.Equal(r.t, len(m.values), q.Len())
		putters, takers := q.Waiters()
		require.Equal(r.t, len(m.line), putters+takers)
	}
	for n, c := range r.calls {
		m := &r.m.calls[n]
		require.Equal(r.t, m.waits, c.waits(), "call %d", n)
		if m.waits {
			continue
		}
		require.Equal(r.t, m.v, *r.took[n], "what call %d took", n)
		require.ErrorIs(r.t, c.err, m.err, "call %d", n)
		if m.err != errModelDied && len(m.cases) > 1 {
			require.Equal(r.t, m.chosen, c.v, "the case of call %d", n)
		}
	}
}

// end drains the Queues.
func (r *valuesRun) end() {
	for i, q := range r.queues {
		require.NoError(r.t, q.Close())
		r.m.close(i)
		r.check()
		for range len(r.m.queues[i].values) + 1 {
			r.tryTake(i)
		}
	}
	for n, c := range r.calls {
		r.cancel(n)
		<-c.ended
	}
	r.check()
}

// TestQueueModel runs random scripts against the model.
func TestQueueModel(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 200
	}
	for seed := range uint64(rounds) {
		random := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 2*(1+random.IntN(60)))
		for i := range script {
			script[i] = byte(random.Uint32())
		}
		synctest.Test(t, func(t *testing.T) { runValues(t, script) })
		if t.Failed() {
			t.Fatalf("seed %d: script %q", seed, script)
		}
	}
}

// FuzzValues looks for scripts on which Queues and their model, slices, differ.
func FuzzValues(f *testing.F) {
	f.Add([]byte("\x00\x00\x02\x00\x01\x00\x01\x00"))                 // a putter is let in
	f.Add([]byte("\x03\x00\x03\x02\x06\x01\x00\x00\x00\x00"))         // a taker leaves, another is served
	f.Add([]byte("\x00\x00\x02\x02\x08\x00\x01\x00\x01\x00"))         // closed over a putter
	f.Add([]byte("\x03\x06\x03\x02\x00\x00\x00\x00\x01\x00"))         // a taker dies, the next gets its value
	f.Add([]byte("\x03\x06\x00\x00\x00\x00\x02\x00\x01\x00\x01\x00")) // and here the Queue
	f.Add([]byte("\x04\x44\x00\x00\x00\x01\x01\x00\x01\x01"))         // a Select takes of either
	f.Add([]byte("\x00\x00\x04\x46\x00\x01\x01\x00\x01\x01"))         // puts into one or takes of the other
	f.Add([]byte("\x04\x44\x06\x00\x00\x00\x00\x01\x07\x00"))         // withdraws
	f.Add([]byte("\x05\xc0\x00\x00\x00\x00\x01\x00\x01\x00"))         // dies
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) { runValues(t, script[:min(len(script), 120)]) })
	})
}

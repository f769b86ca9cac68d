package faults_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"

	"github.com/vigil-go/vigil/cluster/internal/lab"
	"github.com/vigil-go/vigil/cluster/internal/linear"
)

// TestRandom lets workers make calls of all kinds, drawn at random, while a nemesis kills, stops,
// cuts off and slows servers and workers. It has rounds; after each the history is checked:
//
//   - calls of the Map are linearizable, by porcupine,
//   - each value is taken once at most, and lost only if a taker was killed,
//   - no two loads have the same fence, and the fences of loads, and of the Mutex, grow from
//     each call to those that begin later.
//
// When the nemesis has ended, all workers can make calls again.
func TestRandom(t *testing.T) {
	t.Parallel()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	isolation := lab.Proxies
	if *seed%2 == 0 && lab.Supported(lab.Namespaces) == nil {
		isolation = lab.Namespaces
	}
	t.Logf("-seed %d, with %v", *seed, isolation)
	s := newSite(t, 3, &lab.Options{Isolation: isolation}, leases())
	r := &run{site: s, end: time.Now().Add(*duration), fences: newFences()}
	nemesis := newNemesis(s, random)
	var background sync.WaitGroup
	background.Go(nemesis.run)
	background.Go(func() { r.report(nemesis) })
	for round := 0; time.Now().Before(r.end) && !t.Failed(); round++ {
		r.round(round)
	}
	nemesis.end()
	r.over.Store(true)
	background.Wait()
	for _, c := range s.workers {
		c.do(request{Op: "store", Key: "after all", Value: "x", Within: patience})
		c.do(request{Op: "guard", Within: patience})
		c.do(request{Op: "work", Key: "after all", Within: patience})
	}
	t.Log(r.summary(nemesis))
	r.fences.check(t)
	if t.Failed() {
		for _, c := range s.workers {
			t.Logf("%s: %s", c.Name, c.Log())
		}
	}
}

// A run is what TestRandom has made so far.
type run struct {
	*site
	end     time.Time
	fences  *fences
	clock   atomic.Int64
	over    atomic.Bool
	calls   atomic.Int64
	unknown atomic.Int64 // outcomes, those of killed workers included
	rounds  atomic.Int64

	mu      sync.Mutex
	history []porcupine.Operation // of this round
	gone    int                   // takers that were killed in this round
}

const (
	clients        = 3 // of each worker
	callsPerClient = 40
	callTime       = 30 * time.Second // for each call
)

func (r *run) summary(n *nemesis) string {
	return fmt.Sprintf("%d rounds, %d calls, %d of them with an unknown outcome, %d loads, %d times locked; faults: %v",
		r.rounds.Load(), r.calls.Load(), r.unknown.Load(), r.fences.count("load"), r.fences.count("lock"), n.counts())
}

// report prints how far the run is, if it takes long.
func (r *run) report(n *nemesis) {
	begun := time.Now()
	for last := begun; !r.over.Load(); time.Sleep(50 * time.Millisecond) {
		if time.Since(last) > 30*time.Second {
			last = time.Now()
			fmt.Fprintf(os.Stderr, "seed %d, %v: %s\n", *seed, time.Since(begun).Round(time.Second), r.summary(n))
		}
	}
}

// round lets all clients make some calls of keys of their own, and checks what came back.
func (r *run) round(number int) {
	r.history, r.gone = nil, 0
	taken, produced := newTally(), make(chan struct{})
	queue := fmt.Sprint("queue ", number)
	var all, producer sync.WaitGroup
	producer.Go(func() {
		defer close(produced)
		for i := 0; i < callsPerClient && time.Now().Before(r.end); i++ {
			r.produce(taken, queue, i)
		}
	})
	for i, c := range r.workers {
		for j := range clients {
			all.Go(func() { r.client(c, number, clients*i+j) })
		}
		all.Go(func() { r.take(c, taken, queue, produced) })
	}
	all.Wait()
	producer.Wait()
	r.rounds.Add(1)
	verdict, info := porcupine.CheckOperationsVerbose(linear.Model, r.history, time.Minute)
	if !assert.NotEqual(r.t, porcupine.Illegal, verdict, "seed %d, round %d", *seed, number) {
		assert.NoError(r.t, porcupine.VisualizePath(linear.Model, info, "random.out.html"))
	}
	if verdict == porcupine.Unknown {
		r.t.Logf("round %d: porcupine has given up", number)
	}
	taken.checkRandom(r.t, r.gone, r.read(queue))
}

// do makes a call. It reports false if the outcome is unknown, as when the worker was killed.
func (r *run) do(c *client, q request) (response, bool) {
	q.Within = callTime
	r.calls.Add(1)
	c.wait()
	got, ok := <-c.start(q).returned
	if !ok || got.Unknown {
		r.unknown.Add(1)
	}
	if !ok {
		return got, false
	}
	if !got.Unknown && !got.Ended && !got.LeaseLost && got.Err != "" {
		assert.Fail(r.t, "an unexpected error", "%s: %+v: %+v", c.Name, q, got)
	}
	return got, !got.Unknown
}

// read reads a key when that is possible.
func (r *run) read(key string) (got response) {
	for ok := false; !ok || got.Err != ""; {
		got, ok = r.do(r.workers[0], request{Op: "load", Key: key})
	}
	return got
}

// client makes calls, drawn at random.
func (r *run) client(c *client, round, id int) {
	random := rand.New(rand.NewPCG(*seed, uint64(round*100+id)))
	last := map[string]uint64{} // revisions that the client knows
	for i := 0; i < callsPerClient && time.Now().Before(r.end); i++ {
		key := fmt.Sprintf("round %d key %d", round, random.IntN(3))
		pause := uint64(random.IntN(30))
		switch op := random.IntN(10); {
		case op < 8:
			in := linear.Input{Key: key, Op: []string{"store", "swap", "swap", "delete", "load", "load", "load", "load"}[op], Value: 1000*id + i, Old: last[key]}
			last[key] = r.operate(c, id, in)
		case op == 8:
			r.fenced(c, "load", request{Op: "work", Key: fmt.Sprint("shared ", random.IntN(2)), Old: pause})
		default:
			r.fenced(c, "lock", request{Op: "guard", Old: pause})
		}
	}
}

// operate makes a call of the Map, and returns the revision of the key if that is known.
func (r *run) operate(c *client, id int, in linear.Input) uint64 {
	call := r.clock.Add(1)
	got, known := r.do(c, request{Op: in.Op, Key: in.Key, Value: fmt.Sprint(in.Value), Old: in.Old})
	ret := r.clock.Add(1)
	if (!known || got.Err != "") && in.Op == "load" || known && got.Err != "" {
		return 0 // not made
	}
	out := linear.Output{Revision: got.Revision, OK: got.OK, Unknown: !known}
	if in.Op == "load" && got.OK {
		out.Value, _ = strconv.Atoi(got.Value)
	}
	if !known {
		ret = math.MaxInt64
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, porcupine.Operation{ClientId: id, Input: in, Output: out, Call: call, Return: ret})
	return out.Revision
}

// produce stores a value when the one before was taken.
func (r *run) produce(n *tally, queue string, i int) {
	for {
		got, known := r.do(r.workers[i%len(r.workers)], request{Op: "swap", Key: queue, Value: fmt.Sprint(i)})
		if got.OK || !known {
			n.mu.Lock()
			n.stored[fmt.Sprint(i)] = got.OK
			n.mu.Unlock()
			return
		}
	}
}

// take takes values until all were produced and nothing comes any more.
func (r *run) take(c *client, n *tally, queue string, produced chan struct{}) {
	for {
		over := isClosed(produced)
		q := request{Op: "take", Key: queue, Within: time.Second}
		r.calls.Add(1)
		c.wait()
		got, ok := <-c.start(q).returned
		switch {
		case !ok:
			r.mu.Lock()
			r.gone++
			r.mu.Unlock()
		case !n.took(got) && over:
			return
		}
	}
}

// fenced makes a call that returns a fence.
func (r *run) fenced(c *client, kind string, q request) {
	q.Within = callTime
	r.calls.Add(1)
	c.wait()
	begun := r.fences.now()
	x := c.start(q)
	got, ok := <-x.returned
	for len(x.events) > 0 {
		r.fences.loading(r.t, q.Key, (<-x.events).Revision)
	}
	switch {
	case !ok:
		r.unknown.Add(1)
	case got.Err == "":
		if kind == "load" {
			got.Revision, _ = strconv.ParseUint(got.Value, 10, 64)
		}
		r.fences.returned(fenced{worker: c.Name, kind: kind, key: q.Key, fence: got.Revision, begun: begun})
	case !got.Ended && !got.LeaseLost && !got.Unknown:
		assert.Fail(r.t, "an unexpected error", "%s: %+v: %+v", c.Name, q, got)
	}
}

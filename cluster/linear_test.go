package cluster_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/internal/testkit"
)

// An input is a call, and an output is what it returned.
type input struct {
	key, op string
	value   int
	old     uint64
}

type output struct {
	value    int
	revision uint64
	ok       bool // stored, loaded, swapped, deleted or found
	unknown  bool // it may have been applied
}

// An entry is the state of a key. The revision of what an unknown write stored is not
// known before somebody reads it.
type entry struct {
	there    bool
	value    int
	revision uint64 // zero: not known
}

func (e entry) has(revision uint64) bool {
	return e.there && (e.revision == 0 || e.revision == revision)
}

func (e entry) hasNot(revision uint64) bool {
	return !e.there || e.revision == 0 || e.revision != revision
}

// model says what a key's calls may return, one after the other.
var model = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			key := op.Input.(input).key
			byKey[key] = append(byKey[key], op)
		}
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{entry{}} },
	Step: func(state, in, out any) []any {
		s, i, o := state.(entry), in.(input), out.(output)
		if !o.unknown {
			if next, ok := step(s, i, o); ok {
				return []any{next}
			}
			return nil
		}
		all := []any{s}
		if next, ok := step(s, i, output{ok: i.op != "loadOrStore", value: i.value}); ok {
			all = append(all, next)
		}
		return all
	},
	Equal:             func(a, b any) bool { return a == b },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}).ToModel()

func step(s entry, i input, o output) (next entry, possible bool) {
	stored := entry{true, i.value, o.revision}
	switch i.op {
	case "store":
		return stored, true
	case "loadOrStore":
		if o.ok {
			return s, s.there && s.value == o.value
		}
		return stored, !s.there && o.value == i.value
	case "swap":
		if o.ok {
			return stored, i.old == 0 && !s.there || s.has(i.old)
		}
		return s, i.old == 0 && s.there || i.old != 0 && s.hasNot(i.old)
	case "compareAndDelete":
		if o.ok {
			return entry{}, s.has(i.old)
		}
		return s, s.hasNot(i.old)
	case "delete":
		return entry{}, true
	case "load":
		if !o.ok {
			return s, !s.there
		}
		return entry{true, o.value, o.revision}, s.has(o.revision) && s.value == o.value
	}
	panic(i.op)
}

// A recorder records the calls of several clients.
type recorder struct {
	t       *testing.T
	clock   atomic.Int64
	mu      sync.Mutex
	history []porcupine.Operation
}

func (r *recorder) do(client int, in input, f func() (output, error)) output {
	call := r.clock.Add(1)
	out, err := f()
	ret := r.clock.Add(1)
	if errors.Is(err, cluster.ErrUnknown) {
		out, ret = output{unknown: true}, math.MaxInt64
	} else {
		assert.NoError(r.t, err, "%+v", in)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: ret})
	return out
}

// client makes calls, drawn at random.
func (r *recorder) client(id, calls int, x machine, m *cluster.Map[int]) {
	random := rand.New(rand.NewPCG(3, uint64(id)))
	last := map[string]uint64{} // the newest revision that the client knows
	for i := range calls {
		in := input{key: fmt.Sprint(random.IntN(3)), value: 1000*id + i}
		in.op = []string{"store", "loadOrStore", "swap", "compareAndDelete", "delete", "load", "load"}[random.IntN(7)]
		if in.old = last[in.key]; in.op == "compareAndDelete" && in.old == 0 {
			in.op = "load"
		}
		out := r.do(id, in, func() (o output, err error) {
			switch in.op {
			case "store":
				o.revision, err = m.Store(bg, in.key, in.value)
			case "loadOrStore":
				o.value, o.ok, err = m.LoadOrStore(bg, in.key, in.value)
			case "swap":
				o.revision, o.ok, err = m.CompareAndSwap(bg, in.key, in.old, in.value)
			case "compareAndDelete":
				o.ok, err = m.CompareAndDelete(bg, in.key, in.old)
			case "delete":
				err = m.Delete(bg, in.key)
			case "load":
				err = x.Sync(bg)
				e, ok := m.LoadEntry(in.key)
				o = output{value: e.Value, revision: e.Revision, ok: ok}
			}
			return o, err
		})
		if last[in.key] = out.revision; in.op == "load" && !out.ok {
			delete(last, in.key)
		}
	}
}

// TestLinearizable: writes, and reads after Sync, of two machines whose connections are cut,
// and whose server is restarted.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := &recorder{t: t}
	machines := []machine{s.machine(t), s.machine(t)}
	stop := make(chan struct{})
	var faults sync.WaitGroup
	faults.Go(func() { cutAll(machines, stop, func(i int) { restartAt(t, s, i, 3) }) })
	var clients sync.WaitGroup
	for i, x := range machines {
		m := newMap[int](t, x.Bucket)
		for j := range 3 {
			clients.Go(func() { r.client(10*i+j, testkit.Scale(100, 40), x, m) })
		}
	}
	clients.Wait()
	close(stop)
	faults.Wait()
	unknown := 0
	for i := range r.history {
		if r.history[i].Output.(output).unknown {
			unknown++
		}
	}
	t.Logf("%d calls, %d of them with an unknown outcome", len(r.history), unknown)
	require.Less(t, unknown, len(r.history)/4)
	verdict, info := porcupine.CheckOperationsVerbose(model, r.history, time.Minute)
	if !assert.Equal(t, porcupine.Ok, verdict) {
		require.NoError(t, porcupine.VisualizePath(model, info, "linear.out.html"))
	}
}

func restartAt(t *testing.T, s *site, i, at int) {
	if i == at {
		s.restart(t)
	}
}

// cutAll holds and cuts the connections of one machine after the other until stop is
// closed. Before each cut it calls f with its number.
func cutAll(machines []machine, stop chan struct{}, f func(i int)) {
	pause := time.NewTicker(30 * time.Millisecond)
	defer pause.Stop()
	for i := 0; ; i++ {
		link := machines[i%len(machines)].link
		for _, step := range []func(){link.Hold, func() { f(i) }, link.Cut, link.Heal, func() {}, func() {}, func() {}, func() {}} {
			select {
			case <-stop:
				link.Heal()
				return
			case <-pause.C:
				step()
			}
		}
	}
}

// TestModelConvicts: histories that are not linearizable.
func TestModelConvicts(t *testing.T) {
	t.Parallel()
	op := func(call int64, in input, out output) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: call, Return: call + 1}
	}
	stored := op(1, input{op: "store", value: 1}, output{revision: 5})
	for name, bad := range map[string]porcupine.Operation{
		"stale read":       op(3, input{op: "load"}, output{}),
		"other value":      op(3, input{op: "load"}, output{value: 2, revision: 5, ok: true}),
		"stored over":      op(3, input{op: "loadOrStore", value: 2}, output{value: 2}),
		"lost swap":        op(3, input{op: "swap", old: 5, value: 2}, output{}),
		"swap of nothing":  op(3, input{op: "swap", old: 4, value: 2}, output{ok: true, revision: 6}),
		"delete of absent": op(3, input{op: "compareAndDelete", old: 4}, output{ok: true}),
	} {
		require.False(t, porcupine.CheckOperations(model, []porcupine.Operation{stored, bad}), name)
	}
	unknown := op(1, input{op: "store", value: 1}, output{unknown: true})
	for _, out := range []output{{}, {value: 1, revision: 7, ok: true}} {
		require.True(t, porcupine.CheckOperations(model, []porcupine.Operation{unknown, op(3, input{op: "load"}, out)}))
	}
}

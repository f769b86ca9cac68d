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
	"github.com/vigil-go/vigil/cluster/internal/linear"
	"github.com/vigil-go/vigil/internal/testkit"
)

// A recorder records the calls of several clients.
type recorder struct {
	t       *testing.T
	clock   atomic.Int64
	mu      sync.Mutex
	history []porcupine.Operation
}

func (r *recorder) do(client int, in linear.Input, f func() (linear.Output, error)) linear.Output {
	call := r.clock.Add(1)
	out, err := f()
	ret := r.clock.Add(1)
	if errors.Is(err, cluster.ErrUnknown) {
		out, ret = linear.Output{Unknown: true}, math.MaxInt64
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
		in := linear.Input{Key: fmt.Sprint(random.IntN(3)), Value: 1000*id + i}
		in.Op = []string{"store", "loadOrStore", "swap", "compareAndDelete", "delete", "load", "load"}[random.IntN(7)]
		if in.Old = last[in.Key]; in.Op == "compareAndDelete" && in.Old == 0 {
			in.Op = "load"
		}
		out := r.do(id, in, func() (o linear.Output, err error) {
			switch in.Op {
			case "store":
				o.Revision, err = m.Store(bg, in.Key, in.Value)
			case "loadOrStore":
				o.Value, o.OK, err = m.LoadOrStore(bg, in.Key, in.Value)
			case "swap":
				o.Revision, o.OK, err = m.CompareAndSwap(bg, in.Key, in.Old, in.Value)
			case "compareAndDelete":
				o.OK, err = m.CompareAndDelete(bg, in.Key, in.Old)
			case "delete":
				err = m.Delete(bg, in.Key)
			case "load":
				err = x.Sync(bg)
				e, ok := m.LoadEntry(in.Key)
				o = linear.Output{Value: e.Value, Revision: e.Revision, OK: ok}
			}
			return o, err
		})
		if last[in.Key] = out.Revision; in.Op == "load" && !out.OK {
			delete(last, in.Key)
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
		if r.history[i].Output.(linear.Output).Unknown {
			unknown++
		}
	}
	t.Logf("%d calls, %d of them with an unknown outcome", len(r.history), unknown)
	require.Less(t, unknown, len(r.history)/4)
	verdict, info := porcupine.CheckOperationsVerbose(linear.Model, r.history, time.Minute)
	if !assert.Equal(t, porcupine.Ok, verdict) {
		require.NoError(t, porcupine.VisualizePath(linear.Model, info, "linear.out.html"))
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

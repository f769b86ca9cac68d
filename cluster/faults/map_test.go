package faults_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

// TestServersRestartUnderIdleWatcher: one after the other, and all at once.
func TestServersRestartUnderIdleWatcher(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 2, nil, nil)
	a, b := s.workers[0], s.workers[1]
	wait := b.start(request{Op: "wait", Key: "first"})
	for _, server := range s.Servers() {
		s.must(server.Restart(t.Context()))
		a.do(request{Op: "store", Key: "x", Value: server.Name}) // it is in the cluster again
	}
	wait.quiet("a value that was not stored")
	a.do(request{Op: "store", Key: "first", Value: "1"})
	require.Equal(t, "1", wait.result().Value)

	wait = b.start(request{Op: "wait", Key: "second"})
	s.killAll()
	s.startAll()
	a.do(request{Op: "store", Key: "second", Value: "2"})
	require.Equal(t, "2", wait.result().Value)
	require.Equal(t, map[string]string{"x": "server2", "first": "1", "second": "2"}, b.do(request{Op: "all"}).Values)
}

func (s *site) killAll() {
	var all sync.WaitGroup
	for _, server := range s.Servers() {
		all.Go(server.Kill)
	}
	all.Wait()
}

func (s *site) startAll() {
	s.t.Helper()
	for _, server := range s.Servers() {
		s.must(server.Start(s.t.Context()))
	}
}

// TestStalledCallback: a callback that stalls for longer than the server waits for a consumer
// loses nothing.
func TestStalledCallback(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 2, nil, nil)
	a, b := s.workers[0], s.workers[1]
	stall := b.start(request{Op: "stall", Key: "first", Old: 60_000})
	stall.event("ready")
	a.do(request{Op: "store", Key: "first"})
	stall.event("stalling")
	const keys = 3000 // more than are asked for at a time
	s.storeMany(a, keys)
	a.do(request{Op: "delete", Key: "key 5"})
	require.False(t, b.do(request{Op: "look", Key: "key 7"}).OK, "the callback does not stall")
	stall.result()
	all := b.do(request{Op: "all"}).Values
	require.Equal(t, a.do(request{Op: "all"}).Values, all)
	require.Len(t, all, keys)
}

// storeMany stores n keys.
func (s *site) storeMany(c *client, n int) {
	s.t.Helper()
	const atOnce = 50
	var calls []*call
	for i := range n {
		calls = append(calls, c.start(request{Op: "store", Key: fmt.Sprint("key ", i), Value: fmt.Sprint(i)}))
		if i >= atOnce {
			require.Empty(s.t, calls[i-atOnce].result().Err)
		}
	}
	for _, x := range calls[max(0, n-atOnce):] {
		require.Empty(s.t, x.result().Err)
	}
}

// TestDeletionsAreForgotten: keys are deleted while a worker is away, and the marks of that
// expire before, while and after it comes back.
func TestDeletionsAreForgotten(t *testing.T) {
	onlyLong(t)
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%t", restart), func(t *testing.T) {
			t.Parallel()
			const markers = 2 * time.Second
			s := newSite(t, 2, nil, &openOptions{MarkerTTL: markers})
			a, b := s.workers[0], s.workers[1]
			const keys = 60
			s.storeMany(a, keys)
			require.Len(t, b.do(request{Op: "all"}).Values, keys)
			s.must(b.Cut())
			for i := range keys - 10 {
				a.do(request{Op: "delete", Key: fmt.Sprint("key ", i)})
				time.Sleep(markers / 20)
				if i == keys/2 && restart { // the servers take a snapshot
					s.killAll()
					s.startAll()
				}
			}
			s.must(b.Heal())
			all := b.do(request{Op: "all"}).Values
			require.Len(t, all, 10, "phantom keys")
			require.Equal(t, a.do(request{Op: "all"}).Values, all)
			require.Equal(t, all, s.join(&openOptions{MarkerTTL: markers}).do(request{Op: "all"}).Values)
		})
	}
}

// TestReplicaLags: a worker sees its own writes, and after a Sync those of others, also if
// the server that it is connected to lags behind.
func TestReplicaLags(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 3, &lab.Options{Isolation: lab.Proxies}, nil)
	for i, server := range s.Servers() {
		s.must(server.Slow(30 * time.Millisecond))
		for j, c := range s.workers {
			value := fmt.Sprint(i, j)
			wrote := c.do(request{Op: "store", Key: "x", Value: value})
			r := c.do(request{Op: "look", Key: "x"})
			require.Equal(t, value, r.Value)
			require.False(t, c.do(request{Op: "swap", Key: "x", Old: 1}).OK)
			require.Equal(t, wrote.Revision, c.do(request{Op: "look", Key: "x"}).Revision)
			for _, other := range s.workers {
				require.Equal(t, value, other.do(request{Op: "load", Key: "x"}).Value)
			}
		}
		s.must(server.Slow(0))
	}
}

// TestClusterIsKilled: all servers are killed while writes are under way. What was
// acknowledged is there afterwards.
func TestClusterIsKilled(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 3, nil, nil)
	var acks ledger
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for i, c := range s.workers {
		writers.Go(func() { acks.write(c, fmt.Sprint("key ", i), stop) })
	}
	for round := range 3 {
		acks.more(20)
		s.killAll()
		s.startAll()
		s.leader()
		t.Logf("round %d: %d acknowledged", round, acks.count())
	}
	acks.more(20)
	close(stop)
	writers.Wait()
	acks.check(t, s.join(nil))
}

// A ledger has the newest write of each key that was acknowledged, and later ones that may have
// been applied.
type ledger struct {
	mu      sync.Mutex
	acked   map[string]string
	unknown map[string][]string
	acks    int
}

// write stores one value after the other.
func (l *ledger) write(c *client, key string, stop chan struct{}) {
	for i := 0; ; i++ {
		if isClosed(stop) {
			return
		}
		value := fmt.Sprint(i)
		r := c.call(request{Op: "store", Key: key, Value: value, Within: patience / 2})
		l.mu.Lock()
		if l.acked == nil {
			l.acked, l.unknown = make(map[string]string), make(map[string][]string)
		}
		switch {
		case r.Err == "":
			l.acked[key], l.unknown[key] = value, nil
			l.acks++
		case r.Unknown:
			l.unknown[key] = append(l.unknown[key], value)
		}
		l.mu.Unlock()
	}
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks
}

// more waits until that many more were acknowledged.
func (l *ledger) more(n int) {
	for before := l.count(); l.count() < before+n; {
		time.Sleep(time.Millisecond)
	}
}

// check compares with what a worker sees.
func (l *ledger) check(t *testing.T, c *client) {
	t.Helper()
	all := c.do(request{Op: "all"}).Values
	for key, value := range l.acked {
		require.Contains(t, append(l.unknown[key], value), all[key], "%s: %q was acknowledged", key, value)
	}
}

// TestTakeWhileReconnecting: each value is taken by one, and none is lost, while
// servers are killed and takers are cut off.
func TestTakeWhileReconnecting(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 3, nil, nil)
	producer, takers := s.workers[0], s.workers[1:]
	taken := newTally()
	stop := make(chan struct{})
	var producers, all sync.WaitGroup
	producers.Go(func() { taken.produce(producer, stop) })
	ended := make(chan struct{})
	for _, c := range takers {
		all.Go(func() { taken.takeAll(c, ended) })
	}
	for i := range 4 {
		taken.more(20)
		s.must(takers[i%2].Cut())
		s.must(s.leader().Restart(t.Context()))
		s.must(takers[i%2].Heal())
	}
	taken.more(20)
	close(stop)
	producers.Wait()
	close(ended)
	all.Wait()
	taken.check(t, producer.do(request{Op: "load", Key: "queue"}))
}

// TestFullDisk: the disk of the server that leads is full. Nothing that was acknowledged is
// lost, and when there is room again, everything goes on.
func TestFullDisk(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	if err := lab.Supported(lab.Namespaces); err != nil {
		t.Skip("needs root:", err)
	}
	s := newSite(t, 2, &lab.Options{DiskSize: 64 << 20}, nil)
	var acks ledger
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for i, c := range s.workers {
		writers.Go(func() { acks.write(c, fmt.Sprint("key ", i), stop) })
	}
	acks.more(20)
	full := s.leader()
	s.must(full.Fill(t.Context()))
	time.Sleep(3 * ttl)
	t.Logf("%d acknowledged; %s had the full disk, and now %s leads", acks.count(), full.Name, s.leader().Name)
	require.Contains(t, full.Log(), "no space left on device")
	s.must(full.Free(t.Context()))
	acks.more(20)
	close(stop)
	writers.Wait()
	acks.check(t, s.join(nil))
}

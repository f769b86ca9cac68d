package faults_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

func leases() *openOptions { return &openOptions{TTL: ttl, ResultTTL: time.Hour} }

// away is a way to be away for a while.
type away struct {
	name      string
	isolation lab.Isolation
	leave     func(p *lab.Process) error
	comeBack  func(p *lab.Process) error
}

var ways = []away{
	{"stopped", 0, (*lab.Process).Pause, (*lab.Process).Resume},
	{"cut off", lab.Namespaces, (*lab.Process).Cut, (*lab.Process).Heal},
	{"cut off by a proxy", lab.Proxies, (*lab.Process).Cut, (*lab.Process).Heal},
}

// TestHolderIsAway: the holder of a load and of the mutex is away for longer than its TTL. Its
// result is refused, and everybody has that of its successor.
func TestHolderIsAway(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			if err := lab.Supported(way.isolation); way.isolation == lab.Namespaces && err != nil {
				t.Skip(err)
			}
			if way.isolation == lab.Proxies {
				onlyLong(t)
			}
			s := newSite(t, 3, &lab.Options{Isolation: way.isolation}, leases())
			a, b, c := s.workers[0], s.workers[1], s.workers[2]
			first := a.start(request{Op: "do", Key: "k"})
			oldFence := first.event("loading").Revision
			oldLock := a.do(request{Op: "lock"}).Revision
			held := a.start(request{Op: "held"})
			second := b.start(request{Op: "do", Key: "k"})

			s.must(way.leave(a.Process))
			require.Greater(t, second.event("loading").Revision, oldFence)
			require.Greater(t, b.do(request{Op: "lock"}).Revision, oldLock)
			second.finish("of b")
			require.Equal(t, "of b", second.result().Value)

			s.must(way.comeBack(a.Process))
			first.finish("of a")
			require.Equal(t, "of b", first.result().Value)
			require.True(t, held.result().LeaseLost)
			require.True(t, a.call(request{Op: "unlock"}).LeaseLost)
			third := c.start(request{Op: "do", Key: "k"})
			third.event("loading")
			third.finish("of c")
			require.Equal(t, "of c", third.result().Value)
			b.do(request{Op: "unlock"})
		})
	}
}

// TestKilledHolderIsReplaced: a lease that was renewed for three TTLs ends when its holder
// is killed, and not before.
func TestKilledHolderIsReplaced(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 2, nil, leases())
	a, b := s.workers[0], s.workers[1]
	first := a.start(request{Op: "do", Key: "k"})
	first.event("loading")
	a.do(request{Op: "lock"})
	held := a.start(request{Op: "held"})
	second := b.start(request{Op: "do", Key: "k"})
	lock := b.start(request{Op: "lock"})
	time.Sleep(3 * ttl)
	second.quiet("a lease that is renewed has ended")
	lock.quiet("a lock that is renewed has ended")
	held.quiet("a lock that is renewed was lost")

	a.Kill()
	killed := time.Now()
	second.event("loading")
	took := time.Since(killed)
	require.Empty(t, lock.result().Err)
	t.Logf("another one loads %v after the holder was killed, with a TTL of %v", took, ttl)
	require.Less(t, took, ttl+2*time.Second+lenience)
	second.finish("of b")
	require.Equal(t, "of b", second.result().Value)
}

// lenience is for a machine that is busy with other tests.
const lenience = 15 * time.Second

// TestSlowLink: while an answer takes longer than a TTL, nobody believes in a lease.
func TestSlowLink(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 2, &lab.Options{Isolation: lab.Proxies}, &openOptions{TTL: time.Second})
	a, b := s.workers[0], s.workers[1]
	s.must(a.Slow(700 * time.Millisecond)) // 1.4 s for an answer
	slow := a.start(request{Op: "do", Key: "k", Within: 8 * time.Second})
	store := a.do(request{Op: "store", Key: "x", Value: "slow"})
	require.Equal(t, "slow", a.do(request{Op: "look", Key: "x"}).Value)
	require.NotZero(t, store.Revision)
	r := slow.result()
	require.True(t, r.Ended, "%+v", r)
	slow.noEvents("a load under a lease that had ended when it was acknowledged")

	s.must(a.Slow(0))
	fast := a.start(request{Op: "do", Key: "k"})
	fast.event("loading")
	fast.finish("of a")
	require.Equal(t, "of a", fast.result().Value)
	b.do(request{Op: "lock"})
	b.do(request{Op: "unlock"})
}

// TestLeaderChangesWhileLeasesAreHeld: no lease is revoked early, and none is immortal.
func TestLeaderChangesWhileLeasesAreHeld(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	const ttl = 30 * time.Second // longer than an election
	s := newSite(t, 2, nil, &openOptions{TTL: ttl})
	a, b := s.workers[0], s.workers[1]
	first := a.start(request{Op: "do", Key: "k"})
	first.event("loading")
	a.do(request{Op: "lock"})
	held := a.start(request{Op: "held"})
	second := b.start(request{Op: "do", Key: "k"})
	lock := b.start(request{Op: "lock"})
	for i := range 4 {
		old := s.leader()
		if i%2 == 0 {
			s.must(old.StepDown(t.Context(), stream))
		} else {
			s.must(old.Restart(t.Context()))
		}
		b.do(request{Op: "store", Key: "x", Value: "by the new leader"})
		t.Logf("%s led, and now %s does", old.Name, s.leader().Name)
		second.quiet("a lease was revoked by a new leader")
		lock.quiet("a lock was revoked by a new leader")
		held.quiet("a lock was lost at a new leader")
	}

	leader := s.leader()
	a.Kill()
	leader.Kill() // while the TTL of the last renewal runs
	second.event("loading")
	require.Empty(t, lock.result().Err)
	second.finish("of b")
	require.Equal(t, "of b", second.result().Value)
	s.must(leader.Start(t.Context()))
}

// TestNoLeader: without a leader for two TTLs, a holder does not believe in its lease, nobody
// else loads, and reads go on. Then everything goes on.
func TestNoLeader(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 2, nil, leases())
	a, b := s.workers[0], s.workers[1]
	a.do(request{Op: "store", Key: "x", Value: "1"})
	b.do(request{Op: "sync"})
	a.do(request{Op: "lock"})
	held := a.start(request{Op: "held"})
	second := b.start(request{Op: "lock"})
	first := a.start(request{Op: "do", Key: "k"})
	first.event("loading")
	for _, server := range s.Servers()[:2] {
		server.Kill()
	}
	require.True(t, held.result().LeaseLost)
	time.Sleep(ttl)
	load := b.start(request{Op: "do", Key: "k"})
	require.Equal(t, "1", b.do(request{Op: "look", Key: "x"}).Value)
	require.True(t, b.call(request{Op: "store", Key: "x", Value: "2", Within: ttl}).Ended)
	second.quiet("a lock without a leader")
	load.quiet("a load without a leader")

	for _, server := range s.Servers()[:2] {
		s.must(server.Start(t.Context()))
	}
	require.Empty(t, second.result().Err)
	require.True(t, a.call(request{Op: "unlock"}).LeaseLost)
	load.event("loading")
	load.finish("of b")
	require.Equal(t, "of b", load.result().Value)
	first.finish("of a")
	require.Equal(t, "of b", first.result().Value)
}

// TestLoadsThatWaitForEachOther: A waits for B's key while B waits for A's, and members come
// and go. It ends with the context of one of them, and no key is wedged.
func TestLoadsThatWaitForEachOther(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	s := newSite(t, 3, nil, leases())
	a, b, c := s.workers[0], s.workers[1], s.workers[2]
	first := a.start(request{Op: "nest", Key: "of a", Value: "of b", Within: 2 * ttl})
	first.event("loading")
	second := b.start(request{Op: "nest", Key: "of b", Value: "of a"})
	second.event("loading")
	c.start(request{Op: "do", Key: "of a"}) // waits
	c.restart()
	d := s.join(leases())
	third := d.start(request{Op: "do", Key: "of a"})
	require.True(t, first.result().Ended)
	require.Equal(t, "nested", second.result().Value)
	third.finish("nested") // if it loads, because it was first when A gave up
	require.Equal(t, "nested", third.result().Value)
	for _, key := range []string{"of a", "of b"} {
		again := c.start(request{Op: "do", Key: key})
		again.event("loading")
		again.finish("again")
		require.Equal(t, "again", again.result().Value)
	}
}

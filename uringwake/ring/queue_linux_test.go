package ring_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// chain submits three entries: the first fails when it runs, the others are NOPs. A
// read of no file some kernels refuse before that.
func chain(g *rig, link func(s ring.SQEs) func(func(*ring.SQE) bool)) (results [3]unix.Errno) {
	g.Helper()
	s, ok := g.r.SQ().GetSQEs(3)
	require.True(g, ok)
	require.Equal(g, 3, s.Len())
	i := uint64(0)
	for e := range link(s) {
		if i == 0 {
			e.PrepClose(-1)
		} else {
			e.PrepNop()
		}
		e.SetData(i)
		i++
	}
	g.submit()
	for data, c := range g.drain(3) {
		results[data] = errno(c)
	}
	return results
}

func TestUnlinkedEntriesAreIndependent(t *testing.T) {
	got := chain(newRig(t, nil), func(s ring.SQEs) func(func(*ring.SQE) bool) { return s.All() })
	require.Equal(t, [3]unix.Errno{unix.EBADF, 0, 0}, got)
}

func TestSoftLinkCancelsTheRest(t *testing.T) {
	got := chain(newRig(t, nil), func(s ring.SQEs) func(func(*ring.SQE) bool) { return s.SoftLinked() })
	require.Equal(t, [3]unix.Errno{unix.EBADF, unix.ECANCELED, unix.ECANCELED}, got)
}

func TestHardLinkGoesOn(t *testing.T) {
	got := chain(newRig(t, nil), func(s ring.SQEs) func(func(*ring.SQE) bool) { return s.HardLinked() })
	require.Equal(t, [3]unix.Errno{unix.EBADF, 0, 0}, got)
}

// The last entry of a chain does not link to what is got after it.
func TestChainEndsWithItsLastEntry(t *testing.T) {
	g := newRig(t, nil)
	s, ok := g.r.SQ().GetSQEs(2)
	require.True(t, ok)
	for e := range s.SoftLinked() {
		e.PrepRead(-1, nil, 0)
	}
	require.NotZero(t, s.At(0).Flags&ring.SQELink)
	require.Zero(t, s.At(1).Flags&ring.SQELink)
	data := g.prep(func(s *ring.SQE) { s.PrepNop() })
	_, err := g.r.SQ().Submit()
	require.NoError(t, err)
	require.Zero(t, g.drain(3)[data].Res)
}

func TestLinkedEntriesRunInOrder(t *testing.T) {
	g := newRig(t, nil)
	r, w := pipe(t)
	p := make([]byte, 1)
	read := g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0); s.SetHardlink() })
	nop := g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	g.quiet()
	_, err := unix.Write(w, []byte("x"))
	require.NoError(t, err)
	g.waitFor(read)
	g.waitFor(nop)
}

// The completions of two that drained may come in either order, as they did on
// Linux 6.1, of NOPs always, and on 6.12, now and then.
func TestDrainWaitsForAllBefore(t *testing.T) {
	g := newRig(t, nil)
	r, w := pipe(t)
	out, in := pipe(t)
	p, a, b := make([]byte, 1), []byte("a"), []byte("b")
	g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) })
	g.prep(func(s *ring.SQE) { s.PrepWrite(in, a, 0); s.SetDrain() })
	g.prep(func(s *ring.SQE) { s.PrepWrite(in, b, 0) })
	g.submit()
	g.quiet()
	_, err := unix.Write(w, []byte("x"))
	require.NoError(t, err)
	for _, c := range g.drain(3) {
		require.NoError(t, c.Err())
	}
	require.Equal(t, "x", string(p))
	done := make([]byte, 3)
	n, err := unix.Read(out, done)
	require.NoError(t, err)
	if string(done[:n]) == "ba" && leftToWorkers(out) {
		return
	}
	require.Equal(t, "ab", string(done[:n]), "what they did, in this order")
}

// leftToWorkers reports whether the kernel leaves transfers of that pipe to its
// workers, as Linux 6.1 does: there one that drained was overtaken, once in 100.
func leftToWorkers(fd int) bool {
	_, err := unix.Preadv2(fd, [][]byte{{0}}, -1, unix.RWF_NOWAIT)
	return err == unix.EOPNOTSUPP
}

func TestAsyncRunsInAWorker(t *testing.T) {
	g := newRig(t, nil)
	fd := tempFile(t, "async")
	p := make([]byte, 8)
	require.Equal(t, 5, g.ok(func(s *ring.SQE) { s.PrepRead(fd, p, 0); s.SetAsync() }))
}

func TestSkipSuccessIsSilent(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatCQESkip)
	g.prep(func(s *ring.SQE) { s.PrepNop(); s.SetSkipSuccess() })
	failed := g.prep(func(s *ring.SQE) { s.PrepRead(-1, nil, 0); s.SetSkipSuccess() })
	g.submit()
	require.Equal(t, unix.EBADF, errno(g.waitFor(failed)))
	g.quiet()
}

func TestFullSubmissionQueue(t *testing.T) {
	r := setup(t, 4, nil)
	q := r.SQ()
	require.EqualValues(t, 4, q.Entries())
	for round := range 3 {
		for range 4 {
			q.GetSQE().PrepNop()
		}
		require.Nil(t, q.GetSQE(), "full")
		require.Zero(t, q.SpaceLeft())
		require.EqualValues(t, 4, q.Ready())
		n, err := q.Submit()
		require.NoError(t, err)
		require.Equal(t, 4, n, "round %d", round)
		require.EqualValues(t, 4, q.SpaceLeft())
		require.EqualValues(t, 4, r.CQ().Ready())
		r.CQ().Advance(4)
	}
	require.Zero(t, q.Dropped())
}

func TestGetSQEsTakesAllOrNone(t *testing.T) {
	g := newRig(t, nil)
	_, ok := g.r.SQ().GetSQEs(17)
	require.False(t, ok)
	require.Zero(t, g.r.SQ().Ready())
	s, ok := g.r.SQ().GetSQEs(16)
	require.True(t, ok)
	require.Equal(t, 16, s.Len())
	require.Nil(t, g.r.SQ().GetSQE())
	n := 0
	for e := range s.All() {
		e.PrepNop()
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, 3, n)
	n, err := g.r.SQ().Submit()
	require.NoError(t, err)
	require.Equal(t, 16, n, "entries that were not prepared are NOPs")
	g.r.CQ().Advance(16)
}

// Without SetupSubmitAll an entry that is refused ends the submission.
func TestSubmissionStopsAtARefusedEntry(t *testing.T) {
	for _, test := range []struct {
		flags uint32
		taken int
	}{{0, 1}, {ring.SetupSubmitAll, 2}} {
		g := newRig(t, &ring.Params{Flags: test.flags})
		bad := g.prep(func(s *ring.SQE) { s.PrepNop(); s.Opcode = 250 })
		good := g.prep(func(s *ring.SQE) { s.PrepNop() })
		n, err := g.r.SQ().Submit()
		require.NoError(t, err)
		require.Equal(t, test.taken, n)
		require.Equal(t, unix.EINVAL, errno(g.waitFor(bad)))
		_, err = g.r.SQ().Submit()
		require.NoError(t, err)
		require.Zero(t, g.waitFor(good).Res)
	}
}

// Hazard: completions that overflow the queue are lost, or never flushed.
func TestCompletionQueueOverflowLosesNothing(t *testing.T) {
	g := newRig(t, &ring.Params{Flags: ring.SetupCQSize, CQEntries: 16})
	needFeature(t, g.r, ring.FeatNoDrop)
	require.EqualValues(t, 16, g.r.CQ().Entries())
	const all = 50
	for range all {
		g.prep(func(s *ring.SQE) { s.PrepNop() })
		g.submit()
	}
	require.True(t, g.r.SQ().Overflown())
	require.EqualValues(t, 16, g.r.CQ().Ready())
	for i := range uint64(all) {
		if g.r.CQ().Peek() == nil {
			require.True(t, g.r.SQ().Overflown())
			require.NoError(t, g.r.CQ().GetEvents())
		}
		c := g.r.CQ().Peek()
		require.NotNil(t, c)
		require.Equal(t, i+1, c.UserData, "in order")
		g.r.CQ().Seen()
	}
	require.False(t, g.r.SQ().Overflown())
	require.Zero(t, g.r.CQ().Overflow())
}

// The blocking iterator flushes what overflowed by itself.
func TestBlockingFlushesOverflow(t *testing.T) {
	g := newRig(t, &ring.Params{Flags: ring.SetupCQSize, CQEntries: 16})
	needFeature(t, g.r, ring.FeatNoDrop)
	for range 50 {
		g.prep(func(s *ring.SQE) { s.PrepNop() })
		g.submit()
	}
	n := uint64(0)
	for c, err := range g.r.CQ().Blocking(1) {
		require.NoError(t, err)
		n++
		require.Equal(t, n, c.UserData)
		if n == 50 {
			break
		}
	}
	g.quiet()
}

func TestIteratorsSeeEachOnce(t *testing.T) {
	g := newRig(t, nil)
	for range 5 {
		g.prep(func(s *ring.SQE) { s.PrepNop() })
	}
	g.submit()
	for c := range g.r.CQ().All() {
		if c.UserData == 2 {
			break
		}
	}
	require.EqualValues(t, 3, g.r.CQ().Ready(), "two were seen")
	want := uint64(3)
	for c := range g.r.CQ().All() {
		require.Equal(t, want, c.UserData)
		want++
		if want == 5 { // one more, from within
			g.prep(func(s *ring.SQE) { s.PrepNop() })
			g.submit()
		}
	}
	require.EqualValues(t, 7, want)
	require.Nil(t, g.r.CQ().Peek())
}

func TestBlockingWaitsForCompletions(t *testing.T) {
	g := newRig(t, nil)
	r, w := pipe(t)
	p := make([]byte, 1)
	var want []uint64
	for range 2 {
		want = append(want, g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) }))
	}
	g.submit()
	done := make(chan error, 1)
	go func() {
		_, err := unix.Write(w, []byte("xx"))
		done <- err
	}()
	var got []uint64
	for c, err := range g.r.CQ().Blocking(2) {
		require.NoError(t, err)
		if got = append(got, c.UserData); len(got) == 2 {
			break
		}
	}
	require.NoError(t, <-done)
	require.ElementsMatch(t, want, got)
}

// Another thread than the one that a ring with SetupDeferTaskrun belongs to gets
// EEXIST, and the iterator ends with it.
func TestBlockingYieldsTheError(t *testing.T) {
	onThread(t, func() {
		r := setup(t, 4, &ring.Params{Flags: ring.SetupSingleIssuer | ring.SetupDeferTaskrun})
		errs := make(chan error)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for c, err := range r.CQ().Blocking(1) {
				if c != nil || err == nil {
					continue
				}
				errs <- err
			}
			close(errs)
		}()
		require.ErrorIs(t, <-errs, unix.EEXIST)
		_, more := <-errs
		require.False(t, more)
	})
}

// onThread runs f on a thread of its own, as rings with one issuer need it. The
// ring is closed on it too.
func onThread(t *testing.T, f func()) {
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	f()
}

// Submission, completion and registrar, each in goroutines of their own. The
// race detector checks that what was written before a submission can be read
// after its completion.
func TestPartsInDifferentGoroutines(t *testing.T) {
	r := setup(t, 64, nil)
	const all = 20_000
	slots := make([]uint64, all)
	stop, errs := make(chan struct{}), make(chan error, 3)
	go func() { errs <- submitAll(r.SQ(), slots) }()
	for range 2 {
		go func() { errs <- probeUntil(r.Registrar(), stop) }()
	}
	for range all { // in any order: the queue overflows
		c, err := r.CQ().Wait()
		require.NoError(t, err)
		require.NoError(t, c.Err())
		require.Equal(t, c.UserData+1, slots[c.UserData])
		slots[c.UserData] = 0 // there is one of each
		r.CQ().Seen()
	}
	close(stop)
	for range 3 {
		require.NoError(t, <-errs)
	}
}

func submitAll(q *ring.SubmissionQueue, slots []uint64) error {
	for i := range slots {
		s := q.GetSQE()
		s.PrepNop()
		s.SetData(uint64(i))
		slots[i] = uint64(i) + 1
		if i%7 == 0 || q.SpaceLeft() == 0 || i == len(slots)-1 {
			if _, err := q.Submit(); err != nil {
				return err
			}
		}
	}
	return nil
}

func probeUntil(r *ring.Registrar, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
			if _, err := r.Probe(); err != nil {
				return err
			}
		}
	}
}

// Ready counts completions that no Peek has seen, and Advance may return all of them.
func TestAdvanceOverCompletionsThatNobodyLookedAt(t *testing.T) {
	r := setup(t, 4, nil)
	for round := range 3 {
		for range 4 {
			r.SQ().GetSQE().PrepNop()
		}
		_, err := r.SQ().Submit()
		require.NoError(t, err)
		if round == 1 {
			require.NotNil(t, r.CQ().Peek())
		}
		r.CQ().Advance(r.CQ().Ready())
		require.Zero(t, r.CQ().Ready())
		require.Nil(t, r.CQ().Peek(), "round %d", round)
	}
}

// TestAdvanceHappensAfterTheSubmission: Peek takes from what Advance has seen, and
// the race detector must know that as well.
func TestAdvanceHappensAfterTheSubmission(t *testing.T) {
	r := setup(t, 4, nil)
	written, submitted := 0, make(chan error, 1)
	go func() {
		written = 1
		r.SQ().GetSQE().PrepNop()
		r.SQ().GetSQE().PrepNop()
		_, err := r.SQ().Submit()
		submitted <- err
	}()
	for r.CQ().Ready() < 2 {
		runtime.Gosched()
	}
	r.CQ().Advance(1)
	require.NotNil(t, r.CQ().Peek())
	require.Equal(t, 1, written)
	require.NoError(t, <-submitted)
}

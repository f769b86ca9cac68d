package ring_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

func needFeature(t *testing.T, r *ring.Ring, feature uint32) {
	t.Helper()
	if r.Features()&feature == 0 {
		t.Skip(ring.BeforeFirst(t, "Feat", int64(feature)))
	}
}

func TestWaitTimesOut(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatExtArg)
	_, err := g.r.CQ().WaitTimeout(1, time.Millisecond)
	require.ErrorIs(t, err, unix.ETIME)
	_, err = g.r.CQ().WaitTimeout(1, -time.Second)
	require.ErrorIs(t, err, unix.ETIME, "a time that is over")
	n, err := g.r.SQ().SubmitAndWaitTimeout(1, time.Millisecond)
	require.ErrorIs(t, err, unix.ETIME)
	require.Zero(t, n)
}

func TestTimedWaitReturnsWhatThereIs(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatExtArg)
	data := g.prep(func(s *ring.SQE) { s.PrepNop() })
	n, err := g.r.SQ().SubmitAndWaitTimeout(2, time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	c, err := g.r.CQ().WaitTimeout(2, time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, data, c.UserData)
	g.r.CQ().Seen()
}

func TestAbsoluteTimeout(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatExtArg)
	past := ring.WaitOptions{Timeout: &ring.Timespec{Sec: 1}, Absolute: true}
	_, err := g.r.CQ().WaitWith(1, past)
	require.ErrorIs(t, err, unix.ETIME)
	_, err = g.r.SQ().SubmitAndWaitWith(1, past)
	require.ErrorIs(t, err, unix.ETIME)
}

func TestMinWaitIsContentWithOne(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatMinTimeout)
	data := g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	c, err := g.r.CQ().WaitWith(2, ring.WaitOptions{Timeout: never(), MinWait: time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, data, c.UserData)
	g.r.CQ().Seen()
}

func TestNoIOWait(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatNoIOWait)
	_, err := g.r.CQ().WaitWith(1, ring.WaitOptions{Timeout: soon(), NoIOWait: true})
	require.ErrorIs(t, err, unix.ETIME)
}

func TestClockOfWaits(t *testing.T) {
	g := newRig(t, nil)
	err := g.r.Registrar().RegisterClock(unix.CLOCK_BOOTTIME)
	skipUnsupported(t, err, "RegisterClock")
	require.NoError(t, err)
	_, err = g.r.CQ().WaitTimeout(1, time.Millisecond)
	require.ErrorIs(t, err, unix.ETIME)
	require.ErrorIs(t, g.r.Registrar().RegisterClock(unix.CLOCK_REALTIME), unix.EINVAL)
}

func TestWaitNWaitsForAll(t *testing.T) {
	g := newRig(t, nil)
	r, w := pipe(t)
	p := make([]byte, 1)
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) })
	g.submit()
	done := make(chan error, 1)
	go func() {
		_, err := unix.Write(w, []byte("x"))
		done <- err
	}()
	_, err := g.r.CQ().WaitN(2)
	require.NoError(t, err)
	require.EqualValues(t, 2, g.r.CQ().Ready())
	require.NoError(t, <-done)
	g.r.CQ().Advance(2)
}

// A wait that asks for more than the queue holds ends when it is full.
func TestWaitNIsBoundedByTheQueue(t *testing.T) {
	g := newRig(t, &ring.Params{Flags: ring.SetupCQSize, CQEntries: 16})
	for range 16 {
		g.prep(func(s *ring.SQE) { s.PrepNop() })
	}
	g.submit()
	_, err := g.r.CQ().WaitN(1000)
	require.NoError(t, err)
	g.drain(16)
}

// A sleeper waits on a ring, on a thread of its own that can be signaled.
type sleeper struct {
	thread int
	done   chan error
}

func sleep(t *testing.T, wait func() error) *sleeper {
	s := &sleeper{done: make(chan error, 1)}
	ready, end := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(end) })
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		s.thread = unix.Gettid()
		close(ready)
		s.done <- wait()
		<-end // the thread can be signaled until then
	}()
	<-ready
	return s
}

// signal interrupts the sleeper's system call once.
func (s *sleeper) signal(t *testing.T) {
	t.Helper()
	s.inEnter(t)
	require.NoError(t, unix.Tgkill(unix.Getpid(), s.thread, unix.SIGURG))
}

// inEnter returns once the sleeper is in io_uring_enter, or done.
func (s *sleeper) inEnter(t *testing.T) {
	t.Helper()
	for {
		call, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/syscall", s.thread))
		if err != nil {
			t.Skip("cannot see what a thread does:", err)
		}
		if strings.HasPrefix(string(call), fmt.Sprint(unix.SYS_IO_URING_ENTER, " ")) || len(s.done) > 0 {
			return
		}
		runtime.Gosched()
	}
}

// The raw call is what signals interrupt.
func TestEnterIsInterrupted(t *testing.T) {
	g := newRig(t, nil)
	s := sleep(t, func() error { _, err := g.r.SQ().Enter(1, ring.EnterGetEvents); return err })
	for len(s.done) == 0 {
		s.signal(t)
	}
	require.ErrorIs(t, <-s.done, unix.EINTR)
}

// waits are all calls that wait for n completions; each fails if there are
// fewer after it.
func waits(o ring.WaitOptions) map[string]func(r *ring.Ring, n uint32) error {
	calls := map[string]func(r *ring.Ring, n uint32) error{
		"SubmitAndWait":        func(r *ring.Ring, n uint32) error { _, err := r.SQ().SubmitAndWait(n); return err },
		"SubmitAndWaitTimeout": func(r *ring.Ring, n uint32) error { _, err := r.SQ().SubmitAndWaitTimeout(n, time.Hour); return err },
		"SubmitAndWaitWith":    func(r *ring.Ring, n uint32) error { _, err := r.SQ().SubmitAndWaitWith(n, o); return err },
		"SubmitAndWaitReg":     func(r *ring.Ring, n uint32) error { _, err := r.SQ().SubmitAndWaitReg(n, 0); return err },
		"WaitN":                func(r *ring.Ring, n uint32) error { _, err := r.CQ().WaitN(n); return err },
		"WaitTimeout":          func(r *ring.Ring, n uint32) error { _, err := r.CQ().WaitTimeout(n, time.Hour); return err },
		"WaitWith":             func(r *ring.Ring, n uint32) error { _, err := r.CQ().WaitWith(n, o); return err },
	}
	for name, call := range calls {
		calls[name] = func(r *ring.Ring, n uint32) error { return enough(r, n, call(r, n)) }
	}
	calls["Blocking"] = func(r *ring.Ring, n uint32) error {
		for _, err := range r.CQ().Blocking(n) {
			return enough(r, n, err)
		}
		return nil
	}
	return calls
}

func enough(r *ring.Ring, n uint32, err error) error {
	if there := r.CQ().Ready(); err == nil && there < n {
		return fmt.Errorf("%d completions instead of %d", there, n)
	}
	return err
}

// waitRig is a rig with a region of waits, the first of which lasts an hour.
func waitRig(t *testing.T, flags uint32) *rig {
	t.Helper()
	g := newRig(t, &ring.Params{Flags: flags | ring.SetupRDisabled, SQThreadIdle: 1})
	w, err := g.r.Registrar().SetupWaitRegion(4)
	skipUnsupported(t, err, "MemRegionRegWaitArg")
	require.NoError(t, err)
	*w.At(0) = ring.RegWait{Timeout: *never(), Flags: ring.RegWaitTS}
	require.NoError(t, g.r.Registrar().EnableRings())
	return g
}

// Hazard: a wait that returns success without a completion, after a signal. The
// kernel does so if the same call submitted something, or if fewer completions
// than asked for are there; and the Go runtime signals its threads all the time.
func TestWaitsSurviveSignals(t *testing.T) {
	for kind, flags := range map[string]uint32{"plain": 0, "SQPOLL": ring.SetupSQPoll, "mixed": ring.SetupCQEMixed} {
		for name, wait := range waits(ring.WaitOptions{Timeout: never()}) {
			t.Run(kind+"/"+name, func(t *testing.T) {
				g := waitRig(t, flags)
				submits := strings.HasPrefix(name, "Submit")
				surviveSignals(t, g, submits, func() error { return wait(g.r, 3) })
			})
		}
	}
}

// surviveSignals waits for three completions under signals: none is there at
// first, then one.
func surviveSignals(t *testing.T, g *rig, submits bool, wait func() error) {
	t.Helper()
	r, w := pipe(t)
	p := make([]byte, 3)
	for i := range 3 {
		g.prep(func(s *ring.SQE) { s.PrepRead(r, p[i:i+1], 0) })
	}
	if !submits {
		g.submit()
	}
	s := sleep(t, wait)
	for _, part := range []string{"", "x", "yz"} {
		_, err := unix.Write(w, []byte(part))
		require.NoError(t, err)
		for range 30 {
			if part != "yz" {
				s.signal(t)
				require.Empty(t, s.done, "the wait ended after a signal")
			}
		}
	}
	require.NoError(t, <-s.done)
	g.r.CQ().Advance(g.r.CQ().Ready())
}

// A ring with SetupDeferTaskrun is entered by the thread that waits.
func TestDeferredWaitsSurviveSignals(t *testing.T) {
	for name, wait := range waits(ring.WaitOptions{Timeout: never()}) {
		t.Run(name, func(t *testing.T) {
			from, to := pipe(t)
			s := sleep(t, func() error {
				r, err := ring.Setup(8, &ring.Params{Flags: ring.SetupSingleIssuer | ring.SetupDeferTaskrun | ring.SetupRDisabled})
				if err != nil {
					return err
				}
				defer r.Close()
				return deferredWait(r, from, wait)
			})
			for range 30 {
				s.signal(t)
			}
			if len(s.done) == 0 {
				_, err := unix.Write(to, []byte("xy"))
				require.NoError(t, err)
			}
			err := <-s.done
			skipUnsupported(t, err)
			require.NoError(t, err)
		})
	}
}

// deferredWait waits for two reads of one byte, and fails if they are not there.
func deferredWait(r *ring.Ring, fd int, wait func(r *ring.Ring, n uint32) error) error {
	w, err := r.Registrar().SetupWaitRegion(1)
	if err != nil {
		return err
	}
	*w.At(0) = ring.RegWait{Timeout: *never(), Flags: ring.RegWaitTS}
	if err := r.Registrar().EnableRings(); err != nil {
		return err
	}
	p := make([]byte, 2)
	for i := range 2 {
		r.SQ().GetSQE().PrepRead(fd, p[i:i+1], 0)
	}
	if _, err := r.SQ().Submit(); err != nil {
		return err
	}
	return wait(r, 2)
}

// A timeout that is longer than any duration, or than what the kernel can add,
// does not end at a signal.
func TestEndlessTimeoutsSurviveSignals(t *testing.T) {
	for _, sec := range []int64{1 << 33, 1 << 34, 1<<63 - 1} {
		endless := ring.WaitOptions{Timeout: &ring.Timespec{Sec: sec, Nsec: 999999999}}
		for _, name := range []string{"WaitWith", "SubmitAndWaitWith"} {
			t.Run(fmt.Sprint(name, " ", sec), func(t *testing.T) {
				g := waitRig(t, 0)
				surviveSignals(t, g, false, func() error { return waits(endless)[name](g.r, 3) })
			})
		}
	}
}

func TestEndlessTimeoutInARegion(t *testing.T) {
	g := newRig(t, &ring.Params{Flags: ring.SetupRDisabled})
	w, err := g.r.Registrar().SetupWaitRegion(1)
	skipUnsupported(t, err, "MemRegionRegWaitArg")
	require.NoError(t, err)
	require.NoError(t, g.r.Registrar().EnableRings())
	*w.At(0) = ring.RegWait{Timeout: ring.Timespec{Sec: 1 << 34}, Flags: ring.RegWaitTS}
	surviveSignals(t, g, false, func() error { _, err := g.r.SQ().SubmitAndWaitReg(3, 0); return err })
}

// Times before now are over, and a negative MinWait is none: it is content with
// nothing less than what was asked for.
func TestNegativeTimes(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatExtArg)
	for _, ts := range []ring.Timespec{{Sec: -1}, {Sec: -1 << 63}, {Nsec: -1}, {Sec: 1, Nsec: -2e9}} {
		_, err := g.r.CQ().WaitWith(1, ring.WaitOptions{Timeout: &ts})
		require.ErrorIs(t, err, unix.ETIME, "%+v", ts)
		_, err = g.r.SQ().SubmitAndWaitWith(1, ring.WaitOptions{Timeout: &ts})
		require.ErrorIs(t, err, unix.ETIME, "%+v", ts)
	}
	_, err := g.r.SQ().SubmitAndWaitTimeout(1, -time.Hour)
	require.ErrorIs(t, err, unix.ETIME)
	g.ok(func(s *ring.SQE) { s.PrepNop() })
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	_, err = g.r.CQ().WaitWith(2, ring.WaitOptions{Timeout: soon(), MinWait: -time.Second})
	require.NoError(t, err, "the kernel would wait for 71 minutes")
	g.wait()
}

// A signal during MinWait does not end it, and after it one is enough.
func TestMinWaitUnderSignals(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatMinTimeout)
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	const d = 50 * time.Millisecond
	start, took := time.Now(), time.Duration(0)
	s := sleep(t, func() error {
		_, err := g.r.CQ().WaitWith(2, ring.WaitOptions{Timeout: never(), MinWait: d})
		took = time.Since(start)
		return err
	})
	for len(s.done) == 0 {
		s.signal(t)
	}
	require.NoError(t, <-s.done)
	require.GreaterOrEqual(t, took, d)
	g.wait()
}

// Parts of a microsecond count as one: none would be no MinWait.
func TestShortestMinWait(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatMinTimeout)
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	_, err := g.r.CQ().WaitWith(2, ring.WaitOptions{Timeout: never(), MinWait: 1})
	require.NoError(t, err)
	g.wait()
}

// With a Sigmask a signal is an answer, also where the kernel hides it: next to a
// completion, and next to entries that it took.
func TestSigmaskShowsSignals(t *testing.T) {
	masked := ring.WaitOptions{Sigmask: new(uint64), Timeout: never()}
	for name, wait := range waits(masked) {
		if name != "WaitWith" && name != "SubmitAndWaitWith" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			g := waitRig(t, 0)
			g.prep(func(s *ring.SQE) { s.PrepNop() })
			if name == "WaitWith" {
				g.submit()
			}
			s := sleep(t, func() error { return wait(g.r, 2) })
			for len(s.done) == 0 {
				s.signal(t)
			}
			require.ErrorIs(t, <-s.done, unix.EINTR)
			g.wait()
		})
	}
}

// The kernel does not wait if it refused an entry, and the completions of the
// others would never come.
func TestSubmitAndWaitReturnsWhenAnEntryIsRefused(t *testing.T) {
	g := newRig(t, nil)
	for range 2 {
		bad := g.prep(func(s *ring.SQE) { s.PrepNop(); s.Opcode = 250 })
		good := g.prep(func(s *ring.SQE) { s.PrepNop() })
		n, err := g.r.SQ().SubmitAndWait(2)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, unix.EINVAL, errno(g.waitFor(bad)))
		n, err = g.r.SQ().SubmitAndWait(1)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		g.waitFor(good)
	}
}

// What is there already counts, and a queue can be no more than full: what
// overflowed comes when there is room.
func TestSubmitAndWaitIsBoundedByTheQueue(t *testing.T) {
	for _, flags := range []uint32{0, ring.SetupSingleIssuer | ring.SetupDeferTaskrun} {
		onThread(t, func() {
			g := newRig(t, &ring.Params{Flags: ring.SetupCQSize | flags, CQEntries: 16})
			for range 2 {
				for range 16 {
					g.prep(func(s *ring.SQE) { s.PrepNop() })
				}
				_, err := g.r.SQ().SubmitAndWait(1000)
				require.NoError(t, err)
			}
			_, err := g.r.SQ().SubmitAndWait(16)
			require.NoError(t, err)
			require.Len(t, g.drain(32), 32)
		})
	}
}

// Signals do not prolong a timed wait, and do not end it early.
func TestTimedWaitUnderSignals(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatExtArg)
	start, took := time.Now(), time.Duration(0)
	const d = 50 * time.Millisecond
	s := sleep(t, func() error {
		_, err := g.r.CQ().WaitTimeout(1, d)
		took = time.Since(start)
		return err
	})
	for len(s.done) == 0 {
		s.signal(t)
	}
	require.ErrorIs(t, <-s.done, unix.ETIME)
	require.GreaterOrEqual(t, took, d)
}

func TestRegisteredWaits(t *testing.T) {
	r := setup(t, 4, &ring.Params{Flags: ring.SetupRDisabled})
	w, err := r.Registrar().SetupWaitRegion(100)
	skipUnsupported(t, err, "MemRegionRegWaitArg")
	require.NoError(t, err)
	require.Equal(t, 100, w.Len())
	require.NoError(t, r.Registrar().EnableRings())
	*w.At(99) = ring.RegWait{Timeout: *soon(), Flags: ring.RegWaitTS}
	_, err = r.SQ().SubmitAndWaitReg(1, 99)
	require.ErrorIs(t, err, unix.ETIME)

	*w.At(1) = ring.RegWait{Timeout: *never(), Flags: ring.RegWaitTS}
	r.SQ().GetSQE().PrepNop()
	n, err := r.SQ().SubmitAndWaitReg(1, 1)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NotNil(t, r.CQ().Peek())
	_, err = r.SQ().SubmitAndWaitReg(1, 1<<20)
	require.ErrorIs(t, err, unix.EFAULT, "outside")
	_, err = r.Registrar().SetupWaitRegion(1)
	require.Error(t, err, "there is one, and the ring is enabled")
}

func TestTimespecOf(t *testing.T) {
	require.Equal(t, ring.Timespec{Sec: 2, Nsec: 5}, ring.TimespecOf(2*time.Second+5))
}

// Where the caller polls, the kernel does so only while there are no completions:
// a wait for more than one would never end. The Nop has one at once; the read's has
// to be polled for.
func TestPolledWaitsAreContentWithOne(t *testing.T) {
	for name, wait := range waits(ring.WaitOptions{Timeout: never()}) {
		if name == "Blocking" {
			continue // is WaitN, and takes one
		}
		t.Run(name, func(t *testing.T) {
			g := waitRig(t, ring.SetupIOPoll)
			fd, p := direct(t)
			g.prep(func(s *ring.SQE) { s.PrepRead(fd, p, 0) })
			g.prep(func(s *ring.SQE) { s.PrepNop() })
			if !strings.HasPrefix(name, "Submit") {
				g.submit()
			}
			_ = wait(g.r, 2) // there may be one only
			for range 2 {
				if c := g.wait(); c.Res == -int32(unix.EOPNOTSUPP) {
					t.Skip("this file system cannot be polled")
				} else {
					require.GreaterOrEqual(t, c.Res, int32(0))
				}
			}
		})
	}
}

// direct is a file that bypasses the cache, and a page to read it into.
func direct(t *testing.T) (fd int, p []byte) {
	t.Helper()
	fd, err := unix.Open(t.TempDir()+"/file", unix.O_RDWR|unix.O_CREAT|unix.O_DIRECT, 0o600)
	if err != nil {
		t.Skip("no direct file here:", err)
	}
	closed(t, fd)
	p, err = unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(p)) })
	require.NoError(t, unix.Ftruncate(fd, int64(len(p))))
	return fd, p
}

// The kernel counts entries, of which a completion of 32 bytes takes two: when it
// has as many as it was asked for, that is no signal.
func TestSigmaskOnAMixedQueue(t *testing.T) {
	needBigNop(t)
	g := newRig(t, &ring.Params{Flags: ring.SetupCQEMixed})
	r, w := pipe(t)
	p := make([]byte, 1)
	g.prep(func(s *ring.SQE) { bigNop(s, 1, 2) })
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) })
	all := ^uint64(0)
	s := sleep(t, func() error { _, err := g.r.SQ().SubmitAndWaitWith(3, ring.WaitOptions{Sigmask: &all}); return err })
	s.inEnter(t)
	_, err := unix.Write(w, []byte("x"))
	require.NoError(t, err)
	require.NoError(t, <-s.done)
	g.drain(3)
}

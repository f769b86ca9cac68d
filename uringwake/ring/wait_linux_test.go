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
		t.Skipf("this kernel lacks feature %#x", feature)
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
	needFeature(t, g.r, ring.FeatMinTimeout)
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
	skipUnsupported(t, err)
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

// Hazard: EINTR from a blocking enter is routine, for the Go runtime signals its
// threads.
func TestSubmitAndWaitIsInterrupted(t *testing.T) {
	g := newRig(t, nil)
	s := sleep(t, func() error { _, err := g.r.SQ().SubmitAndWait(1); return err })
	for len(s.done) == 0 {
		s.signal(t)
	}
	require.ErrorIs(t, <-s.done, unix.EINTR)
}

func TestWaitsSurviveSignals(t *testing.T) {
	hour := ring.WaitOptions{Timeout: never()}
	tests := map[string]func(r *ring.Ring) error{
		"Wait":              func(r *ring.Ring) error { _, err := r.CQ().Wait(); return err },
		"WaitWith":          func(r *ring.Ring) error { _, err := r.CQ().WaitWith(1, hour); return err },
		"SubmitAndWaitWith": func(r *ring.Ring) error { _, err := r.SQ().SubmitAndWaitWith(1, hour); return err },
	}
	for name, wait := range tests {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, nil)
			needFeature(t, g.r, ring.FeatExtArg)
			r, w := pipe(t)
			p := make([]byte, 1)
			data := g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) })
			g.submit()
			s := sleep(t, func() error { return wait(g.r) })
			for range 50 {
				s.signal(t)
				require.Empty(t, s.done)
			}
			_, err := unix.Write(w, []byte("x"))
			require.NoError(t, err)
			require.NoError(t, <-s.done)
			g.waitFor(data)
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

func TestWaitWithSigmaskShowsSignals(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatExtArg)
	s := sleep(t, func() error {
		_, err := g.r.CQ().WaitWith(1, ring.WaitOptions{Sigmask: new(uint64)})
		return err
	})
	for len(s.done) == 0 {
		s.signal(t)
	}
	require.ErrorIs(t, <-s.done, unix.EINTR)
}

func TestRegisteredWaits(t *testing.T) {
	r := setup(t, 4, &ring.Params{Flags: ring.SetupRDisabled})
	w, err := r.Registrar().SetupWaitRegion(100)
	skipUnsupported(t, err)
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

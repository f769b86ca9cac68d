package ring_test

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// What the comments say of the kernel, where the running one shows it.

func TestLevelTriggeredPollIsRefused(t *testing.T) {
	g := newRig(t, nil)
	r, _ := pipe(t)
	for _, prep := range []func(s *ring.SQE){
		func(s *ring.SQE) { s.PrepPollAdd(r, unix.POLLIN); s.Len |= ring.PollAddLevel },
		func(s *ring.SQE) { s.PrepPollMultishot(r, unix.POLLIN); s.Len |= ring.PollAddLevel },
	} {
		require.Equal(t, unix.EINVAL, errno(g.do(prep)))
	}
}

// A ring that skipped successes once takes no drain any more.
func TestDrainAfterSkipSuccessIsRefused(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatCQESkip)
	drain := func(s *ring.SQE) { s.PrepNop(); s.SetDrain() }
	require.Zero(t, g.do(drain).Res)
	g.prep(func(s *ring.SQE) { s.PrepNop(); s.SetSkipSuccess() })
	g.submit()
	require.Equal(t, unix.EOPNOTSUPP, errno(g.do(drain)))
}

// A link whose head fails and skips success shows the head's failure only.
func TestFailingHeadThatSkipsSwallowsTheRest(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatCQESkip)
	head := g.prep(func(s *ring.SQE) { s.PrepRead(-1, nil, 0); s.SetLink(); s.SetSkipSuccess() })
	g.prep(func(s *ring.SQE) { s.PrepNop(); s.SetLink() })
	g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	require.Equal(t, unix.EBADF, errno(g.waitFor(head)))
	g.quiet()
}

// An entry that is refused cancels what follows it, however it is linked.
func TestRefusedEntryBreaksAHardLink(t *testing.T) {
	g := newRig(t, nil)
	refused := g.prep(func(s *ring.SQE) { s.PrepNop(); s.Opcode = 250; s.SetHardlink() })
	next := g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	done := g.drain(2)
	require.Equal(t, unix.EINVAL, errno(done[refused]))
	require.Equal(t, unix.ECANCELED, errno(done[next]))
}

// Registration of an eventfd does not wait for what is in flight.
func TestEventFDBesideAMultishotPoll(t *testing.T) {
	g := newRig(t, nil)
	if g.r.Features()&ring.FeatCQESkip == 0 {
		t.Skip("before Linux 5.17 it waits for the poll")
	}
	r, _ := pipe(t)
	data := g.prep(func(s *ring.SQE) { s.PrepPollMultishot(r, unix.POLLIN) })
	g.submit()
	fd, _ := eventFD(t)
	reg := g.r.Registrar()
	require.NoError(t, reg.RegisterEventFD(fd))
	require.NoError(t, reg.UnregisterEventFD())
	require.NoError(t, reg.RegisterEventFDAsync(fd))
	g.cancel(data)
}

func TestShortReadBreaksALink(t *testing.T) {
	g := newRig(t, nil)
	fd, p := tempFile(t, "abc"), make([]byte, 8)
	read := g.prep(func(s *ring.SQE) { s.PrepRead(fd, p, 0); s.SetLink() })
	next := g.prep(func(s *ring.SQE) { s.PrepNop() })
	g.submit()
	done := g.drain(2)
	require.EqualValues(t, 3, done[read].Res)
	require.Equal(t, unix.ECANCELED, errno(done[next]))
}

func TestEmptyDatagramEndsAMultishotReceive(t *testing.T) {
	g := newRig(t, nil)
	needOp(t, ring.OpSendZC) // of the same kernel
	a, z := socketPair(t, unix.SOCK_DGRAM)
	p := make([]byte, 4*64)
	g.ok(func(s *ring.SQE) { s.PrepProvideBuffers(p, 64, 4, 5, 0) })
	m := new(unix.Msghdr)
	data := g.prep(func(s *ring.SQE) { s.PrepRecvmsgMultishot(z, m, 0, 5) })
	g.submit()
	for _, message := range []string{"x", ""} {
		require.NoError(t, unix.Send(a, []byte(message), 0))
		c := g.waitFor(data)
		require.NoError(t, c.Err())
		require.Equal(t, message != "", c.More(), "message %q", message)
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(p)
}

// Where pread fails, for a pipe has no offsets, the offset does not count.
func TestOffsetOfAPipeDoesNotCount(t *testing.T) {
	g := newRig(t, nil)
	r, w := pipe(t)
	_, err := unix.Write(w, []byte("x"))
	require.NoError(t, err)
	p := make([]byte, 1)
	_, err = unix.Pread(r, p, 7)
	require.ErrorIs(t, err, unix.ESPIPE)
	require.Equal(t, 1, g.ok(func(s *ring.SQE) { s.PrepRead(r, p, 7) }))
}

// abandoned runs f on a thread of its own, and returns when that has exited.
func abandoned(t *testing.T, f func()) {
	t.Helper()
	thread := make(chan int)
	go func() {
		runtime.LockOSThread() // and never unlocked
		if unix.Gettid() == unix.Getpid() {
			abandoned(t, f) // the first thread never exits; it is kept busy meanwhile
			thread <- 0
			return
		}
		f()
		thread <- unix.Gettid()
	}()
	if id := <-thread; id != 0 {
		for unix.Tgkill(unix.Getpid(), id, 0) == nil {
			runtime.Gosched()
		}
	}
}

// Hazard: the submitting thread exits, and its operations are canceled when they
// can go on.
func TestOperationsDieWithTheirThread(t *testing.T) {
	g := newRig(t, nil)
	r, w := pipe(t)
	p := make([]byte, 1)
	var data uint64
	abandoned(t, func() {
		data = g.prep(func(s *ring.SQE) { s.PrepRead(r, p, 0) })
		g.submit()
	})
	_, err := unix.Write(w, []byte("x"))
	require.NoError(t, err)
	require.Equal(t, unix.ECANCELED, errno(g.waitFor(data)))
}

// An entry runs with the credentials of the thread that enters, and with SQPOLL
// with those of the thread that made the ring.
func TestCredentialsOfAnEntry(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	path := t.TempDir() + "/secret"
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	name := cstring(t, path)
	for _, test := range []struct {
		flags uint32
		want  unix.Errno
	}{{0, unix.EACCES}, {ring.SetupSQPoll, 0}} {
		g := newRig(t, &ring.Params{Flags: test.flags})
		data := g.prep(func(s *ring.SQE) { s.PrepOpenat(unix.AT_FDCWD, name, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
		abandoned(t, func() { // it was prepared by root
			const nobody = 65534
			_, _, _ = unix.RawSyscall(unix.SYS_SETFSUID, nobody, 0, 0)
			g.submit()
		})
		c := g.waitFor(data)
		if c.Res >= 0 {
			closed(t, int(c.Res))
		}
		require.Equal(t, test.want, errno(c), "flags %#x", test.flags)
	}
}

// timeNamespace names a process whose clock is a day ahead of the system's.
const timeNamespace = "VIGIL_RING_TIME_NAMESPACE"

// Hazard: the kernel takes points in time for the system's, in a time namespace
// too. A wait is given what is left, and so ends in time.
func TestAbsoluteTimeoutInATimeNamespace(t *testing.T) {
	if os.Getenv(timeNamespace) != "" {
		absoluteInNamespace(t)
		return
	}
	if err := exec.Command("unshare", "--time", "--monotonic", "86400", "true").Run(); err != nil {
		t.Skip("no time namespace to be had:", err)
	}
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "unshare", "--time", "--monotonic", "86400",
		exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), timeNamespace+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	if strings.Contains(string(out), "--- SKIP") {
		t.Skipf("%s", out)
	}
	require.Contains(t, string(out), "--- PASS")
}

func absoluteInNamespace(t *testing.T) {
	var now unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	require.Greater(t, now.Nano(), int64(24*time.Hour), "not in the namespace")
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatExtArg)
	end := ring.TimespecOf(time.Duration(now.Nano()) + time.Millisecond)
	o := ring.WaitOptions{Timeout: &end, Absolute: true}
	_, err := g.r.CQ().WaitWith(1, o)
	require.ErrorIs(t, err, unix.ETIME)
	_, err = g.r.SQ().SubmitAndWaitWith(1, o)
	require.ErrorIs(t, err, unix.ETIME)
	require.NoError(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	require.GreaterOrEqual(t, now.Nano(), end.Sec*1e9+end.Nsec)
	if err := g.r.Registrar().RegisterClock(unix.CLOCK_BOOTTIME); err != nil {
		t.Log("no other clock:", err)
		return
	}
	require.NoError(t, unix.ClockGettime(unix.CLOCK_BOOTTIME, &now))
	end = ring.TimespecOf(time.Duration(now.Nano()) + time.Millisecond)
	_, err = g.r.CQ().WaitWith(1, o)
	require.ErrorIs(t, err, unix.ETIME, "of the ring's clock")
}

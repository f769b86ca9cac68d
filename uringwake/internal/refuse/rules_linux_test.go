package refuse_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// System calls, the same on all machines.
const (
	sysSetup    = 425
	sysEnter    = 426
	sysRegister = 427
)

const deferred = ring.SetupSingleIssuer | ring.SetupDeferTaskrun

// opUnknown is an opcode that no kernel has.
const opUnknown = 254

// mine is an errno that the kernel itself never answers here.
const mine = syscall.EXFULL

func register(fd int, op uint32, arg unsafe.Pointer, n int) syscall.Errno {
	_, _, e := syscall.Syscall6(sysRegister, uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	return e
}

// newRing makes a ring, which the kernel must support.
func newRing(t testing.TB, flags uint32) *ring.Ring {
	t.Helper()
	r, err := ring.Setup(8, &ring.Params{Flags: flags})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// complete submits an operation without arguments and returns its result. A
// message goes to the ring itself.
func complete(t testing.TB, r *ring.Ring, op uint8) int32 {
	t.Helper()
	return completeSQE(t, r, ring.SQE{Opcode: op})
}

// completeSQE is complete with more to it than the opcode.
func completeSQE(t testing.TB, r *ring.Ring, sqe ring.SQE) int32 {
	t.Helper()
	const userData = 7
	e := r.SQ().GetSQE()
	require.NotNil(t, e)
	*e = sqe
	e.FD, e.UserData = int32(r.FD()), userData
	for r.CQ().Peek() == nil {
		if _, err := r.SQ().SubmitAndWait(1); !errors.Is(err, syscall.EINTR) {
			require.NoError(t, err)
		}
	}
	var res int32
	for c := range r.CQ().All() {
		if c.UserData == userData { // not a message
			res = c.Res
		}
	}
	return res
}

// onThreads runs f on several OS threads at a time, some of which may be older
// than the rules, and returns what each of them gave.
func onThreads[T any](f func() T) []T {
	const n = 8
	var there, done sync.WaitGroup
	there.Add(n)
	results := make([]T, n)
	for i := range results {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			there.Done()
			there.Wait()
			results[i] = f()
		})
	}
	done.Wait()
	return results
}

// setups makes a ring with each of the flags and closes it. It returns the
// errors.
func setups(flags ...uint32) (errs []error) {
	for _, f := range flags {
		r, err := ring.Setup(8, &ring.Params{Flags: f})
		if err == nil {
			err = r.Close()
		}
		errs = append(errs, err)
	}
	return errs
}

// ruled is refuse.Child. It skips a test where rings are refused anyway.
func ruled(t testing.TB, rules ...refuse.Rule) bool {
	t.Helper()
	if err := setups(0)[0]; errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no rings here:", err)
	}
	return refuse.Child(t, rules...)
}

func TestNoRing(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSYS, syscall.EPERM, syscall.EACCES, mine} {
		t.Run(errno.Error(), func(t *testing.T) {
			onThreads(func() int { return 0 }) // leaves threads behind
			if !refuse.Child(t, refuse.NoRing(errno)) {
				return
			}
			for _, errs := range onThreads(callAll) {
				for _, err := range errs {
					require.ErrorIs(t, err, errno)
				}
			}
		})
	}
}

// callAll makes each system call of io_uring.
func callAll() []error {
	_, _, enter := syscall.Syscall6(sysEnter, ^uintptr(0), 0, 0, 0, 0, 0)
	return append(setups(0), enter, register(-1, ring.RegisterSendMsgRing, nil, 0))
}

func TestNoEnter(t *testing.T) {
	const one, other = 1 << 31, 1 << 30
	if !ruled(t, refuse.NoEnter(one|other, mine), refuse.NoEnter(one, syscall.EAGAIN)) {
		return
	}
	enter := func(flags uintptr) syscall.Errno {
		_, _, e := syscall.Syscall6(sysEnter, ^uintptr(0), 0, 0, flags, 0, 0)
		return e
	}
	for _, got := range onThreads(func() [4]syscall.Errno {
		return [4]syscall.Errno{enter(one | other | ring.EnterGetEvents), enter(one), enter(other), enter(ring.EnterGetEvents)}
	}) {
		// The last two are the kernel's: a flag that it does not know, a bad descriptor.
		require.Equal(t, [4]syscall.Errno{mine, syscall.EAGAIN, syscall.EINVAL, syscall.EBADF}, got)
	}
	require.Zero(t, complete(t, newRing(t, 0), ring.OpNop))
}

// TestRefusedAlready: where a filter refuses rings, as in a container, rules that
// ask cannot be had; nor do they wait forever.
func TestRefusedAlready(t *testing.T) {
	if !ruled(t, refuse.NoRing(mine)) {
		return
	}
	for _, name := range []string{"TestNoSetupFlags", "TestNoOpcodes", "TestHideOpcodes"} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+name+"$", "-test.v", "-test.timeout=20s")
		cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "VIGIL_REFUSE_CHILD=") })
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "--- SKIP: "+name)
		require.Contains(t, string(out), "refused here already: "+mine.Error())
	}
}

func TestNoNowait(t *testing.T) {
	if !ruled(t, refuse.NoNowait(mine)) {
		return
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	for _, got := range onThreads(func() [4]error {
		var errs [4]error
		p := [][]byte{{0}}
		_, errs[0] = unix.Pwritev2(int(file.Fd()), p, 0, unix.RWF_NOWAIT)
		_, errs[1] = unix.Pwritev2(int(file.Fd()), p, 0, 0)
		_, errs[2] = unix.Preadv2(int(file.Fd()), p, 0, unix.RWF_NOWAIT)
		_, errs[3] = unix.Preadv2(int(file.Fd()), p, 0, 0)
		return errs
	}) {
		require.Equal(t, [4]error{mine, nil, mine, nil}, got)
	}
}

func TestNoRegister(t *testing.T) {
	if !ruled(t, refuse.NoRegister(ring.RegisterPersonality, mine), refuse.NoSendMsgRing(syscall.ENOTTY), refuse.NoSendMsgRing(mine)) {
		return
	}
	r := newRing(t, 0)
	require.Equal(t, mine, register(r.FD(), ring.RegisterPersonality, nil, 0))
	require.Equal(t, mine, register(0, ring.RegisterPersonality|ring.RegisterUseRegisteredRing, nil, 0), "by a registered ring")
	require.Equal(t, syscall.ENOTTY, register(-1, ring.RegisterSendMsgRing, nil, 0), "the first rule wins")
	require.Zero(t, register(r.FD(), ring.RegisterProbe, unsafe.Pointer(new(probe)), 0), "another opcode")
	require.Zero(t, complete(t, r, ring.OpNop))
}

func TestNoSetupFlags(t *testing.T) {
	if !ruled(t, refuse.NoSetupFlags(ring.SetupSingleIssuer|ring.SetupNoSQArray)) {
		return
	}
	refused := []uint32{deferred, ring.SetupSingleIssuer, ring.SetupNoSQArray, deferred | ring.SetupNoSQArray}
	for _, errs := range onThreads(func() []error { return setups(refused...) }) {
		for i, err := range errs {
			require.ErrorIs(t, err, syscall.EINVAL, "flags %#x", refused[i])
		}
	}
	allowed := []uint32{0, ring.SetupCQE32}
	for _, errs := range onThreads(func() []error { return setups(allowed...) }) {
		require.NoError(t, errors.Join(errs...))
	}
	require.Zero(t, complete(t, newRing(t, ring.SetupCQE32), ring.OpNop))
}

// TestNoSetupFlagsLeavesTheThread: a ring that is allowed is the caller's.
func TestNoSetupFlagsLeavesTheThread(t *testing.T) {
	if !ruled(t, refuse.NoSetupFlags(ring.SetupNoSQArray)) {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.Zero(t, complete(t, newRing(t, deferred), ring.OpNop))
}

// TestNoSetupFlagsBadParams: the kernel's other answers stay.
func TestNoSetupFlagsBadParams(t *testing.T) {
	if !ruled(t, refuse.NoSetupFlags(deferred)) {
		return
	}
	_, _, e := syscall.Syscall(sysSetup, 8, 8, 0)
	require.Equal(t, syscall.EFAULT, e)
	_, err := ring.Setup(0, nil)
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = ring.Setup(8, &ring.Params{Flags: 1 << 31})
	require.ErrorIs(t, err, syscall.EINVAL)
}

// TestOneProcessor: the supervisor runs while its caller waits.
func TestOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if !ruled(t, refuse.NoSetupFlags(deferred), refuse.HideOpcodes(ring.OpMsgRing)) {
		return
	}
	require.Equal(t, 1, runtime.GOMAXPROCS(0))
	_, err := ring.Setup(8, &ring.Params{Flags: deferred})
	require.ErrorIs(t, err, syscall.EINVAL)
	require.False(t, probeOf(t, newRing(t, 0)).supports(ring.OpMsgRing))
}

func TestNoOpcodes(t *testing.T) {
	if !ruled(t, refuse.NoOpcodes(ring.OpMsgRing, opUnknown)) {
		return
	}
	for _, errs := range onThreads(func() []error { return setups(0, ring.SetupCQE32) }) {
		require.NoError(t, errors.Join(errs...))
	}
	p := &ring.Params{Flags: ring.SetupCQSize, CQEntries: 64}
	r, err := ring.Setup(8, p)
	require.NoError(t, err)
	defer r.Close()
	require.EqualValues(t, 64, p.CQEntries)
	require.Zero(t, p.Flags&ring.SetupRDisabled)
	require.EqualValues(t, -int32(syscall.EACCES), complete(t, r, ring.OpMsgRing))
	require.Zero(t, complete(t, r, ring.OpNop))
}

// TestNoOpcodesAllowsTheRest: other opcodes, flags and registrations are not
// restricted.
func TestNoOpcodesAllowsTheRest(t *testing.T) {
	if !ruled(t, refuse.NoOpcodes(ring.OpMsgRing)) {
		return
	}
	r := newRing(t, 0)
	for op := range probeOf(t, r).last + 1 {
		want := syscall.EINVAL // of the unknown credentials, looked at after restrictions
		if op == ring.OpMsgRing {
			want = syscall.EACCES
		}
		got := completeSQE(t, r, ring.SQE{Opcode: op, Personality: 99})
		require.EqualValues(t, -int32(want), got, "opcode %d", op)
	}
	require.Zero(t, completeSQE(t, r, ring.SQE{Opcode: ring.OpNop, Flags: ring.SQEAsync | ring.SQEDrain}))
	for op := range uint32(64) {
		require.NotEqual(t, syscall.EACCES, register(r.FD(), op, nil, 0), "registration %d", op)
	}
}

// TestNoOpcodesSingleIssuer: refused, but for rings that their owner enables.
func TestNoOpcodesSingleIssuer(t *testing.T) {
	if !ruled(t, refuse.NoOpcodes(ring.OpMsgRing)) {
		return
	}
	for _, flags := range []uint32{deferred, ring.SetupSingleIssuer, ring.SetupNoMmap | ring.SetupRegisteredFDOnly} {
		_, err := ring.Setup(8, &ring.Params{Flags: flags})
		require.ErrorIs(t, err, syscall.EINVAL)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := newRing(t, deferred|ring.SetupRDisabled)
	require.Zero(t, register(r.FD(), ring.RegisterEnableRings, nil, 0))
	require.EqualValues(t, -int32(syscall.EACCES), complete(t, r, ring.OpMsgRing))
	require.Zero(t, complete(t, r, ring.OpNop))
}

// TestNoOpcodesNoMmap: memory that the caller brings is the caller's.
func TestNoOpcodesNoMmap(t *testing.T) {
	if !kernelHas(t, 6, 5) {
		t.Skip("before Linux 6.5 no caller brings memory")
	}
	if !ruled(t, refuse.NoOpcodes(ring.OpMsgRing)) {
		return
	}
	r := newRing(t, ring.SetupNoMmap)
	require.EqualValues(t, -int32(syscall.EACCES), complete(t, r, ring.OpMsgRing))
	require.Zero(t, complete(t, r, ring.OpNop))
}

// A probe is struct io_uring_probe.
type probe struct {
	last, n uint8
	_       [14]uint8
	ops     [256]struct {
		op, _ uint8
		flags uint16
		_     uint32
	}
}

func (p *probe) supports(op uint8) bool { return p.ops[op].flags&1 != 0 }

// probeOf probes a ring.
func probeOf(t testing.TB, r *ring.Ring) *probe {
	t.Helper()
	p := new(probe)
	require.Zero(t, register(r.FD(), ring.RegisterProbe, unsafe.Pointer(p), len(p.ops)))
	require.EqualValues(t, p.last+1, p.n)
	return p
}

// requireHidden requires that a probe is the kernel's own but for one opcode.
func requireHidden(t testing.TB, p *probe, op uint8) {
	t.Helper()
	require.False(t, p.supports(op))
	for i := range p.last + 1 {
		require.Equal(t, i, p.ops[i].op)
		require.Equal(t, i != op, p.supports(i), "opcode %d", i)
	}
}

// TestNoOpcodesInProbe: restrictions alone do not show.
func TestNoOpcodesInProbe(t *testing.T) {
	if !ruled(t, refuse.NoOpcodes(ring.OpMsgRing)) {
		return
	}
	require.True(t, probeOf(t, newRing(t, 0)).supports(ring.OpMsgRing))
}

func TestHideOpcodes(t *testing.T) {
	for name, flags := range map[string]uint32{"plain": 0, "deferred": deferred} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if !ruled(t, refuse.HideOpcodes(ring.OpMsgRing, opUnknown)) {
				return
			}
			r := newRing(t, flags)
			requireHidden(t, probeOf(t, r), ring.OpMsgRing)
			require.GreaterOrEqual(t, complete(t, r, ring.OpMsgRing), int32(0), "it works all the same")
		})
	}
}

// TestHideOpcodesShort: no more is written than was asked for.
func TestHideOpcodesShort(t *testing.T) {
	if !ruled(t, refuse.HideOpcodes(ring.OpNop, ring.OpTimeout)) {
		return
	}
	r, p := newRing(t, 0), new(probe)
	p.ops[ring.OpTimeout].flags = 9 // behind what is asked for
	require.Zero(t, register(r.FD(), ring.RegisterProbe, unsafe.Pointer(p), ring.OpTimeout))
	require.False(t, p.supports(ring.OpNop))
	require.True(t, p.supports(ring.OpNop+1))
	require.EqualValues(t, 9, p.ops[ring.OpTimeout].flags)
	require.Equal(t, syscall.EINVAL, register(r.FD(), ring.RegisterProbe, unsafe.Pointer(p), 257))
	require.Equal(t, syscall.EOPNOTSUPP, register(int(os.Stdin.Fd()), ring.RegisterProbe, unsafe.Pointer(p), 1), "not a ring")
}

// TestHideOpcodesRegisteredRing: the ring may be known to one thread only.
func TestHideOpcodesRegisteredRing(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if !ruled(t, refuse.HideOpcodes(ring.OpMsgRing)) {
		return
	}
	r := newRing(t, 0)
	update := struct { // struct io_uring_rsrc_update
		index, _ uint32
		fd       uint64
	}{^uint32(0), 0, uint64(r.FD())}
	n, _, _ := syscall.Syscall6(sysRegister, uintptr(r.FD()), ring.RegisterRingFDs, uintptr(unsafe.Pointer(&update)), 1, 0, 0)
	require.EqualValues(t, 1, n)
	p := new(probe)
	const op = ring.RegisterProbe | ring.RegisterUseRegisteredRing
	require.Zero(t, register(int(update.index), op, unsafe.Pointer(p), len(p.ops)))
	requireHidden(t, p, ring.OpMsgRing)
}

// TestFilterFirst: what is refused by itself is not asked for.
func TestFilterFirst(t *testing.T) {
	if !ruled(t, refuse.HideOpcodes(ring.OpMsgRing), refuse.NoRegister(ring.RegisterProbe, mine)) {
		return
	}
	require.Equal(t, mine, register(newRing(t, 0).FD(), ring.RegisterProbe, unsafe.Pointer(new(probe)), 0))
}

// TestOlderKernel: all rules at once.
func TestOlderKernel(t *testing.T) {
	rules := []refuse.Rule{
		refuse.NoOpcodes(ring.OpMsgRing), refuse.HideOpcodes(ring.OpMsgRing),
		refuse.NoSendMsgRing(syscall.EINVAL), refuse.NoSetupFlags(deferred),
		refuse.Unprivileged(), refuse.Rlimit(syscall.RLIMIT_NOFILE, 64),
	}
	if !ruled(t, rules...) {
		return
	}
	r := newRing(t, 0)
	requireHidden(t, probeOf(t, r), ring.OpMsgRing)
	require.EqualValues(t, -int32(syscall.EACCES), complete(t, r, ring.OpMsgRing))
	require.Equal(t, syscall.EINVAL, register(-1, ring.RegisterSendMsgRing, nil, 0))
	_, err := ring.Setup(8, &ring.Params{Flags: deferred})
	require.ErrorIs(t, err, syscall.EINVAL)
}

// TestOtherProcess: what the child starts is not answered for, and is told so.
func TestOtherProcess(t *testing.T) {
	const env = "VIGIL_REFUSE_GRANDCHILD"
	if os.Getenv(env) != "" {
		_, err := ring.Setup(8, nil)
		require.ErrorIs(t, err, syscall.ENOSYS)
		return
	}
	if !ruled(t, refuse.NoSetupFlags(deferred)) {
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestOtherProcess$", "-test.v")
	cmd.Env = append(os.Environ(), env+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestOtherProcess")
}

// TestInterrupted: setups go on while the Go runtime stops the world and
// threads get signals, and each makes one ring.
func TestInterrupted(t *testing.T) {
	for name, rule := range map[string]refuse.Rule{"flags": refuse.NoSetupFlags(deferred), "opcodes": refuse.NoOpcodes(ring.OpMsgRing)} {
		t.Run(name, func(t *testing.T) {
			if !ruled(t, rule) {
				return
			}
			newRing(t, 0) // one that is counted
			stop := interrupt()
			errs := onThreads(func() error { return errors.Join(setups(make([]uint32, 50)...)...) })
			stop()
			require.NoError(t, errors.Join(errs...))
			if kernelHas(t, 6, 17) { // earlier ones may make a call again that was answered just then
				require.Equal(t, 1, openRings(t))
			}
		})
	}
}

// kernelHas reports that the kernel is of that version or a later one.
func kernelHas(t testing.TB, major, minor int) bool {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	require.NoError(t, err)
	var x, y int
	_, err = fmt.Sscanf(string(b), "%d.%d", &x, &y)
	require.NoError(t, err)
	return x > major || x == major && y >= minor
}

// interrupt sends all threads the signal that the Go runtime preempts by, again
// and again, until it is stopped.
func interrupt() (stop func()) {
	var stopped atomic.Bool
	var done sync.WaitGroup
	done.Go(func() {
		for !stopped.Load() {
			runtime.GC()
			threads, _ := os.ReadDir("/proc/self/task")
			for _, thread := range threads {
				id, _ := strconv.Atoi(thread.Name())
				syscall.Syscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(id), uintptr(syscall.SIGURG))
			}
		}
	})
	return func() { stopped.Store(true); done.Wait() }
}

// openRings is how many rings this process has.
func openRings(t testing.TB) (n int) {
	t.Helper()
	const dir = "/proc/self/fd/"
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, file := range files {
		if what, _ := os.Readlink(dir + file.Name()); what == "anon_inode:[io_uring]" {
			n++
		}
	}
	return n
}

// TestEnd: with the test, calls are refused rather than left without an answer,
// and limits are as before. What was cleaned up for first runs last.
func TestEnd(t *testing.T) {
	var before, after syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	child := false
	t.Cleanup(func() {
		if child {
			_, err := ring.Setup(8, nil)
			require.ErrorIs(t, err, syscall.ENOSYS)
			require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &after))
			require.Equal(t, before, after)
		}
	})
	if child = ruled(t, refuse.NoSetupFlags(deferred), refuse.Rlimit(syscall.RLIMIT_NOFILE, 32)); child {
		newRing(t, 0)
	}
}

// TestNotAnErrno: a rule that would let calls succeed with nothing done.
func TestNotAnErrno(t *testing.T) {
	require.Panics(t, func() { refuse.Child(t, refuse.NoRing(0)) })
}

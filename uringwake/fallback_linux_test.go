package uringwake_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// workout has tasks of two loops and goroutines wake each other, and the kernel
// do something for each: what must work whatever the kernel lacks.
func workout(t *testing.T, o *uringwake.LoopOptions) {
	t.Helper()
	loops := []*uringwake.Loop{newLoop(t, o), newLoop(t, o)}
	handOvers(t, loops, uringwake.Nop)
	canceledReads(t, loops[0])
}

// handOvers has tasks of two loops and goroutines wake each other, and do
// something in between.
func handOvers(t *testing.T, loops []*uringwake.Loop, between func(context.Context) error) {
	t.Helper()
	var m waitmap.Map[string, int]
	var g waitgroup.Group
	var bad atomic.Int64
	play := func(pair string, side int) func(context.Context) {
		return func(ctx context.Context) {
			defer g.Done()
			for i := side; i < 200; i += 2 {
				if v, err := m.Take(ctx, pair+strconv.Itoa(i)); v != i || err != nil {
					bad.Add(1)
				}
				if between(ctx) != nil {
					bad.Add(1)
				}
				m.Store(pair+strconv.Itoa(i+1), i+1)
			}
		}
	}
	g.Add(8)
	for i, l := range loops {
		require.NoError(t, l.Go(context.Background(), play("across", i)))
		require.NoError(t, l.Go(context.Background(), play("goroutine"+strconv.Itoa(i), 1)))
		go play("goroutine"+strconv.Itoa(i), 0)(context.Background())
		require.NoError(t, loops[0].Go(context.Background(), play("same", i)))
	}
	for _, pair := range []string{"across", "goroutine0", "goroutine1", "same"} {
		m.Store(pair+"0", 0)
	}
	require.NoError(t, g.Wait(context.Background()))
	require.Zero(t, bad.Load())
}

// canceledReads cancels a read in a goroutine and in a task.
func canceledReads(t *testing.T, l *uringwake.Loop) {
	t.Helper()
	fds := pipe(t)
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	read := func(ctx context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		go cancel()
		_, err := uringwake.Read(ctx, fds[0], make([]byte, 1), -1)
		require.ErrorIs(t, err, context.Canceled)
	}
	read(context.Background())
	run(t, l, read)
}

// noRing checks that all there is says why it cannot work, and that the rest
// of the module works as ever.
func noRing(t *testing.T, cause error, why string) {
	t.Helper()
	ctx := context.Background()
	_, loop := uringwake.NewLoop(nil)
	_, rt := uringwake.NewRuntime(nil)
	_, def := uringwake.Default()
	_, read := uringwake.Read(ctx, 0, nil, -1)
	_, futex := uringwake.FutexWake(ctx, new(atomic.Uint32), 1)
	_, msg := uringwake.NewMsgRing(0, 0, 0)
	for _, err := range []error{
		uringwake.Supported(), uringwake.HaveMsgRing(), uringwake.HaveSendMsgRing(), uringwake.HaveFutex(),
		loop, rt, def, read, futex, msg, uringwake.Nop(ctx),
	} {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorIs(t, err, cause)
		require.ErrorContains(t, err, why)
	}
	var m waitmap.Map[string, int]
	e, err := uringwake.NewEventFD()
	require.NoError(t, err)
	f := m.Register("key", e)
	go m.Store("key", 1)
	n, err := e.Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, uint64(1), n)
	v, done, err := f.Result()
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, 1, v)
	ended, cancel := context.WithCancel(ctx)
	go cancel()
	_, err = e.Wait(ended)
	require.ErrorIs(t, err, context.Canceled)
	go e.Close()
	_, err = e.Wait(ctx)
	require.Error(t, err)
}

// A seccomp filter answers with an errno of its own choice. The naive program
// takes EPERM for its own mistake, and dies.
func TestHazardSeccompReturnsEPERMTheProgramDies(t *testing.T) {
	needRings(t)
	for _, errno := range []syscall.Errno{unix.EPERM, unix.ENOSYS, unix.EACCES} {
		t.Run(strconv.Itoa(int(errno)), func(t *testing.T) {
			if refuse.Child(t, refuse.NoRing(errno)) {
				noRing(t, errno, "seccomp")
			}
		})
	}
}

// needRings skips the test where rings are refused without rules, too.
func needRings(t *testing.T) {
	t.Helper()
	if err := haveRing(); err != nil {
		t.Skip(err)
	}
}

// It is system-wide, so it runs by itself: see .ci/run.
func TestSysctlForbidsRings(t *testing.T) {
	if refuse.Child(t, refuse.Sysctl(refuse.NotForRoot)) {
		noRing(t, unix.EPERM, "kernel.io_uring_disabled = 2")
	}
}

func TestSysctlForbidsRingsToUsers(t *testing.T) {
	needRings(t)
	if refuse.Child(t, refuse.Sysctl(refuse.NotForUsers), refuse.Unprivileged()) {
		noRing(t, unix.EPERM, "kernel.io_uring_disabled = 1")
	}
}

// Before 6.13: a goroutine's doorbell is the eventfd, a loop's may be a message.
func TestFallsBackWithoutSendMsgRing(t *testing.T) {
	needRings(t)
	if err := uringwake.HaveMsgRing(); err != nil {
		t.Skip(err)
	}
	if !refuse.Child(t, refuse.NoSendMsgRing(unix.EINVAL)) {
		return
	}
	require.ErrorIs(t, uringwake.HaveSendMsgRing(), errors.ErrUnsupported)
	require.NoError(t, uringwake.HaveMsgRing())
	for _, d := range []uringwake.Doorbell{uringwake.DoorbellAuto, uringwake.DoorbellMsgRing, uringwake.DoorbellEventFD} {
		workout(t, &uringwake.LoopOptions{Doorbell: d, SpinFor: -1})
	}
	messageToAForeignRing(t)
}

func messageToAForeignRing(t *testing.T) {
	t.Helper()
	r, err := ring.Setup(8, nil)
	require.NoError(t, err)
	defer r.Close()
	w, err := uringwake.NewMsgRing(r.FD(), 7, 3)
	require.NoError(t, err)
	defer w.Close()
	w.Wake()
	for r.CQ().Peek() == nil {
		_, err = r.SQ().SubmitAndWait(1)
		require.True(t, err == nil || errors.Is(err, unix.EINTR), err)
	}
	require.Equal(t, ring.CQE{UserData: 7, Res: 3}, *r.CQ().Peek())
	require.NoError(t, w.Err())
}

// Before 5.18: no messages at all, and none of what came with them or later.
func TestFallsBackWithoutMsgRing(t *testing.T) {
	later := uint32(ring.SetupSingleIssuer | ring.SetupDeferTaskrun | ring.SetupCoopTaskrun | ring.SetupTaskrunFlag |
		ring.SetupNoSQArray | ring.SetupSubmitAll)
	if !refuse.Child(t, refuse.NoOpcodes(ring.OpMsgRing), refuse.NoSendMsgRing(unix.EINVAL), refuse.NoSetupFlags(later)) {
		return
	}
	require.ErrorIs(t, uringwake.HaveMsgRing(), errors.ErrUnsupported)
	require.ErrorIs(t, uringwake.HaveSendMsgRing(), errors.ErrUnsupported)
	_, err := uringwake.NewMsgRing(0, 0, 0)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	for _, d := range []uringwake.Doorbell{uringwake.DoorbellAuto, uringwake.DoorbellMsgRing} {
		require.Equal(t, uringwake.DoorbellEventFD, newLoop(t, &uringwake.LoopOptions{Doorbell: d}).Doorbell())
		workout(t, &uringwake.LoopOptions{Doorbell: d, SpinFor: -1})
	}
}

// Kernels of different ages make different rings.
func TestFallsBackWithoutSetupFlags(t *testing.T) {
	for name, flags := range map[string]uint32{
		"before 6.6, the array":         ring.SetupNoSQArray,
		"before 6.1, cooperative":       ring.SetupNoSQArray | ring.SetupDeferTaskrun,
		"before 6.0, cooperative":       ring.SetupNoSQArray | ring.SetupDeferTaskrun | ring.SetupSingleIssuer,
		"before 5.19, plain":            ring.SetupNoSQArray | ring.SetupDeferTaskrun | ring.SetupSingleIssuer | ring.SetupCoopTaskrun | ring.SetupTaskrunFlag,
		"before 5.18, not all at once":  ring.SetupNoSQArray | ring.SetupDeferTaskrun | ring.SetupSingleIssuer | ring.SetupCoopTaskrun | ring.SetupTaskrunFlag | ring.SetupSubmitAll,
		"something else about deferral": ring.SetupDeferTaskrun,
	} {
		t.Run(name, func(t *testing.T) {
			if refuse.Child(t, refuse.NoSetupFlags(flags)) {
				workout(t, &uringwake.LoopOptions{SpinFor: -1})
				workout(t, nil)
			}
		})
	}
}

// Before 6.7.
func TestFallsBackWithoutFutex(t *testing.T) {
	if !refuse.Child(t, refuse.HideOpcodes(ring.OpFutexWait, ring.OpFutexWake, ring.OpFutexWaitv)) {
		return
	}
	require.ErrorIs(t, uringwake.HaveFutex(), errors.ErrUnsupported)
	require.ErrorIs(t, uringwake.FutexWait(context.Background(), new(atomic.Uint32), 0), errors.ErrUnsupported)
	workout(t, nil)
}

// What passes is not remembered: with descriptors again, loops can be made.
func TestNoDescriptorsLeft(t *testing.T) {
	if !refuse.Child(t, refuse.Rlimit(unix.RLIMIT_NOFILE, 64)) {
		return
	}
	newLoop(t, nil)
	var taken []int
	for {
		fd, err := unix.Dup(0)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	for free := range 2 {
		_, err := uringwake.NewLoop(nil)
		require.ErrorIs(t, err, unix.EMFILE)
		require.NotErrorIs(t, err, errors.ErrUnsupported)
		if free == 0 { // one descriptor is enough for a ring, but not for its doorbell
			require.NoError(t, unix.Close(taken[len(taken)-1]))
			taken = taken[:len(taken)-1]
		}
	}
	for _, fd := range taken {
		require.NoError(t, unix.Close(fd))
	}
	workout(t, nil)
}

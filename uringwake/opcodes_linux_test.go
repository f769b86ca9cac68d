package uringwake_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// An action is one thing that is done under a context that may end, by either
// driver, where the kernel refuses some operations.
type action func(t *testing.T, c caller) error

// actions have the words of their errors as the names' beginning.
var actions = map[string]action{
	"nop":             func(_ *testing.T, c caller) error { return uringwake.Nop(c.ctx) },
	"timeout":         func(_ *testing.T, c caller) error { return uringwake.Sleep(c.ctx, time.Millisecond) },
	"timeout, ended":  sleepToTheEnd,
	"timeout, hidden": sleepUnderAHiddenTask,
	"read":            func(t *testing.T, c caller) error { return readPipe(t, c, 0, -1) },
	"read, at offset": func(t *testing.T, c caller) error { return readPipe(t, c, 0, 7) },
	"read, nonblock":  func(t *testing.T, c caller) error { return readPipe(t, c, unix.O_NONBLOCK, -1) },
	"read, ended":     readToTheEnd,
	"read, file":      readColdFile,
	"write":           func(t *testing.T, c caller) error { return writePipe(t, c, 0) },
	"write, nonblock": func(t *testing.T, c caller) error { return writePipe(t, c, unix.O_NONBLOCK) },
	"write, file":     writeFile,
	"write, nothing":  writeNothing,
	"poll":            pollPipe,
	"close":           closeFile,
	"futex wait":      futexWait,
	"futex wake":      futexWake,
	"msg_ring":        sendMessage,
	"eventfd":         awaitEventFD,
	"eventfd, ended":  awaitEventFDToTheEnd,
}

func init() {
	maps.Copy(actions, fileActions)
	maps.Copy(actions, socketActions)
}

// refusals say which actions fail where these operations are refused: all others
// are done some other way.
var refusals = map[string]struct {
	opcodes []uint8
	rules   []refuse.Rule
	fail    []string
}{
	"nop":        {opcodes: []uint8{ring.OpNop}, fail: []string{"nop"}},
	"read":       {opcodes: []uint8{ring.OpRead}},
	"write":      {opcodes: []uint8{ring.OpWrite}},
	"poll":       {opcodes: []uint8{ring.OpPollAdd}, fail: []string{"poll"}},
	"close":      {opcodes: []uint8{ring.OpClose}},
	"timeout":    {opcodes: []uint8{ring.OpTimeout}},
	"cancel":     {opcodes: []uint8{ring.OpAsyncCancel}},
	"message":    {opcodes: []uint8{ring.OpMsgRing}},
	"futex wait": {opcodes: []uint8{ring.OpFutexWait}, fail: []string{"futex wait"}},
	"futex wake": {opcodes: []uint8{ring.OpFutexWake}},
	"both messages": {
		opcodes: []uint8{ring.OpMsgRing},
		rules:   []refuse.Rule{refuse.NoSendMsgRing(unix.EPERM)},
		fail:    []string{"msg_ring"},
	},
	"files": {opcodes: fileOpcodes},
	"sockets": {
		opcodes: socketOpcodes,
		fail:    []string{"accept, blocking"}, // nothing else may wait for it
	},
	"sockets and poll": {
		opcodes: append([]uint8{ring.OpPollAdd}, socketOpcodes...),
		fail:    append([]string{"poll", "accept, blocking"}, socketWaits...),
	},
	"cancel and timeout": {opcodes: []uint8{ring.OpAsyncCancel, ring.OpTimeout}},
	"read and poll": {
		opcodes: []uint8{ring.OpRead, ring.OpPollAdd},
		fail:    []string{"read", "read, at offset", "read, nonblock", "read, ended", "poll"},
	},
	"all canceling": {
		opcodes: []uint8{ring.OpAsyncCancel},
		rules:   []refuse.Rule{refuse.NoRegister(syncCancel, unix.EINVAL)},
		fail:    waits,
	},
	"all": {
		opcodes: everything,
		rules:   []refuse.Rule{refuse.NoRegister(syncCancel, unix.EPERM), refuse.NoSendMsgRing(unix.EPERM)},
		fail:    append([]string{"nop", "msg_ring"}, waits...),
	},
	"all, before 5.18": { // one that is refused holds up those behind it
		opcodes: everything,
		rules: []refuse.Rule{refuse.NoRegister(syncCancel, unix.EINVAL), refuse.NoSendMsgRing(unix.EINVAL),
			refuse.NoSetupFlags(ring.SetupSubmitAll | ring.SetupNoSQArray | ring.SetupCoopTaskrun | ring.SetupTaskrunFlag)},
		fail: append([]string{"nop", "msg_ring"}, waits...),
	},
}

var everything = []uint8{ring.OpNop, ring.OpRead, ring.OpWrite, ring.OpPollAdd, ring.OpClose, ring.OpTimeout,
	ring.OpAsyncCancel, ring.OpMsgRing, ring.OpFutexWait, ring.OpFutexWake,
	ring.OpReadv, ring.OpWritev, ring.OpFsync, ring.OpFallocate, ring.OpFtruncate, ring.OpSplice,
	ring.OpOpenat, ring.OpStatx, ring.OpRenameat, ring.OpUnlinkat, ring.OpMkdirat, ring.OpLinkat, ring.OpSymlinkat,
	ring.OpSocket, ring.OpBind, ring.OpListen, ring.OpAccept, ring.OpConnect, ring.OpShutdown,
	ring.OpRecv, ring.OpSend, ring.OpRecvmsg, ring.OpSendmsg}

const syncCancel = 24 // IORING_REGISTER_SYNC_CANCEL

// waits are the actions that wait for others on the ring.
var waits = append([]string{"read", "read, at offset", "read, nonblock", "read, ended", "write", "write, nonblock", "poll",
	"futex wait", "readv", "splice", "accept, blocking"}, socketWaits...)

// What is refused fails by itself, and says so, or is done some other way; and
// the rest works as always.
func TestRefusedOperations(t *testing.T) {
	for name, r := range refusals {
		t.Run(name, func(t *testing.T) {
			if refuse.Child(t, append(slices.Clip(r.rules), refuse.NoOpcodes(r.opcodes...))...) {
				eachCaller(t, func(t *testing.T, c caller) {
					c.ringless = slices.Contains(r.opcodes, ring.OpRead) || slices.Contains(r.opcodes, ring.OpWrite)
					c.vectorless = slices.Contains(r.opcodes, ring.OpReadv)
					doDeeds(t, c, r.fail)
				})
				t.Run("wakes", wakesWithoutNops)
				t.Run("loops rest", func(t *testing.T) { loopRests(t, newLoop(t, &uringwake.LoopOptions{SpinFor: -1})) })
				t.Run("loops end", loopsEnd)
				if slices.Contains(r.opcodes, ring.OpFutexWait) {
					require.ErrorIs(t, uringwake.HaveFutex(), errors.ErrUnsupported)
				}
			}
		})
	}
}

func doDeeds(t *testing.T, c caller, fail []string) {
	futex, message := uringwake.HaveFutex(), uringwake.HaveSendMsgRing()
	if message != nil {
		message = uringwake.HaveMsgRing()
	}
	for name, do := range actions {
		t.Run(name, func(t *testing.T) {
			var err error
			c.refused = slices.Contains(fail, name)
			c.run(t, func(ctx context.Context) { c.ctx = ctx; err = do(t, c) })
			if t.Skipped() {
				return
			}
			switch {
			case c.refused:
				word, _, _ := strings.Cut(name, ",")
				assert.ErrorIs(t, err, errors.ErrUnsupported)
				assert.ErrorContains(t, err, word)
				assert.True(t, errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL), err)
			case name == "futex wait" && futex != nil, name == "msg_ring" && message != nil: // an older kernel
				assert.ErrorIs(t, err, errors.ErrUnsupported)
			default:
				assert.NoError(t, err)
			}
		})
	}
}

// A caller is a driver: it runs functions, and tells whether an operation is in
// flight.
type caller struct {
	ctx        context.Context // in what it runs
	run        func(t testing.TB, f func(ctx context.Context))
	pending    func() bool
	refused    bool // what is done is to fail
	ringless   bool // reads or writes are refused
	vectorless bool // reads into several buffers are refused
}

// eachCaller runs f by either driver, under a context that may end.
func eachCaller(t *testing.T, f func(t *testing.T, c caller)) {
	require.NoError(t, uringwake.Supported())
	t.Run("task", func(t *testing.T) {
		l := newLoop(t, nil)
		f(t, caller{
			run: func(t testing.TB, f func(ctx context.Context)) { run(t, l, f) },
			pending: func() (pending bool) {
				uringwake.OnLoop(t, l, func() { pending = l.InFlight() > 0 })
				return pending
			},
		})
	})
	t.Run("goroutine", func(t *testing.T) {
		d := uringwake.UseGoroutineDriver(t, 4, 8)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		f(t, caller{
			run:     func(_ testing.TB, f func(ctx context.Context)) { f(ctx) },
			pending: func() bool { return d.InFlight() > 0 },
		})
	})
}

// whenever calls op, and do once op waits, if that is not to fail.
func (c caller) whenever(op func() error, do func()) error {
	if c.refused {
		return op()
	}
	var over atomic.Bool
	wait := aside(c.ctx, func() {
		for !over.Load() {
			if c.pending() {
				do()
				return
			}
			runtime.Gosched()
		}
	})
	err := op()
	over.Store(true)
	wait()
	return err
}

// toTheEnd calls op under a context that ends while it waits.
func (c caller) toTheEnd(op func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	err := c.whenever(func() error { return op(ctx) }, cancel)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return errors.Join(errors.New("not canceled"), err)
}

func sleepToTheEnd(_ *testing.T, c caller) error {
	ctx, cancel := context.WithTimeout(c.ctx, time.Millisecond)
	defer cancel()
	if err := uringwake.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(errors.New("not at its deadline"), err)
	}
	return nil
}

// sleepUnderAHiddenTask has another task of the loop end the sleep, so the task must not
// sleep like a goroutine.
func sleepUnderAHiddenTask(_ *testing.T, c caller) error {
	ctx, cancel := context.WithCancel(wake.WithParker(c.ctx, nil))
	err := wake.Go(c.ctx, func(context.Context) { cancel() })
	sleep := uringwake.Sleep
	if task := uringwake.TaskFrom(c.ctx); task != nil {
		sleep = task.Sleep
	}
	if end := sleep(ctx, time.Hour); !errors.Is(end, context.Canceled) {
		return errors.Join(errors.New("not canceled"), err, end)
	}
	return err
}

func readPipe(t *testing.T, c caller, flags int, off int64) error {
	fds := c.plainPipe(t, flags)
	p := make([]byte, 8)
	return c.whenever(func() error {
		n, err := uringwake.Read(c.ctx, fds[0], p, off)
		if err == nil {
			assert.Equal(t, "word", string(p[:n]))
		}
		return err
	}, func() { unix.Write(fds[1], []byte("word")) })
}

// plainPipe skips where pipes know no RWF_NOWAIT (those of Linux 6.1) and that is
// needed: without the ring, and, for a ring to wait for it, with O_NONBLOCK.
func (c caller) plainPipe(t *testing.T, flags int) [2]int {
	fds := openPipe(t, flags)
	_, err := unix.Preadv2(fds[0], [][]byte{{0}}, -1, unix.RWF_NOWAIT)
	if err == unix.EOPNOTSUPP && (flags == unix.O_NONBLOCK || c.ringless) {
		t.Skip("before Linux 6.12 pipes may know no RWF_NOWAIT")
	}
	return fds
}

func readToTheEnd(t *testing.T, c caller) error {
	fds := c.plainPipe(t, 0)
	return c.toTheEnd(func(ctx context.Context) error {
		_, err := uringwake.Read(ctx, fds[0], make([]byte, 8), -1)
		return err
	})
}

func readColdFile(t *testing.T, c caller) error {
	f := newColdFile(t, 4)
	p := make([]byte, f.offset(3)+8) // its end, where nothing could be allocated
	n, err := uringwake.Read(c.ctx, f.fd, p, 0)
	assert.Equal(t, len(p), n)
	assert.Equal(t, f.content(2), string(p[f.offset(2):][:8]))
	return err
}

func writePipe(t *testing.T, c caller, flags int) error {
	fds := c.plainPipe(t, flags)
	room, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETPIPE_SZ, 0)
	require.NoError(t, err)
	full := make([]byte, room)
	_, err = unix.Write(fds[1], full)
	require.NoError(t, err)
	return c.whenever(func() error {
		_, err := uringwake.Write(c.ctx, fds[1], []byte("word"), -1)
		return err
	}, func() { unix.Read(fds[0], full) })
}

func writeFile(t *testing.T, c caller) error {
	f, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	defer f.Close()
	n, err := uringwake.Write(c.ctx, int(f.Fd()), []byte("word"), 2)
	assert.Equal(t, 4, n)
	b, _ := os.ReadFile(f.Name())
	assert.Equal(t, "\x00\x00word", string(b))
	return err
}

func writeNothing(t *testing.T, c caller) error {
	f, err := os.Create(t.TempDir() + "/file")
	require.NoError(t, err)
	defer f.Close()
	n, err := uringwake.Write(c.ctx, int(f.Fd()), nil, 0)
	assert.Zero(t, n)
	return err
}

func pollPipe(t *testing.T, c caller) error {
	fds := openPipe(t, 0)
	return c.whenever(func() error {
		events, err := uringwake.PollFD(c.ctx, fds[0], unix.POLLIN)
		if err == nil {
			assert.EqualValues(t, unix.POLLIN, events)
		}
		return err
	}, func() { unix.Write(fds[1], []byte("word")) })
}

func closeFile(t *testing.T, c caller) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	if err := uringwake.Close(c.ctx, fd); err != nil {
		return err
	}
	assert.ErrorIs(t, uringwake.Close(c.ctx, fd), unix.EBADF)
	return nil
}

func futexWait(_ *testing.T, c caller) error {
	word := new(atomic.Uint32)
	return c.whenever(func() error { return uringwake.FutexWait(c.ctx, word, 0) }, func() {
		for n := 0; n == 0; {
			n, _ = uringwake.FutexWake(context.Background(), word, 1)
		}
	})
}

func futexWake(t *testing.T, c caller) error {
	for _, n := range []int{0, 1} {
		woken, err := uringwake.FutexWake(c.ctx, new(atomic.Uint32), n)
		if err != nil {
			return err
		}
		assert.Zero(t, woken)
	}
	return nil
}

func sendMessage(_ *testing.T, c caller) error {
	r, err := ring.Setup(8, nil)
	if err != nil {
		return err
	}
	defer r.Close()
	m, err := uringwake.NewMsgRing(r.FD(), 7, 3)
	if err != nil {
		return errors.Join(errors.New("msg_ring"), err)
	}
	defer m.Close()
	m.Wake()
	for r.CQ().Peek() == nil && m.Err() == nil {
		runtime.Gosched()
	}
	return m.Err()
}

func awaitEventFD(t *testing.T, c caller) error {
	e, err := uringwake.NewEventFD()
	require.NoError(t, err)
	defer e.Close()
	wake := func() { go e.Wake() }
	if task := uringwake.TaskFrom(c.ctx); task != nil {
		wake = func() { task.Loop().Post(e.Wake) } // if Wait holds up the loop, never
	}
	wake()
	n, err := e.Wait(c.ctx)
	assert.EqualValues(t, 1, n)
	return err
}

func awaitEventFDToTheEnd(t *testing.T, c caller) error {
	e, err := uringwake.NewEventFD()
	require.NoError(t, err)
	defer e.Close()
	ctx, cancel := context.WithCancel(c.ctx)
	wait := aside(c.ctx, cancel)
	_, err = e.Wait(ctx)
	wait()
	assert.ErrorIs(t, err, context.Canceled)
	return nil
}

// wakesWithoutNops has tasks and goroutines wake each other across loops of both
// doorbells.
func wakesWithoutNops(t *testing.T) {
	for _, d := range []uringwake.Doorbell{uringwake.DoorbellAuto, uringwake.DoorbellEventFD, uringwake.DoorbellMsgRing} {
		o := &uringwake.LoopOptions{Doorbell: d, SpinFor: -1}
		handOvers(t, []*uringwake.Loop{newLoop(t, o), newLoop(t, o)}, func(context.Context) error { return nil })
	}
}

// loopsEnd has a loop close while its tasks wait.
func loopsEnd(t *testing.T) {
	fds := openPipe(t, 0)
	l := newLoop(t, nil)
	errs := make(chan error, 2)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		_, err := uringwake.Read(ctx, fds[0], make([]byte, 8), -1)
		errs <- err
	}))
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		errs <- uringwake.Sleep(ctx, time.Hour)
	}))
	uringwake.OnLoop(t, l, func() {})
	require.NoError(t, l.Close(context.Background()))
	for range 2 {
		if err := <-errs; !errors.Is(err, errors.ErrUnsupported) {
			require.ErrorIs(t, err, uringwake.ErrClosed)
		}
	}
}

// A loop of each kind that the kernel polls no doorbell for hears its wakers, and
// sees what has completed, also where that is put off until it asks.
func TestLoopThatSleepsOutsideOfItsRing(t *testing.T) {
	eachDoorbell(t, uringwake.LoopOptions{}, func(t *testing.T, l *uringwake.Loop) {
		other := newLoop(t, &uringwake.LoopOptions{Doorbell: l.Doorbell(), SpinFor: -1})
		for _, l := range []*uringwake.Loop{l, other} {
			uringwake.OnLoop(t, l, l.SleepInPoll)
		}
		handOvers(t, []*uringwake.Loop{l, other}, uringwake.Nop)
		canceledReads(t, l)
		run(t, l, func(ctx context.Context) {
			for range 20 {
				require.NoError(t, uringwake.Sleep(ctx, time.Millisecond))
			}
			require.NoError(t, readPipe(t, caller{ctx: ctx, pending: func() bool { return true }}, 0, -1))
		})
	})
}

// A loop at rest sleeps there, and does not go around.
func TestLoopRestsOutsideOfItsRing(t *testing.T) {
	l := newLoop(t, &uringwake.LoopOptions{SpinFor: -1})
	r, err := ring.Setup(1, nil)
	require.NoError(t, err)
	defer r.Close()
	if r.Features()&ring.FeatCQESkip == 0 {
		t.Skip("before Linux 5.17 it looks every millisecond instead")
	}
	uringwake.OnLoop(t, l, l.SleepInPoll)
	loopRests(t, l)
}

func loopRests(t *testing.T, l *uringwake.Loop) {
	const rings = 100
	var before, after uint64
	uringwake.OnLoop(t, l, func() { before = l.Sleeps() })
	for range rings {
		uringwake.AwaitSleep(l)
		uringwake.OnLoop(t, l, func() {})
	}
	time.Sleep(20 * time.Millisecond)
	uringwake.OnLoop(t, l, func() { after = l.Sleeps() })
	require.Less(t, after-before, uint64(10*rings))
}

// The system call cancels on rings of every kind.
func TestCancelByASystemCall(t *testing.T) {
	if !haveSyncCancel(t) {
		t.Skip("before Linux 6.0")
	}
	l := newLoop(t, nil)
	fds := openPipe(t, 0)
	over := make(chan struct{})
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		defer close(over)
		_, err := uringwake.Read(ctx, fds[0], make([]byte, 8), -1)
		assert.Error(t, err)
	}))
	inFlight(t, l, 1)
	uringwake.OnLoop(t, l, func() { assert.Zero(t, l.CancelNow()) })
	<-over
}

func haveSyncCancel(t *testing.T) bool {
	r, err := ring.Setup(1, nil)
	if err != nil {
		t.Skip(err)
	}
	defer r.Close()
	return errors.Is(r.Registrar().SyncCancel(ring.SyncCancel{UserData: 1, Timeout: -1}), unix.ENOENT)
}

// An error that is a file's own is no refusal, whatever its errno.
func TestErrorsOfAFilesOwn(t *testing.T) {
	sealed, err := unix.MemfdCreate("sealed", unix.MFD_ALLOW_SEALING|unix.MFD_CLOEXEC)
	require.NoError(t, err)
	closing(t, sealed)
	_, err = unix.FcntlInt(uintptr(sealed), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
	require.NoError(t, err)
	counting := eventFD(t, 1)
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		_, err := uringwake.Write(ctx, sealed, []byte("word"), 0)
		assert.ErrorIs(t, err, unix.EPERM)
		assert.NotErrorIs(t, err, errors.ErrUnsupported)
		_, err = uringwake.Read(ctx, counting, make([]byte, 4), -1)
		assert.ErrorIs(t, err, unix.EINVAL)
		assert.NotErrorIs(t, err, errors.ErrUnsupported)
	})
}

// Where nothing can be canceled, a wait that never asks for that works as always.
func TestWaitsWithoutAnEnd(t *testing.T) {
	if !refuse.Child(t, refuse.NoOpcodes(ring.OpAsyncCancel), refuse.NoRegister(syncCancel, unix.EINVAL)) {
		return
	}
	eachCaller(t, func(t *testing.T, c caller) {
		c.run(t, func(ctx context.Context) {
			c.ctx = context.WithoutCancel(ctx)
			assert.NoError(t, readPipe(t, c, 0, -1))
			assert.NoError(t, pollPipe(t, c))
		})
	})
}

// A close that failed by itself, which has freed the number, is not repeated.
func TestCloseThatFailsByItself(t *testing.T) {
	l := newLoop(t, nil)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	defer unix.Close(fd)
	errs := make(chan error, 1)
	uringwake.OnLoop(t, l, func() {
		l.Starve()
		assert.NoError(t, l.Go(context.Background(), func(ctx context.Context) { errs <- uringwake.Close(ctx, fd) }))
		l.Turn()
		l.AnswerNext(-int32(unix.EACCES))
	})
	err = <-errs
	_, open := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, open)
	if err == nil || errors.Is(err, unix.EINVAL) {
		t.Skip("before Linux 6.10 the kernel cannot be told what to answer")
	}
	require.ErrorIs(t, err, unix.EACCES)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
}

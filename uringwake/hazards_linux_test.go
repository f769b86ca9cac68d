package uringwake_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// Each test is named after a bug of some other user of io_uring, and fails on what
// its comment calls naive.

// scaled is n, or a tenth of it with -short.
func scaled(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// eachDoorbell runs f with a loop of either kind that never spins.
func eachDoorbell(t *testing.T, o uringwake.LoopOptions, f func(t *testing.T, l *uringwake.Loop)) {
	for name, d := range map[string]uringwake.Doorbell{"eventfd": uringwake.DoorbellEventFD, "message": uringwake.DoorbellMsgRing} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Doorbell, o.SpinFor = d, -1
			l := newLoop(t, &o)
			if l.Doorbell() != d {
				t.Skip(uringwake.HaveMsgRing())
			}
			f(t, l)
		})
	}
}

// eachDriver runs f in a task, and in a goroutine.
func eachDriver(t *testing.T, f func(t *testing.T, ctx context.Context)) {
	t.Run("task", func(t *testing.T) {
		run(t, newLoop(t, nil), func(ctx context.Context) { f(t, ctx) })
	})
	t.Run("goroutine", func(t *testing.T) {
		newLoop(t, nil) // or skip
		f(t, context.Background())
	})
}

// aside runs f in a goroutine, and returns a function that waits for it, from a task
// too.
func aside(ctx context.Context, f func()) (wait func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	return func() { uringwake.Blocking(ctx, func() { <-done }) }
}

// closing closes what a test used.
func closing(t testing.TB, fds ...int) {
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
}

// openPipe is a pipe that the test closes.
func openPipe(t testing.TB, flags int) [2]int {
	t.Helper()
	var fds [2]int
	require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC|flags))
	closing(t, fds[:]...)
	return fds
}

// Naive: block without a second look at the mailbox. The wake that came since
// the first look is slept through.
func TestHazardWakeBetweenEmptyAndBlocked(t *testing.T) {
	eachDoorbell(t, uringwake.LoopOptions{}, func(t *testing.T, l *uringwake.Loop) {
		c := startConsumer(t, l)
		for i := range int64(scaled(50_000)) {
			c.give(1)
			c.await(i + 1)
		}
		c.finish()
	})
}

// Naive: a doorbell that does not remember that it was signaled, as a futex that is
// waited for when the loop blocks. Wakes come at all moments before that and after.
func TestHazardDoorbellIsLate(t *testing.T) {
	eachDoorbell(t, uringwake.LoopOptions{}, func(t *testing.T, l *uringwake.Loop) {
		c := startConsumer(t, l)
		for i := range int64(scaled(20_000)) {
			for range i % 2000 {
				c.given.Load() // about a nanosecond
			}
			c.give(1)
			c.await(i + 1)
		}
		c.finish()
	})
}

// Naive: each wake of a sleeping loop is a system call. One per sleep will do.
func TestHazardOneSignalPerSleep(t *testing.T) {
	eachDoorbell(t, uringwake.LoopOptions{}, func(t *testing.T, l *uringwake.Loop) {
		consumers := make([]*consumer, 100)
		for i := range consumers {
			consumers[i] = startConsumer(t, l)
		}
		for i := range int64(100) {
			claim(l) // so that it sleeps on
			before := l.Stats().Doorbells
			for _, c := range consumers {
				c.give(1)
			}
			require.Less(t, l.Stats().Doorbells-before, uint64(10), "system calls other than ours")
			l.Signal()
			l.EndSignal()
			for _, c := range consumers {
				c.await(i + 1)
			}
		}
		for _, c := range consumers {
			c.finish()
		}
	})
}

// claim makes the test the one that signals.
func claim(l *uringwake.Loop) {
	for claimed := false; !claimed; {
		uringwake.AwaitSleep(l)
		claimed = l.Claim()
	}
}

// Naive: a cancel that finds the submission queue full is dropped.
func TestHazardCancelFindsTheQueueFull(t *testing.T) {
	l := newLoop(t, &uringwake.LoopOptions{Entries: 1})
	fds := openPipe(t, 0)
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, 300)
	for range cap(errs) {
		require.NoError(t, l.Go(context.Background(), func(own context.Context) {
			_, err := uringwake.Read(wake.WithParker(ctx, uringwake.TaskFrom(own)), fds[0], make([]byte, 1), -1)
			errs <- err
		}))
	}
	inFlight(t, l, cap(errs))
	uringwake.OnLoop(t, l, func() { // all cancels come in one turn, the first to a full queue
		cancel()
		l.AwaitMail()
		l.Fill()
		l.Turn()
	})
	for range cap(errs) {
		require.ErrorIs(t, <-errs, context.Canceled)
	}
}

// inFlight waits until n operations are in flight on l.
func inFlight(t testing.TB, l *uringwake.Loop, n int) {
	t.Helper()
	for got := -1; got != n; {
		uringwake.OnLoop(t, l, func() { got = l.InFlight() })
	}
}

// Naive: a multishot poll that has ended is not armed again, or only before the
// look at the ring that finds its end.
func TestHazardPollOfTheDoorbellEnds(t *testing.T) {
	newLoop(t, nil) // or skip
	loops, over := make(chan *uringwake.Loop), make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		l := uringwake.ManualLoop(t, uringwake.LoopOptions{Doorbell: uringwake.DoorbellEventFD, SpinFor: -1})
		l.SubmitAndReap() // arms
		l.EndPoll()       // the next look at the ring finds the end, and nothing else
		loops <- l
		l.Run()
	}()
	l := <-loops
	uringwake.AwaitSleep(l)
	uringwake.OnLoop(t, l, func() {})
	require.NoError(t, l.Close(context.Background()))
	<-over
}

// Naive: completions that found the queue full are never fetched; or the poll
// that the overflow ended is not armed again.
func TestHazardCompletionQueueOverflows(t *testing.T) {
	var got atomic.Int64
	o := uringwake.LoopOptions{Entries: 4, CQEntries: 8, OnMessage: func(uint64, int32) { got.Add(1) }}
	eachDoorbell(t, o, func(t *testing.T, l *uringwake.Loop) {
		if err := uringwake.HaveSendMsgRing(); err != nil {
			t.Skip(err)
		}
		for range 20 {
			got.Store(0)
			uringwake.OnLoop(t, l, func() { // so that it takes none of these
				for i := range 1000 {
					assert.NoError(t, uringwake.SendMessage(l.FD(), uint64(i), 0))
				}
				write(t, l.EventFD(), 1) // there is no room for this
			})
			for got.Load() != 1000 {
				runtime.Gosched()
			}
			uringwake.AwaitSleep(l)
			uringwake.OnLoop(t, l, func() {})
		}
	})
}

func write(t testing.TB, fd int, n uint64) {
	t.Helper()
	_, err := unix.Write(fd, binary.NativeEndian.AppendUint64(nil, n))
	require.NoError(t, err)
}

// The same for the goroutine driver: one write completes a thousand polls.
func TestHazardCompletionQueueOfGoroutinesOverflows(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	for range scaled(20) {
		fds := openPipe(t, 0)
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				_, err := uringwake.PollFD(context.Background(), fds[0], unix.POLLIN)
				require.NoError(t, err)
			})
		}
		for d.InFlight() != 1000 {
			runtime.Gosched()
		}
		write(t, fds[1], 1)
		all.Wait()
	}
}

// Naive: a waker that signals without asking whether the loop is there, or one that
// asks and does not keep the doorbell open while it signals: it writes to the file
// that has got the number.
func TestHazardWakeWritesToAReusedDescriptor(t *testing.T) {
	for range scaled(100) {
		l, err := uringwake.NewLoop(&uringwake.LoopOptions{Entries: 1, Doorbell: uringwake.DoorbellEventFD, SpinFor: -1})
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		require.NoError(t, err)
		task := startConsumer(t, l).task
		var stop atomic.Bool
		var wakers sync.WaitGroup
		for range 2 {
			wakers.Go(func() {
				for !stop.Load() {
					task.Wake()
					l.Post(func() {})
				}
			})
		}
		fd := l.EventFD()
		require.NoError(t, l.Close(context.Background()))
		others := numbers(t, fd)
		stop.Store(true)
		wakers.Wait()
		task.Wake()
		require.ErrorIs(t, l.Post(func() {}), uringwake.ErrClosed)
		require.Equal(t, []int{}, written(t, others))
	}
}

// numbers opens eventfds until one has the number fd.
func numbers(t testing.TB, fd int) (fds []int) {
	t.Helper()
	for len(fds) == 0 || fds[len(fds)-1] < fd {
		n, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		require.NoError(t, err)
		fds = append(fds, n)
	}
	return fds
}

// written closes eventfds, and returns those that were written to.
func written(t testing.TB, fds []int) []int {
	hit := []int{}
	for _, fd := range fds {
		if _, err := unix.Read(fd, make([]byte, 8)); err == nil {
			hit = append(hit, fd)
		}
		require.NoError(t, unix.Close(fd))
	}
	return hit
}

// The same, held at the point where it hurts: between a waker's claim and its
// system call.
func TestHazardLoopClosesUnderASignaler(t *testing.T) {
	l := newLoop(t, &uringwake.LoopOptions{Doorbell: uringwake.DoorbellEventFD, SpinFor: -1})
	claim(l)
	l.StartClosing() // does not ring: that is ours to do
	l.Signal()
	for !l.DoorClosed() {
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
		require.False(t, l.Closed())
	}
	l.Signal() // still its own
	l.EndSignal()
	require.NoError(t, l.Close(context.Background()))
}

// Naive: a read that the kernel would not wait for is submitted again at once,
// and again. Kernel 6.18 waits whatever the descriptor says, so it is told to
// refuse.
func TestHazardKernelDoesNotWait(t *testing.T) {
	l := newLoop(t, nil)
	fds := openPipe(t, unix.O_NONBLOCK)
	results := make(chan int, 1)
	uringwake.OnLoop(t, l, func() {
		l.Starve()
		assert.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			n, err := uringwake.Read(ctx, fds[0], make([]byte, 64), -1)
			if !errors.Is(err, unix.EINVAL) {
				assert.NoError(t, err)
			}
			results <- n
		}))
		l.Turn()
		l.AnswerNext(-int32(unix.EAGAIN))
	})
	var opcodes []uint8
	for len(opcodes) != 1 || opcodes[0] == ring.OpNop {
		select {
		case n := <-results:
			require.Zero(t, n) // the answer of a kernel that does not know the flag, or EINVAL
			t.Skip("before Linux 6.10 the kernel cannot be told what to answer")
		default:
			uringwake.OnLoop(t, l, func() { opcodes = l.Opcodes() })
		}
	}
	require.Equal(t, []uint8{ring.OpPollAdd}, opcodes)
	require.NoError(t, unix.Dup3(eventFD(t, 7), fds[0], unix.O_CLOEXEC)) // the read goes on with its file
	_, err := unix.Write(fds[1], []byte("own"))
	require.NoError(t, err)
	require.Equal(t, 3, <-results)
}

// The same, with what kernels may refuse to wait for.
func TestHazardNonblockingDescriptorOnATask(t *testing.T) {
	l := newLoop(t, &uringwake.LoopOptions{SpinFor: -1})
	submitted := func() (n uint64) {
		uringwake.OnLoop(t, l, func() { n = l.Submitted() })
		return n
	}
	nonblocking(t, submitted, func(f func(ctx context.Context)) { run(t, l, f) }, func() { uringwake.OnLoop(t, l, func() {}) })
}

// The same for the goroutine driver.
func TestHazardNonblockingDescriptorOnAGoroutine(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	nops := uint64(0)
	submitted := func() uint64 { return d.Submitted() - nops }
	nonblocking(t, submitted, func(f func(ctx context.Context)) { f(context.Background()) }, func() {
		require.NoError(t, uringwake.Nop(context.Background()))
		nops++
	})
}

// nonblocking reads from a file that has nothing to read, and leaves a driver that would
// spin the time to do so.
func nonblocking(t *testing.T, submitted func() uint64, start func(func(context.Context)), occasion func()) {
	fds := openPipe(t, unix.O_NONBLOCK)
	event := eventFD(t, 0)
	directory, notify := t.TempDir(), inotify(t)
	_, err := unix.InotifyAddWatch(notify, directory, unix.IN_CREATE)
	require.NoError(t, err)
	for fd, feed := range map[int]func(){
		fds[0]: func() { write(t, fds[1], 1) },
		event:  func() { write(t, event, 1) },
		notify: func() { require.NoError(t, os.WriteFile(directory+"/f", nil, 0o600)) },
	} {
		before := submitted()
		wait := aside(context.Background(), func() {
			start(func(ctx context.Context) {
				n, err := uringwake.Read(ctx, fd, make([]byte, 64), -1)
				assert.NoError(t, err)
				assert.NotZero(t, n)
			})
		})
		for submitted() == before {
			runtime.Gosched()
		}
		for range 200 {
			occasion()
		}
		feed()
		wait()
		require.LessOrEqual(t, submitted()-before, uint64(6))
	}
}

func inotify(t testing.TB) int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	require.NoError(t, err)
	closing(t, fd)
	return fd
}

// Naive: the eventfd is registered with the ring, which then writes to it and
// does not read it.
func TestHazardRegisteredEventFDIsNoWayIn(t *testing.T) {
	l := newLoop(t, &uringwake.LoopOptions{Doorbell: uringwake.DoorbellEventFD, SpinFor: -1, StallLimit: time.Hour})
	for range 100 {
		uringwake.AwaitSleep(l)
		before := l.Turns()
		write(t, l.EventFD(), 1)
		for l.Turns() == before {
			runtime.Gosched()
		}
	}
}

// Naive: the user sees the completions of the loop's own operations; or the loop
// believes whatever looks like its own.
func TestHazardUserDataOfOurOwn(t *testing.T) {
	var mine, others atomic.Int64
	o := uringwake.LoopOptions{OnMessage: func(u uint64, res int32) {
		if u == 42 && res == 7 {
			mine.Add(1)
		} else {
			others.Add(1)
		}
	}}
	eachDoorbell(t, o, func(t *testing.T, l *uringwake.Loop) {
		if err := uringwake.HaveSendMsgRing(); err != nil {
			t.Skip(err)
		}
		mine.Store(0)
		for range 100 {
			for kind := range uint64(8) {
				var own []uint64
				uringwake.OnLoop(t, l, func() { own = l.DoorbellData() })
				for _, u := range append(own, 1<<63, 1<<63|42, 1<<64-1) {
					require.NoError(t, uringwake.SendMessage(l.FD(), uringwake.KindOf(u, kind), -1))
				}
			}
			require.NoError(t, uringwake.SendMessage(l.FD(), 42, 7))
			run(t, l, func(ctx context.Context) { // all sorts of our own
				require.NoError(t, uringwake.Nop(ctx))
				ctx, cancel := context.WithTimeout(ctx, 1)
				defer cancel()
				require.ErrorIs(t, uringwake.Sleep(ctx, time.Hour), context.DeadlineExceeded)
			})
		}
		for mine.Load() != 100 {
			runtime.Gosched()
		}
		require.Zero(t, others.Load())
		var before, after uint64
		uringwake.OnLoop(t, l, func() { before = l.Completed() })
		uringwake.AwaitSleep(l)
		uringwake.OnLoop(t, l, func() { l.Enter(0); after = l.Completed() })
		require.LessOrEqual(t, after-before, uint64(4), "completions of two rings of the doorbell")
	})
}

// Naive: user data is the operation's address.
func TestHazardPointersInUserData(t *testing.T) {
	l := newLoop(t, nil)
	const n = 1000
	for range n {
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { uringwake.Sleep(ctx, time.Hour) }))
	}
	inFlight(t, l, n)
	places := map[uint32]bool{}
	uringwake.OnLoop(t, l, func() {
		for _, u := range l.Names() {
			places[uint32(u)] = true
			assert.Less(t, int(uint32(u)), l.Slots())
		}
	})
	require.Len(t, places, n)
}

// Naive: a place is taken until its operation is collected, and there are as many
// as the queue has entries.
func TestHazardUncollectedCompletionsHoldAllPlaces(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	release := make(chan struct{})
	ctx := wake.WithParker(context.Background(), lateParker(release))
	fds := openPipe(t, 0)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			_, err := uringwake.PollFD(ctx, fds[0], unix.POLLIN)
			assert.NoError(t, err)
		})
	}
	for d.InFlight() != 64 {
		runtime.Gosched()
	}
	write(t, fds[1], 1)
	for d.InFlight() != 0 {
		runtime.Gosched()
	}
	for range 100 { // all 64 have completed, and none was collected
		require.NoError(t, uringwake.Nop(context.Background()))
	}
	close(release)
	all.Wait()
}

// lateParker sleeps until it is closed, whatever happens.
type lateParker chan struct{}

func (lateParker) Wake() {}
func (p lateParker) Park(context.Context) error {
	<-p
	return nil
}

// Naive: a loop that sleeps in the kernel does not tell Go's scheduler, which has
// to interrupt it by a signal whenever it wants the processor back.
func TestHazardSleepingLoopHoldsAProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	eachDoorbell(t, uringwake.LoopOptions{StallLimit: time.Hour}, func(t *testing.T, l *uringwake.Loop) {
		uringwake.AwaitSleep(l)
		before := l.Turns()
		for range 100 {
			runtime.Gosched()
		}
		require.Less(t, l.Turns()-before, uint64(10), "times that its sleep was interrupted")
		uringwake.OnLoop(t, l, func() {})
	})
}

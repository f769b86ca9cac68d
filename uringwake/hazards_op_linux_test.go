package uringwake_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// The hazards of operations: their buffers, descriptors, names and threads.

// Naive: a read that was canceled stays in line, and is submitted when its
// descriptor's number is another file's.
func TestHazardCanceledInLineHitsAnotherFile(t *testing.T) {
	l := newLoop(t, nil)
	fds := pipe(t)
	defer unix.Close(fds[1])
	ctx, cancel := context.WithCancel(context.Background())
	var err error
	uringwake.OnLoop(t, l, func() {
		l.Starve()
		assert.NoError(t, l.Go(ctx, func(ctx context.Context) { _, err = uringwake.Read(ctx, fds[0], make([]byte, 8), -1) }))
		l.Turn()
		assert.Equal(t, 2, l.InFlight())
		cancel()
		for l.InFlight() > 1 { // the read was not submitted: it ends without the kernel
			l.AwaitMail()
			l.Turn()
		}
		assert.NoError(t, unix.Dup3(eventFD(t, 7), fds[0], unix.O_CLOEXEC))
	})
	require.NoError(t, l.Close(context.Background()))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, uint64(7), counter(t, fds[0]))
	require.NoError(t, unix.Close(fds[0]))
}

// eventFD is one that the test closes.
func eventFD(t testing.TB, n uint) int {
	t.Helper()
	fd, err := unix.Eventfd(n, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	require.NoError(t, err)
	closing(t, fd)
	return fd
}

// counter takes what an eventfd counts.
func counter(t testing.TB, fd int) uint64 {
	t.Helper()
	var p [8]byte
	_, err := unix.Read(fd, p[:])
	require.NoError(t, err)
	return binary.NativeEndian.Uint64(p[:])
}

// Naive: Read returns when its context ends, and the kernel goes on: it writes to
// a buffer that is used for something else, and takes what others wait for.
func TestHazardBufferReusedAfterACancel(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		data, other := bytes.Repeat([]byte{1}, 64), bytes.Repeat([]byte{2}, 64)
		fds := openPipe(t, 0)
		for i := range scaled(5_000) {
			own, cancel := context.WithCancel(ctx)
			wait := aside(ctx, func() {
				cancel()
				_, err := unix.Write(fds[1], data)
				assert.NoError(t, err)
			})
			buf := make([]byte, 64)
			n, err := uringwake.Read(own, fds[0], buf, -1)
			if err != nil {
				copy(buf, other)
			}
			wait()
			if i%100 == 0 {
				runtime.GC()
			}
			if err != nil {
				require.Equal(t, other, buf)
				n, err = uringwake.Read(ctx, fds[0], buf, -1)
			}
			require.NoError(t, err)
			require.Equal(t, data, buf[:n])
		}
	})
}

// Naive: only the address of a buffer is kept. A buffer on a stack moves with it.
func TestHazardBufferMoves(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := openPipe(t, 0)
		for range scaled(100) {
			wait := aside(ctx, func() {
				runtime.GC() // halves the stacks of sleeping goroutines
				_, err := unix.Write(fds[1], []byte("here"))
				assert.NoError(t, err)
			})
			require.Equal(t, "here", deep(t, ctx, fds[0], 100))
			wait()
		}
	})
}

// deep reads into a buffer of its own frame, on a stack that was large before.
func deep(t *testing.T, ctx context.Context, fd, depth int) string {
	if depth > 0 {
		var room [512]byte
		room[depth] = 1
		if s := deep(t, ctx, -1, depth-1); fd < 0 {
			return s[:0] + string(room[:0])
		}
	}
	if fd < 0 {
		return ""
	}
	var buf [16]byte
	n, err := uringwake.Read(ctx, fd, buf[:], -1)
	require.NoError(t, err)
	return string(buf[:n])
}

// Naive: a completion is matched by its place alone. One of an earlier operation,
// or one that comes twice, ends another one.
func TestHazardCompletionOfAnEarlierLife(t *testing.T) {
	l := newLoop(t, nil)
	if err := uringwake.HaveSendMsgRing(); err != nil {
		t.Skip(err)
	}
	fds := openPipe(t, 0)
	for range 100 {
		run(t, l, func(ctx context.Context) { require.NoError(t, uringwake.Nop(ctx)) })
		wait := aside(context.Background(), func() {
			run(t, l, func(ctx context.Context) {
				n, err := uringwake.Read(ctx, fds[0], make([]byte, 8), -1)
				require.NoError(t, err)
				require.Equal(t, 2, n)
			})
		})
		inFlight(t, l, 1)
		uringwake.OnLoop(t, l, func() {
			for kind := range uint64(3) {
				for age := range uint64(3) {
					name := 1<<63 | uringwake.KindOf(l.Names()[0]-(age+1)<<32, kind)
					assert.NoError(t, uringwake.SendMessage(l.FD(), name, 1))
				}
			}
		})
		uringwake.OnLoop(t, l, func() { l.Enter(1); assert.Equal(t, 1, l.InFlight()) })
		_, err := unix.Write(fds[1], []byte("ok"))
		require.NoError(t, err)
		wait()
	}
}

// Naive: a cancel is taken for another submission and made by the goroutine that
// ends the context, on whose thread the kernel answers EEXIST.
func TestHazardSingleIssuer(t *testing.T) {
	l := newLoop(t, nil)
	fds := openPipe(t, 0)
	for range scaled(1000) {
		ctx, cancel := context.WithCancel(context.Background())
		wait := aside(ctx, func() {
			run(t, l, func(own context.Context) {
				_, err := uringwake.Read(wake.WithParker(ctx, uringwake.TaskFrom(own)), fds[0], make([]byte, 1), -1)
				require.ErrorIs(t, err, context.Canceled)
			})
		})
		inFlight(t, l, 1)
		runtime.LockOSThread() // another one for sure
		cancel()
		runtime.UnlockOSThread()
		wait()
	}
}

// Naive: an operation that the kernel completed undone, since the thread that submitted
// it has exited, fails its caller. Kernel 6.18 answers ECANCELED.
func TestHazardSubmittingThreadExits(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	defer keepSubmitting(t, d)() // its thread is taken before
	for _, c := range interrupted(t) {
		t.Run(c.name, func(t *testing.T) {
			p := &mover{Parker: wake.NewParker(), thread: make(chan int, 1)}
			errs := make(chan error, 1)
			go offMain(func() { errs <- c.op(wake.WithParker(context.Background(), p)) })
			killThread(t, <-p.thread)
			before := d.Submitted()
			c.end()
			require.NoError(t, <-errs)
			t.Log("submissions since the thread exited:", d.Submitted()-before)
		})
	}
}

// keepSubmitting has an operation in flight until the result is called.
func keepSubmitting(t *testing.T, d uringwake.GoroutineDriver) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, 1)
	fd := openPipe(t, 0)[0]
	go func() {
		_, err := uringwake.PollFD(ctx, fd, unix.POLLIN)
		errs <- err
	}()
	d.AwaitSubmission(1)
	return func() {
		cancel()
		require.ErrorIs(t, <-errs, context.Canceled)
	}
}

type interruptible struct {
	name string
	op   func(ctx context.Context) error
	end  func()
}

// interrupted are operations that wait, and what ends them.
func interrupted(t *testing.T) []interruptible {
	var word atomic.Uint32
	r, p := openPipe(t, 0), openPipe(t, 0)
	all := []interruptible{
		{"read", func(ctx context.Context) error {
			n, err := uringwake.Read(ctx, r[0], make([]byte, 8), -1)
			return errors.Join(err, unless(n == 8))
		}, func() { write(t, r[1], 1) }},
		{"poll", func(ctx context.Context) error {
			ready, err := uringwake.PollFD(ctx, p[0], unix.POLLIN)
			return errors.Join(err, unless(ready&unix.POLLIN != 0))
		}, func() { write(t, p[1], 1) }},
		{"sleep", func(ctx context.Context) error {
			start := time.Now()
			err := uringwake.Sleep(ctx, 300*time.Millisecond)
			return errors.Join(err, unless(time.Since(start) >= 300*time.Millisecond))
		}, func() {}},
	}
	if uringwake.HaveFutex() != nil {
		return all
	}
	return append(all, interruptible{"futex",
		func(ctx context.Context) error { return uringwake.FutexWait(ctx, &word, 0) },
		func() { word.Store(1); wakeAll(t, &word) },
	})
}

// wakeAll wakes the waiters for word to change: not one that the kernel has just
// completed undone, which sees the change by itself.
func wakeAll(t *testing.T, word *atomic.Uint32) {
	_, err := uringwake.FutexWake(context.Background(), word, 1)
	require.NoError(t, err)
}

func unless(ok bool) error {
	if ok {
		return nil
	}
	return errors.New("wrong result")
}

// offMain runs f locked to a thread that is not the main one, which never exits.
func offMain(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	defer runtime.UnlockOSThread()
	done := make(chan struct{})
	go func() { defer close(done); offMain(f) }()
	<-done
}

// mover is the parker of a goroutine that is locked to the thread from which it
// has submitted: it leaves it.
type mover struct {
	wake.Parker
	thread chan int
	once   sync.Once
}

func (p *mover) Park(ctx context.Context) error {
	p.once.Do(func() {
		p.thread <- unix.Gettid()
		runtime.UnlockOSThread()
	})
	return p.Parker.Park(ctx)
}

// killThread ends a thread: a goroutine that exits while it is locked to one
// takes it along.
func killThread(t *testing.T, tid int) {
	t.Helper()
	for unix.Tgkill(unix.Getpid(), tid, 0) == nil {
		done := make(chan struct{})
		go func() {
			defer close(done)
			if unix.Gettid() == tid {
				runtime.LockOSThread()
			}
		}()
		<-done
	}
}

package uringwake_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// subject is an operation whose context ends, at some point of its life.
type subject struct {
	op       func(ctx context.Context) error
	complete func()                        // ends it without a cancel; nil: nothing does, or needs to
	check    func(t *testing.T, err error) // that what err says is what has happened
	ready    bool                          // it completes at once
	always   bool                          // it cannot be canceled
	ringless bool                          // in a goroutine it needs no ring
	pipe     bool                          // it reads or writes one
	skip     error                         // the kernel does not have it
}

// subjects makes one of each kind; each is used once.
var subjects = map[string]func(t *testing.T) subject{
	"nop":        func(*testing.T) subject { return subject{op: uringwake.Nop, ready: true} },
	"read":       func(t *testing.T) subject { return readSubject(t, 0) },
	"read ready": func(t *testing.T) subject { return readSubject(t, 8) },
	"write":      func(t *testing.T) subject { return writeSubject(t, os.Getpagesize()) },
	"write ready": func(t *testing.T) subject {
		return writeSubject(t, 0)
	},
	"poll":       func(t *testing.T) subject { return pollSubject(t, 0) },
	"poll ready": func(t *testing.T) subject { return pollSubject(t, 1) },
	"sleep": func(*testing.T) subject {
		return subject{op: func(ctx context.Context) error { return uringwake.Sleep(ctx, time.Hour) }, ringless: true}
	},
	"sleep ready": func(*testing.T) subject {
		return subject{op: func(ctx context.Context) error { return uringwake.Sleep(ctx, 0) }, ready: true}
	},
	"futex wait":       func(*testing.T) subject { return futexSubject(0) },
	"futex wait ready": func(*testing.T) subject { return futexSubject(1) },
	"futex wake":       func(*testing.T) subject { return futexWakeSubject() },
	"close":            closeSubject,
}

func readSubject(t *testing.T, content int) subject {
	fds := openPipe(t, 0)
	var n, all int
	put := func(size int) {
		all += size
		_, err := unix.Write(fds[1], make([]byte, size))
		require.NoError(t, err)
	}
	if content > 0 {
		put(content)
	}
	return subject{
		op: func(ctx context.Context) (err error) {
			n, err = uringwake.Read(ctx, fds[0], make([]byte, 64), -1)
			return err
		},
		complete: func() { put(8) },
		check: func(t *testing.T, err error) {
			require.Equal(t, err == nil, n > 0)
			put(3) // no other waiter takes it
			require.Equal(t, all, n+drain(t, fds[0]))
		},
		ready: content > 0,
		pipe:  true,
	}
}

func writeSubject(t *testing.T, content int) subject {
	fds := openPipe(t, 0)
	_, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, os.Getpagesize())
	require.NoError(t, err)
	_, err = unix.Write(fds[1], make([]byte, content))
	require.NoError(t, err)
	var n, taken int
	return subject{
		op: func(ctx context.Context) (err error) {
			n, err = uringwake.Write(ctx, fds[1], make([]byte, 64), -1)
			return err
		},
		complete: func() { taken, _ = unix.Read(fds[0], make([]byte, os.Getpagesize())) },
		check: func(t *testing.T, err error) {
			require.Equal(t, err == nil, n == 64)
			require.Equal(t, content+n, taken+drain(t, fds[0]))
		},
		ready: content == 0,
		pipe:  true,
	}
}

// triesPipes reports whether the kernel can try a pipe without waiting, which Linux
// 6.1 cannot: a wait there also waits for a worker.
func triesPipes(t *testing.T) bool {
	fds := openPipe(t, 0)
	_, err := unix.Preadv2(fds[0], [][]byte{{0}}, -1, unix.RWF_NOWAIT)
	return err == unix.EAGAIN
}

func pollSubject(t *testing.T, content uint) subject {
	fd := eventFD(t, content)
	return subject{
		op: func(ctx context.Context) error {
			ready, err := uringwake.PollFD(ctx, fd, unix.POLLIN)
			return errors.Join(err, unless(err != nil || ready == unix.POLLIN))
		},
		complete: func() { write(t, fd, 1) },
		ready:    content > 0,
	}
}

// futexSubject waits for a word to be something else than 0.
func futexSubject(value uint32) subject {
	word := new(atomic.Uint32)
	word.Store(value)
	return subject{
		op: func(ctx context.Context) error { return uringwake.FutexWait(ctx, word, 0) },
		complete: func() {
			unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), 1 /* FUTEX_WAKE */, 1, 0, 0, 0)
		},
		ready: value != 0,
		skip:  uringwake.HaveFutex(),
	}
}

func futexWakeSubject() subject {
	word := new(atomic.Uint32)
	return subject{
		op: func(ctx context.Context) error {
			n, err := uringwake.FutexWake(ctx, word, 1)
			return errors.Join(err, unless(n == 0))
		},
		ready: true,
		skip:  uringwake.HaveFutex(),
	}
}

func closeSubject(t *testing.T) subject {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	return subject{
		op:    func(ctx context.Context) error { return uringwake.Close(ctx, fd) },
		check: func(t *testing.T, err error) { require.ErrorIs(t, unix.Close(fd), unix.EBADF) },
		ready: true, always: true,
	}
}

// The points at which the context ends.
const (
	inLine    = iota // it waits for room in the queue
	submitted        // the kernel has it, or has its entry
	asked            // the kernel was asked to cancel it
	completed        // it has completed; its task has not run since
	states
)

// How the context ends.
const (
	byClose = iota
	byContext
	byBoth
	endings
)

var errCause = errors.New("the cause")

// TestContextEndsAtEveryState ends the context of each operation at each point of
// its life, by the loop's Close or by itself; the context is the task's own, or
// one under it.
func TestContextEndsAtEveryState(t *testing.T) {
	newLoop(t, nil) // or skip
	for name, make := range subjects {
		for state := range states {
			for ending := range endings {
				for _, under := range []bool{false, true} {
					t.Run(fmt.Sprint(name, " ", state, ending, under), func(t *testing.T) {
						c := &stateCase{t: t, subject: make(t), state: state, ending: ending, under: under}
						c.run()
					})
				}
			}
		}
	}
}

type stateCase struct {
	subject
	t             *testing.T
	state, ending int
	under         bool
	l             *uringwake.Loop
	cancel        context.CancelCauseFunc
	over          bool // the loop's
}

func (c *stateCase) run() {
	if c.skip != nil {
		c.t.Skip(c.skip)
	}
	if c.state == completed && !c.ready && c.complete == nil {
		c.t.Skip("it never completes")
	}
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{Entries: 8})
	require.NoError(c.t, err)
	c.l = l
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	c.cancel = cancel
	errs := make(chan error, 1)
	uringwake.OnLoop(c.t, l, func() { c.drive(ctx, errs) })
	c.verify(<-errs)
	require.NoError(c.t, l.Close(context.Background()))
	require.Zero(c.t, l.InFlight())
}

// drive is one turn of the loop, in which it all happens.
func (c *stateCase) drive(ctx context.Context, errs chan<- error) {
	if c.state == inLine {
		c.l.Starve()
	}
	assert.NoError(c.t, c.l.Go(ctx, func(ctx context.Context) {
		if c.under {
			below, cancel := context.WithCancel(ctx)
			defer cancel()
			ctx = below
		}
		err := c.op(ctx)
		c.over = true
		errs <- err
	}))
	c.l.Turn()
	c.advance()
	c.end()
	for c.state == inLine && !c.always && !c.over { // without a look at the ring
		c.l.Turn()
		runtime.Gosched()
	}
}

// advance brings the operation to the state that is tried.
func (c *stateCase) advance() {
	switch c.state {
	case submitted, asked:
		if !c.ready {
			c.l.Enter(1)
		}
		if c.state == asked {
			c.endContext()
		}
	case completed:
		if !c.ready {
			c.l.Enter(1)
			c.complete()
		}
		c.l.Enter(0)
	}
}

func (c *stateCase) end() {
	if c.ending != byContext {
		c.l.StartClosing()
		c.l.Turn()
	}
	if c.ending != byClose {
		c.endContext()
	}
}

// endContext ends it, and lets the loop see that.
func (c *stateCase) endContext() {
	c.cancel(errCause)
	for i := 0; i < 100 && !c.over; i++ {
		c.l.Turn()
		runtime.Gosched()
	}
}

func (c *stateCase) verify(err error) {
	switch {
	case c.state == completed || c.always:
		require.NoError(c.t, err)
	case c.state == inLine || !c.ready:
		require.Error(c.t, err)
	}
	if err != nil {
		require.ErrorIs(c.t, err, context.Canceled)
		closed, canceled := errors.Is(err, uringwake.ErrClosed), errors.Is(err, errCause)
		require.True(c.t, closed != canceled, err)
		switch {
		case c.state == asked || c.ending == byContext:
			require.True(c.t, canceled, err)
		case c.ending == byClose:
			require.True(c.t, closed, err)
		}
	}
	if c.check != nil {
		c.check(c.t, err)
	}
}

// The same for the goroutine driver, which is never closed.
func TestContextEndsAtEveryStateOfAGoroutine(t *testing.T) {
	newLoop(t, nil)
	for name, make := range subjects {
		t.Run(name, func(t *testing.T) {
			if s := make(t); s.skip != nil {
				t.Skip(s.skip)
			}
			d := uringwake.UseGoroutineDriver(t, 4, 8)
			endedBefore(t, make(t))
			for range 20 {
				endedAnytime(t, make(t))
			}
			if s := make(t); !s.ready && !s.ringless {
				endedMeanwhile(t, d, s)
			}
			if s := make(t); !s.ready && s.complete != nil && (!s.pipe || triesPipes(t)) {
				endedTooLate(t, d, s)
			}
		})
	}
}

func (s subject) verify(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		require.ErrorIs(t, err, errCause)
		require.ErrorIs(t, err, context.Canceled)
	}
	if s.check != nil {
		s.check(t, err)
	}
}

func endedBefore(t *testing.T, s subject) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errCause)
	err := s.op(ctx)
	require.Equal(t, s.always, err == nil)
	s.verify(t, err)
}

func endedAnytime(t *testing.T, s subject) {
	ctx, cancel := context.WithCancelCause(context.Background())
	wait := aside(ctx, func() { cancel(errCause) })
	s.verify(t, s.op(ctx))
	wait()
}

// endedMeanwhile ends the context when the kernel has the operation.
func endedMeanwhile(t *testing.T, d uringwake.GoroutineDriver, s subject) {
	ctx, cancel := context.WithCancelCause(context.Background())
	wait := aside(ctx, func() {
		d.AwaitSubmission(1)
		cancel(errCause)
	})
	err := s.op(ctx)
	wait()
	require.Error(t, err)
	s.verify(t, err)
}

// endedTooLate ends the context when the operation has completed and its caller
// does not know yet: the result counts.
func endedTooLate(t *testing.T, d uringwake.GoroutineDriver, s subject) {
	ctx, cancel := context.WithCancelCause(context.Background())
	err := s.op(wake.WithParker(ctx, parkFunc(func(ctx context.Context) error {
		d.AwaitSubmission(1)
		s.complete()
		for d.InFlight() != 0 {
			runtime.Gosched()
		}
		cancel(errCause)
		return context.Cause(ctx)
	})))
	require.NoError(t, err)
	s.verify(t, err)
}

// parkFunc is a parker that only parks.
type parkFunc func(ctx context.Context) error

func (parkFunc) Wake()                            {}
func (p parkFunc) Park(ctx context.Context) error { return p(ctx) }

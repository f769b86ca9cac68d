package uringwake

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// Nothing is refused that the kernel knows, and each trial has an answer.
func TestTrialsOfAllOperations(t *testing.T) {
	skipUnsupported(t, Supported())
	for opcode, p := range trials {
		err := p.test()
		if kernelKnows(opcode) {
			require.NoError(t, err, opcode)
		} else {
			require.True(t, isUnsupported(err), err)
		}
	}
	require.NoError(t, testCancel())
}

// What the kernel refuses fails with the errno and as unsupported, whichever errno
// that is, and nothing else does.
func TestErrorsOfRefusedOperations(t *testing.T) {
	skipUnsupported(t, Supported())
	for _, errno := range []unix.Errno{unix.EACCES, unix.EPERM, unix.EINVAL, unix.EOPNOTSUPP, unix.EBADF, unix.EAGAIN} {
		for _, no := range []bool{false, true} {
			o := &op{res: -int32(errno)}
			o.sqe.PrepNop()
			answer := error(nil)
			if no {
				answer = &unsupported{"nop", unavailable, nil}
			}
			old := trials[ring.OpNop].answer.Swap(&answer)
			err := o.err("nop")
			trials[ring.OpNop].answer.Store(old)
			require.ErrorIs(t, err, errno)
			require.Equal(t, no && errno != unix.EBADF && errno != unix.EAGAIN, isUnsupported(err), err)
			require.ErrorContains(t, err, "nop")
		}
	}
}

// As long as it is not certain that the operation is refused, the error is as the
// kernel gave it; and that is not remembered.
func TestDoubtAboutAnOperationIsNotRemembered(t *testing.T) {
	if !refuse.Child(t, refuse.NoOpcodes(ring.OpNop), refuse.Rlimit(unix.RLIMIT_NOFILE, 64)) {
		return
	}
	skipUnsupported(t, Supported())
	_, err := defaultGoroutineDriver()
	require.NoError(t, err)
	give := takeDescriptors(t, 0)
	err = Nop(context.Background())
	give()
	require.ErrorIs(t, err, unix.EACCES)
	require.NotErrorIs(t, err, errors.ErrUnsupported)
	err = Nop(context.Background())
	require.ErrorIs(t, err, unix.EACCES)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// Where the kernel refuses the timeout until the next attempt to cancel, that is
// made all the same.
func TestCancelIsRepeatedWithoutTimeouts(t *testing.T) {
	l, err := NewLoop(nil)
	skipUnsupported(t, err)
	require.NoError(t, err)
	over := make(chan struct{})
	read := func(ctx context.Context) {
		waitForNothing(ctx)
		close(over)
	}
	require.NoError(t, l.Go(context.Background(), read))
	refuseAgain := func(f *ringQueue) (done bool) {
		for _, p := range f.ops.slots {
			if o := p.op; o != nil && o.state == submitted {
				o.canceling, done = true, true
				f.dispatch(userData(o.id.as(kindAgain)), -int32(unix.EACCES), 0)
			}
		}
		return done
	}
	for done := false; !done; {
		OnLoop(t, l, func() { done = refuseAgain(&l.ringQueue) })
	}
	<-over
	require.NoError(t, l.Close(context.Background()))

	over = make(chan struct{})
	x := UseGoroutineDriver(t, 4, 8)
	go read(context.Background())
	x.AwaitSubmission(1)
	x.d.mu.Lock()
	require.True(t, refuseAgain(&x.d.ringQueue))
	x.d.mu.Unlock()
	<-over
}

// waitForNothing waits until it is canceled.
func waitForNothing(ctx context.Context) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err == nil {
		defer unix.Close(fd)
		Read(ctx, fd, make([]byte, 8), -1)
	}
}

// A write that is refused does not tell that the kernel attempts what is ready.
func TestRefusedWriteIsNoAttempt(t *testing.T) {
	if refuse.Child(t, refuse.NoOpcodes(ring.OpWrite)) {
		require.True(t, isUnsupported(testAttempts()))
	}
}

// Set-up needs no operation, but rings that can be entered.
func TestRingsThatCannotBeEntered(t *testing.T) {
	r, err := ring.Setup(1, nil)
	if err != nil {
		t.Skip(err) // then they cannot be made
	}
	defer r.Close()
	if refuse.Child(t, refuse.NoEnter(0, unix.EPERM)) {
		err := Supported()
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorIs(t, err, unix.EPERM)
		require.ErrorContains(t, err, "seccomp")
	}
}

// A poll that the kernel stops with EINVAL, as of a terminal that others read
// (TestReadersOfOneTerminal), is submitted again, but not without end, nor when it
// is to be canceled; nothing else is.
func TestPollThatWasWokenForNothing(t *testing.T) {
	const res = -int32(unix.EINVAL)
	var poll, canceled, read op
	poll.sqe.PrepPollAdd(0, unix.POLLIN)
	canceled.sqe, canceled.canceling = poll.sqe, true
	read.sqe.PrepRead(0, nil, 0)
	for range maxResubmit {
		require.True(t, poll.undone(res))
	}
	require.False(t, poll.undone(res))
	require.False(t, canceled.undone(res))
	require.True(t, canceled.cameToNothing(res))
	require.False(t, read.undone(res))
}

// What a context ended with is no answer of the kernel's, whatever it is.
func TestCauseIsNoAnswer(t *testing.T) {
	l, err := NewLoop(nil)
	skipUnsupported(t, err)
	require.NoError(t, err)
	waits := map[string]func(ctx context.Context) error{
		"sleep":      func(ctx context.Context) error { return Sleep(ctx, time.Hour) },
		"futex wait": func(ctx context.Context) error { return FutexWait(ctx, new(atomic.Uint32), 0) },
		"futex wake": func(ctx context.Context) error {
			_, err := FutexWake(ctx, new(atomic.Uint32), 1)
			return err
		},
	}
	for _, cause := range []error{unix.ETIME, unix.EAGAIN, &unsupported{"a cause", unavailable, unix.EINVAL}} {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		for name, wait := range waits {
			errs := make(chan error, 1)
			require.NoError(t, l.Go(context.Background(), func(own context.Context) {
				errs <- wait(wake.WithParker(ctx, TaskFrom(own)))
			}))
			if err := <-errs; name != "futex wait" || HaveFutex() == nil {
				require.ErrorIs(t, err, context.Canceled, name)
				require.ErrorIs(t, err, cause, name)
			}
		}
	}
	require.NoError(t, l.Close(context.Background()))
}

// What has another way goes it though there is no descriptor left for a trial; of
// them a close is what makes room again.
func TestFallbacksWithoutADescriptorToSpare(t *testing.T) {
	if !refuse.Child(t, refuse.NoOpcodes(ring.OpClose, ring.OpTimeout, ring.OpFutexWake), refuse.Rlimit(unix.RLIMIT_NOFILE, 64)) {
		return
	}
	l, err := NewLoop(nil)
	skipUnsupported(t, err)
	require.NoError(t, err)
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	give := takeDescriptors(t, 0)
	errs := make(chan error, 4)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		errs <- Sleep(ctx, time.Millisecond)
		_, err := FutexWake(ctx, new(atomic.Uint32), 1)
		errs <- err
		errs <- Close(ctx, fd)
		errs <- Close(ctx, fd)
	}))
	var got [4]error
	for i := range got {
		got[i] = <-errs
	}
	give()
	for i, want := range []error{nil, nil, nil, unix.EBADF} {
		require.ErrorIs(t, got[i], want, i)
	}
	require.NoError(t, l.Close(context.Background()))
}

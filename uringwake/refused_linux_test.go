package uringwake_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/refuse"
)

// signals takes the signals to l by eventfd; the loop itself never reads them.
func signals(t testing.TB, l *uringwake.Loop) uint64 {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(l.EventFD()), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, 0)
		if err == unix.EINTR {
			continue
		}
		require.NoError(t, err)
		if n == 0 {
			return 0
		}
		return counter(t, l.EventFD())
	}
}

// messagedLoop is a loop that is signaled by messages, and sleeps. If they are
// spoiled the kernel refuses them.
func messagedLoop(t *testing.T, spoiled bool) *uringwake.Loop {
	t.Helper()
	l := newLoop(t, &uringwake.LoopOptions{Doorbell: uringwake.DoorbellMsgRing, SpinFor: -1})
	t.Cleanup(l.Signal) // however the test ended, or Close would wait for it
	if l.Doorbell() != uringwake.DoorbellMsgRing {
		t.Skip(uringwake.HaveMsgRing())
	}
	if spoiled {
		uringwake.OnLoop(t, l, l.SpoilMessage)
	}
	uringwake.AwaitSleep(l)
	signals(t, l)
	return l
}

// A message of one loop to another that the kernel refused falls back on the
// eventfd, whether the kernel took it at once or later; one that it sent does
// not.
func TestRefusedMessageOfALoopFallsBack(t *testing.T) {
	for name, c := range map[string]struct{ spoiled, later bool }{
		"sent": {false, false}, "sent later": {false, true}, "refused": {true, false}, "refused later": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newLoop(t, nil), messagedLoop(t, c.spoiled)
			uringwake.OnLoop(t, a, func() {
				claim(b)
				signalers := uint64(0) // the kernel has the ring itself
				if c.later {
					a.Starve()
					signalers = 1
				}
				b.SignalFrom(a)
				assert.Equal(t, signalers, b.Signalers())
			})
			inFlight(t, a, 0)
			var want uint64
			if c.spoiled {
				want = 1
			}
			require.Equal(t, want, signals(t, b))
			require.Zero(t, b.Signalers())
			uringwake.OnLoop(t, b, func() {}) // it is awake, or goes to sleep anew
		})
	}
}

// So does a goroutine's.
func TestRefusedMessageOfAGoroutineFallsBack(t *testing.T) {
	for name, spoiled := range map[string]bool{"sent": false, "refused": true} {
		t.Run(name, func(t *testing.T) {
			l := messagedLoop(t, spoiled)
			if err := uringwake.HaveSendMsgRing(); err != nil {
				t.Skip(err)
			}
			l.Signal()
			var want uint64
			if spoiled {
				want = 1
			}
			require.Equal(t, want, signals(t, l))
			for range 100 {
				uringwake.AwaitSleep(l)
				uringwake.OnLoop(t, l, func() {})
			}
		})
	}
}

// A refusal that is seen when the loop has closed signals no loop: the eventfd's
// number may be another file's.
func TestRefusedMessageToALoopThatHasClosed(t *testing.T) {
	a, b := newLoop(t, nil), messagedLoop(t, true)
	var others []int
	uringwake.OnLoop(t, a, func() {
		fd := b.EventFD()
		claim(b)
		b.SignalFrom(a)
		b.Signal() // of another waker
		assert.NoError(t, b.Close(context.Background()))
		others = numbers(t, fd)
	}) // it has not looked at its ring since
	inFlight(t, a, 0)
	require.Empty(t, written(t, others))
	require.Zero(t, b.Signalers())
}

// A closed loop's Stats are what it has done, to the end.
func TestStatsAfterClose(t *testing.T) {
	const posts, tasks, ops = 5, 3, 4
	l := bareLoop(t, &uringwake.LoopOptions{SpinFor: -1})
	for range posts {
		require.NoError(t, l.Post(func() {}))
	}
	var left sync.WaitGroup
	left.Add(tasks)
	for range tasks {
		require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			defer left.Done()
			for range ops {
				assert.NoError(t, uringwake.Nop(ctx))
			}
		}))
	}
	left.Wait()
	require.NoError(t, l.Close(context.Background()))
	s := l.Stats()
	require.Equal(t, l.Now(), s)
	require.Zero(t, s.Tasks)
	require.Zero(t, s.InFlight)
	require.Zero(t, s.Spins)
	require.Equal(t, uint64(posts+tasks+1), s.Mail, "Close's own among it")
	require.Equal(t, uint64(tasks*(1+ops)), s.Resumes)
	require.GreaterOrEqual(t, s.Submitted, uint64(tasks*ops))
	require.GreaterOrEqual(t, s.Completed, uint64(tasks*ops))
	require.GreaterOrEqual(t, s.Turns, s.Sleeps)
	require.GreaterOrEqual(t, s.Enters, s.Sleeps)
	require.ErrorIs(t, l.Post(func() {}), uringwake.ErrClosed)
	require.ErrorIs(t, l.Go(context.Background(), func(context.Context) {}), uringwake.ErrClosed)
	require.NoError(t, l.Close(context.Background()))
	require.Equal(t, s, l.Stats(), "nothing is counted any more")
}

// Whatever is begun on an EventFD after Close touches no file: its number may be
// another one's.
func TestEventFDAfterClose(t *testing.T) { eachDriver(t, eventFDAfterClose) }

// The same where there is no io_uring.
func TestEventFDAfterCloseWithoutARing(t *testing.T) {
	if refuse.Child(t, refuse.NoRing(unix.ENOSYS)) {
		eventFDAfterClose(t, context.Background())
	}
}

func eventFDAfterClose(t *testing.T, ctx context.Context) {
	e, err := uringwake.NewEventFD()
	require.NoError(t, err)
	e.Wake() // a wake that was not taken
	require.NoError(t, e.Close())
	others := numbers(t, e.FD())
	e.Wake()
	_, err = e.Wait(ctx)
	require.ErrorIs(t, err, os.ErrClosed)
	over, cancel := context.WithCancelCause(ctx)
	cancel(errCause)
	_, err = e.Wait(over)
	require.ErrorIs(t, err, errCause)
	require.NotErrorIs(t, err, os.ErrClosed)
	require.NoError(t, e.Close())
	require.Empty(t, written(t, others))
}

// An EventFD whose last Wait has not returned is closed for all others already.
func TestEventFDWhileItCloses(t *testing.T) {
	newLoop(t, nil)
	e, err := uringwake.NewEventFD()
	require.NoError(t, err)
	fd, err := unix.FcntlInt(uintptr(e.FD()), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	closing(t, fd)
	parked, release, got := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := e.Wait(held{context.Background(), parked, release})
		got <- err
	}()
	<-parked // before it reads
	require.NoError(t, e.Close())
	_, err = e.Wait(context.Background())
	require.ErrorIs(t, err, os.ErrClosed)
	e.Wake()
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for err = unix.EINTR; err == unix.EINTR; {
		_, err = unix.Poll(p, 0)
	}
	require.NoError(t, err)
	require.Zero(t, p[0].Revents, "somebody wrote")
	close(release)
	require.ErrorIs(t, <-got, os.ErrClosed)
}

// held is a context whose user waits at the first look at it.
type held struct {
	context.Context
	parked, release chan struct{}
}

func (h held) Done() <-chan struct{} {
	select {
	case <-h.parked:
	default:
		close(h.parked)
	}
	<-h.release
	return nil
}

// A MsgRing that is closed sends nothing, and it is no failure.
func TestMsgRingAfterClose(t *testing.T) {
	got := make(chan uint64, 2)
	l := newLoop(t, &uringwake.LoopOptions{OnMessage: func(u uint64, _ int32) { got <- u }})
	if err := uringwake.HaveMsgRing(); err != nil {
		t.Skip(err)
	}
	m, err := uringwake.NewMsgRing(l.FD(), 1, 0)
	require.NoError(t, err)
	last, err := uringwake.NewMsgRing(l.FD(), 2, 0)
	require.NoError(t, err)
	require.NoError(t, m.Close())
	m.Wake()
	require.NoError(t, m.Close())
	require.NoError(t, m.Err())
	last.Wake()
	require.Equal(t, uint64(2), <-got)
	require.NoError(t, last.Close())
}

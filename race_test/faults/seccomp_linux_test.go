package faults_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

func init() {
	roles["without rings"] = withoutRings
	roles["no more rings"] = noMoreRings
	roles["no more registrations"] = noMoreRegistrations
	for who := range lateEnters {
		roles["no more enters: "+who] = func(t require.TestingT, parent line) { noMoreEnters(t, parent, who) }
	}
}

// TestFilterLeavesAllElseAtWork checks that where a filter refuses io_uring
// everything else works under load, and that uringwake returns the reason for the
// refusal.
func TestFilterLeavesAllElseAtWork(t *testing.T) {
	needRings(t) // otherwise there is another reason
	for _, errno := range []unix.Errno{unix.EPERM, unix.ENOSYS} {
		t.Run(errno.Error(), func(t *testing.T) {
			nothingLeft(t)
			c := start(t, "without rings").needFilters()
			c.say(t, int(errno))
			c.say(t, few(20_000))
			word, _, err := c.hear()
			c.ends()
			require.NoError(t, err)
			t.Log(word)
		})
	}
}

func withoutRings(t require.TestingT, parent line) {
	canFilter(t, parent)
	errno, n := unix.Errno(parent.number(t)), parent.number(t)
	refuse(t, errno, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER)
	l := open()
	_, loop := uringwake.NewLoop(nil)
	_, messages := uringwake.NewMsgRing(0, 0, 0)
	for _, err := range []error{loop, messages, uringwake.Supported(), uringwake.Nop(forever)} {
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.ErrorIs(t, err, errno)
		require.ErrorContains(t, err, "seccomp")
	}
	all := []counts{{"Take", n, handOver(t, n)}, {"Notify", n, notices(t, n)}, {"Group", n, zeros(t, n)},
		{"dedup", n - n%4, loads(t, n)}, {"eventfd", n, countedByGoroutine(t, n)}}
	equal(t, all)
	parent.say(t, show(all))
	l.check(t)
}

// handOver runs goroutines that take what others store.
func handOver(t require.TestingT, n int) int {
	var m waitmap.Map[int, int]
	var done sync.WaitGroup
	var got atomic.Int64
	for w := range 4 {
		done.Go(func() {
			for i := w; i < n; i += 4 {
				v, err := m.Take(forever, i)
				assert.NoError(t, err)
				assert.Equal(t, i, v)
				got.Add(1)
			}
		})
		done.Go(func() {
			for i := w; i < n; i += 4 {
				m.Store(i, i)
			}
		})
	}
	done.Wait()
	assert.Zero(t, m.Len())
	return int(got.Load())
}

// notices runs two goroutines that wake each other.
func notices(t require.TestingT, n int) int {
	var ping, pong notify.Notify
	var done sync.WaitGroup
	got := 0
	done.Go(func() {
		for range n {
			assert.NoError(t, ping.Wait(forever))
			got++
			pong.NotifyOne()
		}
	})
	for range n {
		ping.NotifyOne()
		assert.NoError(t, pong.Wait(forever))
	}
	done.Wait()
	return got
}

// zeros waits for a group that counts up and down.
func zeros(t require.TestingT, n int) (got int) {
	var g waitgroup.Group
	for range n {
		g.Add(1)
		go g.Done()
		assert.NoError(t, g.Wait(forever))
		got++
	}
	return got
}

// loads runs four goroutines that share loads.
func loads(t require.TestingT, n int) int {
	var g dedup.Group[int, int]
	var done sync.WaitGroup
	var got atomic.Int64
	for range 4 {
		done.Go(func() {
			for i := range n / 4 {
				v, _, err := g.Do(forever, i, func(context.Context) (int, error) { return i, nil })
				assert.NoError(t, err)
				assert.Equal(t, i, v)
				got.Add(1)
			}
		})
	}
	done.Wait()
	return int(got.Load())
}

func countedByGoroutine(t require.TestingT, n int) (got int) {
	e, err := uringwake.NewEventFD()
	require.NoError(t, err)
	defer e.Close()
	var done sync.WaitGroup
	done.Go(func() {
		for range n {
			e.Wake()
		}
	})
	for got < n {
		some, err := e.Wait(forever)
		assert.NoError(t, err)
		got += int(some)
	}
	done.Wait()
	return got
}

// The tests below install a filter that refuses one of the three system calls after
// loops have started.

// inUse is what a child has in use when the filter is installed.
type inUse struct {
	loops   []*uringwake.Loop // one with each doorbell
	message *uringwake.MsgRing
	got     atomic.Int64 // its received messages
}

func use(t require.TestingT, parent line) *inUse {
	u := new(inUse)
	for _, d := range []uringwake.Doorbell{uringwake.DoorbellEventFD, uringwake.DoorbellMsgRing} {
		l, err := uringwake.NewLoop(&uringwake.LoopOptions{Doorbell: d, SpinFor: -1,
			OnMessage: func(uint64, int32) { u.got.Add(1) }})
		require.NoError(t, err)
		u.loops = append(u.loops, l)
	}
	if uringwake.HaveMsgRing() == nil {
		var err error
		u.message, err = uringwake.NewMsgRing(u.loops[0].FD(), 1, 0)
		require.NoError(t, err)
		u.message.Wake()
	}
	u.work(t, parent, "before")
	return u
}

func (u *inUse) work(t require.TestingT, parent line, when string) {
	for _, l := range u.loops {
		parent.say(t, fmt.Sprintf("%s, doorbell %d: %s", when, l.Doorbell(), show(traffic(t, l, 200))))
	}
}

func (u *inUse) close(t require.TestingT) {
	for _, l := range u.loops {
		require.NoError(t, l.Close(forever))
	}
	if u.message != nil {
		require.NoError(t, u.message.Close())
	}
}

// late runs a child and logs what it reports until it ends.
func late(t *testing.T, role string) {
	t.Helper()
	needRings(t)
	nothingLeft(t)
	c := start(t, role).needFilters()
	c.say(t, "go")
	for {
		word, _, err := c.hear()
		if err != nil {
			break
		}
		t.Log(word)
	}
	c.ends()
}

// filtered is the role of the child: it works, installs the filter, continues to
// work, and leaves nothing behind.
func filtered(t require.TestingT, parent line, call uint32, after func(u *inUse)) {
	canFilter(t, parent)
	parent.expect(t, "go")
	require.NoError(t, uringwake.Nop(forever))
	l := open()
	u := use(t, parent)
	refuse(t, unix.EPERM, call)
	u.work(t, parent, "after")
	after(u)
	u.close(t)
	l.check(t)
}

// TestNoMoreRings checks that loops continue to work and that new rings are refused
// with a reason.
func TestNoMoreRings(t *testing.T) { late(t, "no more rings") }

func noMoreRings(t require.TestingT, parent line) {
	filtered(t, parent, unix.SYS_IO_URING_SETUP, func(*inUse) {
		_, loop := uringwake.NewLoop(nil)
		_, def := uringwake.Default()
		for _, err := range []error{loop, def} {
			require.ErrorIs(t, err, errors.ErrUnsupported)
			require.ErrorIs(t, err, unix.EPERM)
			require.ErrorContains(t, err, "seccomp")
		}
		_, err := ring.Setup(1, nil)
		require.ErrorIs(t, err, errors.ErrUnsupported)
	})
}

// TestNoMoreRegistrations checks that doorbells that were messages become eventfds,
// that a MsgRing reports that it cannot send, and that new loops work.
func TestNoMoreRegistrations(t *testing.T) { late(t, "no more registrations") }

func noMoreRegistrations(t require.TestingT, parent line) {
	filtered(t, parent, unix.SYS_IO_URING_REGISTER, func(u *inUse) {
		if uringwake.HaveSendMsgRing() == nil {
			sent := u.got.Load()
			u.message.Wake()
			require.ErrorIs(t, u.message.Err(), unix.EPERM)
			require.Equal(t, sent, u.got.Load())
		}
		l, err := uringwake.NewLoop(nil)
		require.NoError(t, err)
		traffic(t, l, 100)
		require.NoError(t, l.Close(forever))
	})
}

// lateEnters are the first callers of io_uring_enter after it was refused.
var lateEnters = map[string]func(l *uringwake.Loop) error{
	"a goroutine's operation": func(*uringwake.Loop) error { return uringwake.Nop(forever) },
	"a wake": func(l *uringwake.Loop) error {
		done := make(chan error)
		if err := l.Post(func() {}); err != nil {
			return err
		}
		l.Go(forever, func(ctx context.Context) { done <- uringwake.Nop(ctx) })
		return <-done
	},
}

// TestNoMoreEnters checks that the program ends with the reason, and does not hang,
// if the kernel no longer serves a ring: the ring has memory of the program that
// cannot be got back.
func TestNoMoreEnters(t *testing.T) {
	for who := range lateEnters {
		for _, errno := range []unix.Errno{unix.EPERM, unix.ENOSYS} {
			t.Run(who+", "+strconv.Itoa(int(errno)), func(t *testing.T) {
				needRings(t)
				nothingLeft(t)
				c := start(t, "no more enters: "+who).needFilters()
				c.say(t, int(errno))
				_, _, err := c.hear()
				require.ErrorIs(t, err, errHungUp)
				require.Error(t, c.cmd.Wait())
				require.Equal(t, 2, c.cmd.ProcessState.ExitCode(), "not a panic")
				require.Contains(t, c.stderr.String(), "panic: ")
				require.Contains(t, c.stderr.String(), "io_uring_enter: "+errno.Error())
			})
		}
	}
}

func noMoreEnters(t require.TestingT, parent line, who string) {
	canFilter(t, parent)
	errno := unix.Errno(parent.number(t))
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{SpinFor: -1})
	require.NoError(t, err)
	traffic(t, l, 100)
	refuse(t, errno, unix.SYS_IO_URING_ENTER)
	parent.say(t, fmt.Sprint("went on: ", lateEnters[who](l)))
}

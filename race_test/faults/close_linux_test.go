package faults_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// A victim is closed while wakers wake it.
type victim struct {
	wakers []wake.Waker
	fail   []func() error // what must fail after it was closed
	close  func() error
	free   func() error // closes wakers that outlive it
}

// victims are all that wakers can wake.
var victims = map[string]func(t *testing.T) *victim{
	"plain ring":               func(t *testing.T) *victim { return ringVictim(t, nil, false) },
	"deferred ring":            func(t *testing.T) *victim { return ringVictim(t, &deferred, false) },
	"ring whose thread exited": func(t *testing.T) *victim { return ringVictim(t, &deferred, true) },
	"loop, eventfd":            func(t *testing.T) *victim { return loopVictim(t, uringwake.DoorbellEventFD) },
	"loop, messages":           func(t *testing.T) *victim { return loopVictim(t, uringwake.DoorbellMsgRing) },
	"EventFD":                  eventFDVictim,
}

var deferred = ring.Params{Flags: ring.SetupSingleIssuer | ring.SetupDeferTaskrun}

// ringVictim is a ring of a user without our loops, on a thread of its own. The
// thread may exit long before the ring is closed.
func ringVictim(t *testing.T, p *ring.Params, exits bool) *victim {
	needMessages(t)
	if p != nil {
		params := *p
		p = &params
	}
	made, over, closed := make(chan *ring.Ring), make(chan struct{}), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		r, err := ring.Setup(4, p)
		if err != nil {
			closed <- err
		}
		made <- r
		if exits || r == nil {
			return // the thread is locked and ends with the goroutine
		}
		defer runtime.UnlockOSThread()
		<-over
		closed <- r.Close()
	}()
	r := <-made
	if r == nil {
		t.Skip(<-closed)
	}
	v := messagesTo(t, r.FD())
	v.close = func() error { close(over); return <-closed }
	if exits {
		v.close = r.Close
	}
	return v
}

// messagesTo has several wakers into a ring.
func messagesTo(t *testing.T, fd int) *victim {
	v := new(victim)
	var all []*uringwake.MsgRing
	for i := range uint64(3) {
		m, err := uringwake.NewMsgRing(fd, i, 0)
		require.NoError(t, err)
		all = append(all, m)
		v.wakers = append(v.wakers, m)
	}
	v.free = func() (err error) {
		for _, m := range all {
			err = errors.Join(err, m.Err(), m.Close())
		}
		return err
	}
	return v
}

func loopVictim(t *testing.T, d uringwake.Doorbell) *victim {
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{Doorbell: d, SpinFor: -1})
	require.NoError(t, err)
	v := &victim{free: func() error { return nil }}
	if uringwake.HaveMsgRing() == nil {
		v = messagesTo(t, l.FD())
	}
	self := make(chan *uringwake.Task, 1)
	require.NoError(t, l.Go(forever, func(ctx context.Context) {
		self <- uringwake.TaskFrom(ctx)
		for ctx.Err() == nil {
			uringwake.TaskFrom(ctx).Park(ctx)
		}
	}))
	v.wakers = append(v.wakers, <-self, wake.Func(func() { l.Post(func() {}) }))
	v.fail = []func() error{
		func() error { return l.Post(func() {}) },
		func() error { return l.Go(forever, func(context.Context) {}) },
	}
	v.close = func() error { return l.Close(forever) }
	return v
}

func eventFDVictim(t *testing.T) *victim {
	e, err := uringwake.NewEventFD()
	require.NoError(t, err)
	return &victim{wakers: []wake.Waker{e}, close: e.Close, free: e.Close,
		fail: []func() error{func() error { _, err := e.Wait(forever); return err }}}
}

// TestCloseUnderWakers checks that wakers do no harm to what closes while they
// wake, nor to the new owners of its descriptors' numbers: eventfds and rings that
// no one else knows of.
func TestCloseUnderWakers(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(victims)) {
		t.Run(name, func(t *testing.T) {
			needRings(t)
			nothingLeft(t)
			from := newLoop(t, nil)
			var before, after int64
			rounds := few(100)
			for i := range rounds {
				stop := schedpoint.Shake(uint64(i), true)
				b, a := closeUnderWakers(t, from, victims[name](t), i%2 == 0)
				before, after = before+b, after+a
				stop()
			}
			t.Logf("%d rounds, wakes sent: %d before the end, %d since, 0 of them to others", rounds, before, after)
		})
	}
}

// closeUnderWakers closes v while a goroutine and a task wake, and others take the
// numbers of its descriptors. It returns how many wakes were sent before and since.
func closeUnderWakers(t *testing.T, from *uringwake.Loop, v *victim, ringsFirst bool) (before, since int64) {
	t.Helper()
	var sent atomic.Int64
	var over atomic.Bool
	send := func() {
		for !over.Load() {
			for _, w := range v.wakers {
				w.Wake()
				sent.Add(1)
			}
			runtime.Gosched()
		}
	}
	atLeast := func(n int64) {
		for sent.Load() < n {
			runtime.Gosched()
		}
	}
	var all sync.WaitGroup
	all.Go(send)
	fromTask := task(t, from, func(context.Context) int { send(); return 0 })
	atLeast(50)
	before = sent.Load()
	require.NoError(t, v.close())
	b := newBystanders(t, ringsFirst)
	since = sent.Load()
	atLeast(since + 100)
	over.Store(true)
	all.Wait()
	fromTask()
	for i, call := range v.fail {
		assert.Error(t, call(), "call %d", i)
	}
	require.NoError(t, v.free())
	since = sent.Load() - since
	for _, w := range v.wakers {
		w.Wake() // has no target any more
	}
	b.untouched(t)
	return before, since
}

// bystanders have the descriptor numbers of what was closed.
type bystanders struct {
	events []int
	rings  []*ring.Ring
}

func newBystanders(t *testing.T, ringsFirst bool) *bystanders {
	b := new(bystanders)
	for i := range 8 {
		if i < 4 == ringsFirst {
			r, err := ring.Setup(1, nil)
			require.NoError(t, err)
			b.rings = append(b.rings, r)
			continue
		}
		for range 8 {
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
			require.NoError(t, err)
			b.events = append(b.events, fd)
		}
	}
	return b
}

// untouched checks that nothing was written to them, and closes them.
func (b *bystanders) untouched(t *testing.T) {
	t.Helper()
	for _, fd := range b.events {
		_, err := unix.Read(fd, make([]byte, 8))
		assert.ErrorIs(t, err, unix.EAGAIN, "eventfd %d was written to", fd)
		closeAll(fd)
	}
	for _, r := range b.rings {
		assert.NoError(t, r.CQ().GetEvents())
		assert.Nil(t, r.CQ().Peek(), "ring %d has a message", r.FD())
		assert.NoError(t, r.Close())
	}
}

// TestWakerIntoWhatTakesNoMessages checks that a waker into a ring that does not
// accept messages yet, or is closed, reports that, and that no other wake is lost.
func TestWakerIntoWhatTakesNoMessages(t *testing.T) {
	needRings(t)
	needMessages(t)
	nothingLeft(t)
	disabled, err := ring.Setup(1, &ring.Params{Flags: ring.SetupRDisabled})
	require.NoError(t, err)
	m, err := uringwake.NewMsgRing(disabled.FD(), 1, 0)
	require.NoError(t, err)
	sent := few(1000)
	for range sent {
		m.Wake()
	}
	require.ErrorIs(t, awaitErr(m), unix.EBADFD)
	require.NoError(t, disabled.Registrar().EnableRings())
	require.NoError(t, disabled.CQ().GetEvents())
	require.Nil(t, disabled.CQ().Peek(), "a wake that failed has come")
	m.Wake()
	for disabled.CQ().Peek() == nil {
		require.NoError(t, disabled.CQ().GetEvents())
	}
	require.Equal(t, uint64(1), disabled.CQ().Peek().UserData)
	number := disabled.FD()
	require.NoError(t, errors.Join(m.Close(), disabled.Close()))
	_, err = uringwake.NewMsgRing(number, 1, 0)
	require.ErrorIs(t, err, unix.EBADF)
	t.Log(fmt.Sprint(sent, " wakes refused, 1 received"))
}

// awaitErr waits for the failure of a wake. A wake through the ring of the
// goroutine driver is reported a little later.
func awaitErr(m *uringwake.MsgRing) error {
	for m.Err() == nil {
		runtime.Gosched()
	}
	return m.Err()
}

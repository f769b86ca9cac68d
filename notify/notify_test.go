package notify_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

func TestPermit(t *testing.T) {
	keepers := map[string]func(*notify.Notify){
		"NotifyOne":  (*notify.Notify).NotifyOne,
		"NotifyLast": (*notify.Notify).NotifyLast,
	}
	for name, keep := range keepers {
		t.Run(name, func(t *testing.T) {
			var n notify.Notify
			requireIdle(t, &n)
			keep(&n)
			keep(&n) // two are one
			require.NoError(t, n.Wait(bg))
			requireIdle(t, &n)
			keep(&n)
			require.True(t, n.TryWait())
			requireIdle(t, &n)
		})
	}
}

func TestKeepsNothing(t *testing.T) {
	var n notify.Notify
	require.Zero(t, n.NotifyWaiters())
	require.Zero(t, n.NotifyN(3))
	requireIdle(t, &n)
	n.NotifyOne()
	require.Zero(t, n.NotifyWaiters(), "the line is empty")
	require.Zero(t, n.NotifyN(1))
	require.True(t, n.TryWait(), "the kept permit is left alone")
}

// line puts k waiters in line, one after the other. Each sends its number when it is
// woken.
func line(t *testing.T, n *notify.Notify, k int) <-chan int {
	t.Helper()
	woken := make(chan int, k)
	for i := range k {
		go func() {
			if n.Wait(bg) == nil {
				woken <- i
			}
		}()
		synctest.Wait()
		require.Equal(t, i+1, n.Waiters())
	}
	return woken
}

// drain returns the numbers of the waiters that have been woken.
func drain(woken <-chan int) (numbers []int) {
	synctest.Wait()
	for {
		select {
		case i := <-woken:
			numbers = append(numbers, i)
		default:
			return numbers
		}
	}
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		woken := line(t, &n, 7)
		n.NotifyOne()
		require.Equal(t, []int{0}, drain(woken))
		n.NotifyLast()
		require.Equal(t, []int{6}, drain(woken))
		require.Zero(t, n.NotifyN(0))
		require.Empty(t, drain(woken))
		require.Equal(t, 2, n.NotifyN(2))
		require.ElementsMatch(t, []int{1, 2}, drain(woken))
		require.Equal(t, 3, n.Waiters())
		require.Equal(t, 3, n.NotifyWaiters())
		require.ElementsMatch(t, []int{3, 4, 5}, drain(woken))
		requireIdle(t, &n)
	})
}

func TestNotifyNMoreThanThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		woken := line(t, &n, 2)
		require.Equal(t, 2, n.NotifyN(5))
		require.Len(t, drain(woken), 2)
		requireIdle(t, &n)
	})
}

func TestMisuse(t *testing.T) {
	var n notify.Notify
	l := n.Listen()
	defer l.Stop()
	require.Equal(t, "notify: NotifyN of a negative number", panicText(t, func() { n.NotifyN(-1) }))
	require.Equal(t, "notify: nil context", panicText(t, func() { n.Wait(nilCtx) }))
	require.Equal(t, "notify: nil context", panicText(t, func() { l.Wait(nilCtx) }))
	require.Equal(t, 1, n.Waiters(), "nothing stays locked or leaves the line")
}

func TestWaitError(t *testing.T) {
	cause := errors.New("out of patience")
	synctest.Test(t, func(t *testing.T) {
		var n notify.Notify
		ctx, cancel := context.WithCancelCause(bg)
		wait := async(func() error { return n.Wait(ctx) })
		other := async(func() error { return n.Wait(bg) })
		synctest.Wait()
		cancel(cause)
		err := <-wait
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
		require.Equal(t, 1, n.Waiters())
		n.NotifyOne()
		require.NoError(t, <-other, "the wake is not lost on a waiter that left")
		requireIdle(t, &n)
	})
}

// A brokenParker fails, as that of a loop that was closed.
type brokenParker struct{}

var errClosedLoop = errors.New("loop closed")

func (brokenParker) Wake()                      {}
func (brokenParker) Park(context.Context) error { return errClosedLoop }

func TestWaitSleepsByTheContextsParker(t *testing.T) {
	var n notify.Notify
	ctx := wake.WithParker(bg, brokenParker{})
	require.Equal(t, errClosedLoop, n.Wait(ctx))
	l := n.Listen()
	require.Equal(t, errClosedLoop, l.Wait(ctx))
	require.True(t, l.Stop(), "still in line")
	requireIdle(t, &n)
}

// restless is woken without cause before each sleep.
type restless struct{ wake.Parker }

func (p restless) Park(ctx context.Context) error {
	p.Wake()
	p.Parker.Park(ctx)
	return p.Parker.Park(ctx)
}

// idler returns from the first three sleeps at once.
type idler struct {
	wake.Parker
	n int
}

func (p *idler) Park(ctx context.Context) error {
	if p.n++; p.n <= 3 {
		return nil
	}
	return p.Parker.Park(ctx)
}

// TestSpuriousPermits: a parker may return without a wake.
func TestSpuriousPermits(t *testing.T) {
	for _, p := range []func() wake.Parker{
		func() wake.Parker { return restless{wake.NewParker()} },
		func() wake.Parker { return &idler{Parker: wake.NewParker()} },
	} {
		synctest.Test(t, func(t *testing.T) {
			var n notify.Notify
			l := n.Listen()
			a := async(func() error { return n.Wait(wake.WithParker(bg, p())) })
			b := async(func() error { return l.Wait(wake.WithParker(bg, p())) })
			synctest.Wait()
			requirePending(t, a)
			requirePending(t, b)
			require.Equal(t, 2, n.NotifyWaiters())
			require.NoError(t, <-a)
			require.NoError(t, <-b)
		})
	}
}

// TestWakersRunUnlocked: a waker may call all methods of the Notify that calls it, and if
// one panics, the others are called all the same.
func TestWakersRunUnlocked(t *testing.T) {
	var n notify.Notify
	calls := 0
	again := wake.Func(func() {
		calls++
		n.NotifyOne()
		n.Register(nil).Stop()
		n.Waiters()
	})
	for range 3 {
		n.Register(again)
	}
	n.NotifyOne() // each wakes the next; the last keeps a permit, which is taken and handed on
	require.Equal(t, 3, calls)
	require.True(t, n.TryWait())

	angry := n.Register(wake.Func(func() { panic("angry") }))
	calm := n.Listen()
	require.Equal(t, "angry", panicText(t, func() { n.NotifyWaiters() }))
	require.True(t, angry.Ready())
	require.True(t, calm.Ready())
}

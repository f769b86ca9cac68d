package notify_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// A lateParker returns from Park only after the gate is open. Until then a Select that
// was woken is in line for its other cases.
type lateParker struct {
	wake.Parker
	gate chan struct{}
}

func (p lateParker) Park(ctx context.Context) error {
	err := p.Parker.Park(ctx)
	<-p.gate
	return err
}

// selecting starts a Select in a bubble, and returns when it is in line. Its result
// arrives on chosen after open was called.
func selecting(ctx context.Context, cases ...wake.Case) (chosen <-chan int, open func()) {
	c := make(chan int, 1)
	p := lateParker{wake.NewParker(), make(chan struct{})}
	go func() {
		i, _ := await.Select(wake.WithParker(ctx, p), cases...)
		c <- i
	}()
	synctest.Wait()
	return c, func() { close(p.gate) }
}

// TestSelectTakesOneOfTwoPermits: the first one, and the other stays.
func TestSelectTakesOneOfTwoPermits(t *testing.T) {
	var a, b notify.Notify
	a.NotifyOne()
	b.NotifyOne()
	i, err := await.Select(bg, a.OnNotify(), b.OnNotify())
	require.NoError(t, err)
	require.Zero(t, i)
	require.False(t, a.TryWait())
	require.True(t, b.TryWait())

	b.NotifyOne()
	i, err = await.Select(bg, a.OnNotify(), b.OnNotify())
	require.NoError(t, err)
	require.Equal(t, 1, i)
	requireIdle(t, &b)
}

// TestSelectIsPickedOnce: of two Notifies that pick it, the first one wakes it, and the
// other one's wake is kept.
func TestSelectIsPickedOnce(t *testing.T) {
	for _, pick := range []func(*notify.Notify){(*notify.Notify).NotifyOne, (*notify.Notify).NotifyLast} {
		for first := range 2 {
			synctest.Test(t, func(t *testing.T) {
				var n [2]notify.Notify
				chosen, open := selecting(bg, n[0].OnNotify(), n[1].OnNotify())
				require.Equal(t, 1, n[0].Waiters())
				require.Equal(t, 1, n[1].Waiters())
				pick(&n[first])
				pick(&n[1-first])
				open()
				require.Equal(t, first, <-chosen)
				require.False(t, n[first].TryWait(), "one wake, taken twice")
				require.True(t, n[1-first].TryWait(), "the wake is gone")
				requireIdle(t, &n[0])
				requireIdle(t, &n[1])
			})
		}
	}
}

// TestSelectThatAnotherCaseHasWonIsPassedOver: a wake goes to the next in line, from
// either end, and a permit is kept if there is none.
func TestSelectThatAnotherCaseHasWonIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b notify.Notify
		first, openFirst := selecting(bg, a.OnNotify(), b.OnNotify())
		middle := async(func() error { return b.Wait(bg) })
		synctest.Wait()
		last, openLast := selecting(bg, a.OnNotify(), b.OnNotify())
		require.Equal(t, 2, a.NotifyWaiters())

		b.NotifyOne()
		require.NoError(t, <-middle)
		require.False(t, b.TryWait())
		middle = async(func() error { return b.Wait(bg) })
		synctest.Wait()
		require.Equal(t, 2, b.Waiters(), "the last of the Selects is in line")
		b.NotifyLast()
		require.NoError(t, <-middle)
		b.NotifyLast()
		require.True(t, b.TryWait())

		openFirst()
		openLast()
		require.Zero(t, <-first)
		require.Zero(t, <-last)
		requireIdle(t, &a)
		requireIdle(t, &b)
	})
}

// TestSelectsThatArePassedOverDoNotCount in what NotifyN and NotifyWaiters return.
func TestSelectsThatArePassedOverDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b, none notify.Notify
		won, openWon := selecting(bg, a.OnNotify(), b.OnNotify())
		waits := []<-chan error{async(func() error { return b.Wait(bg) })}
		synctest.Wait()
		lines, openLines := selecting(bg, none.OnNotify(), b.OnNotify())
		waits = append(waits, async(func() error { return b.Wait(bg) }))
		l := b.Listen()
		synctest.Wait()
		a.NotifyOne()

		require.Equal(t, 5, b.Waiters())
		require.Equal(t, 2, b.NotifyN(2))
		require.NoError(t, <-waits[0])
		requirePending(t, waits[1])
		require.Equal(t, 2, b.NotifyWaiters())
		require.NoError(t, <-waits[1])
		require.True(t, l.Ready())
		require.Zero(t, b.NotifyWaiters())

		openWon()
		openLines()
		require.Zero(t, <-won)
		require.Equal(t, 1, <-lines)
		requireIdle(t, &b)
		requireIdle(t, &none)
	})
}

// TestOnlySelectsThatAnotherCaseHasWonAreInLine: no waiter is woken, and the line is empty.
func TestOnlySelectsThatAnotherCaseHasWonAreInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, notify1 := range []func(*notify.Notify) int{
			func(n *notify.Notify) int { return n.NotifyN(1) },
			(*notify.Notify).NotifyWaiters,
		} {
			var a, b notify.Notify
			chosen, open := selecting(bg, a.OnNotify(), b.OnNotify())
			a.NotifyOne()
			require.Equal(t, 1, b.Waiters())
			require.Zero(t, notify1(&b))
			requireIdle(t, &b)
			b.NotifyOne()
			require.True(t, b.TryWait(), "the line was empty")
			open()
			require.Zero(t, <-chosen)
			requireIdle(t, &b)
		}
	})
}

// TestCanceledSelectAtTheHeadOfTheLine holds up no other waiter.
func TestCanceledSelectAtTheHeadOfTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b notify.Notify
		ctx, cancel := context.WithCancel(bg)
		chosen := make(chan error, 1)
		go func() {
			i, err := await.Select(ctx, a.OnNotify(), b.OnNotify())
			require.Equal(t, -1, i)
			chosen <- err
		}()
		synctest.Wait()
		wait := async(func() error { return b.Wait(bg) })
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-chosen, context.Canceled)
		require.Equal(t, 1, b.Waiters())
		b.NotifyOne()
		require.NoError(t, <-wait)
		requireIdle(t, &a)
		requireIdle(t, &b)
	})
}

// TestSelectUnderADeadContextTakesNoPermit.
func TestSelectUnderADeadContextTakesNoPermit(t *testing.T) {
	var n notify.Notify
	n.NotifyOne()
	i, err := await.Select(doneCtx(), n.OnNotify())
	require.Equal(t, -1, i)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, n.TryWait())
}

// TestCaseIsUsedAgain after it was chosen, and after it was not.
func TestCaseIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n [2]notify.Notify
		cases := []wake.Case{n[0].OnNotify(), n[1].OnNotify()}
		for i := range 20 {
			want := i / 2 % 2
			if i%3 == 0 { // a permit
				n[want].NotifyOne()
			}
			chosen, open := selecting(bg, cases...)
			open()
			if i%3 != 0 {
				n[want].NotifyWaiters()
			}
			require.Equal(t, want, <-chosen)
			requireIdle(t, &n[0])
			requireIdle(t, &n[1])
		}
	})
}

// TestSelectAllocatesItsCases, and nothing more, also if it sleeps.
func TestSelectAllocatesItsCases(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector makes sync.Pool forget")
	}
	var a, b notify.Notify
	require.EqualValues(t, 1, testing.AllocsPerRun(1000, func() { a.OnNotify() }))

	var there, back notify.Notify
	stopped := false
	done := async(func() error {
		for !stopped {
			if err := there.Wait(bg); err != nil {
				return err
			}
			back.NotifyOne()
		}
		return nil
	})
	onBack, onB := back.OnNotify(), b.OnNotify()
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		there.NotifyOne()
		_, _ = await.Select(bg, onB, onBack)
	}))
	stopped = true
	there.NotifyOne()
	require.NoError(t, <-done)
}

package cluster_test

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

func newNotify(t *testing.T, b *cluster.Bucket, permits int) *cluster.Notify {
	n, err := cluster.NewNotify(b, &cluster.NotifyOptions{Permits: permits})
	require.NoError(t, err)
	return n
}

// notifies returns the Notifies of n machines.
func notifies(t *testing.T, n, permits int) (all []*cluster.Notify, machines []machine) {
	s := newSite(t)
	for range n {
		machines = append(machines, s.machine(t))
		all = append(all, newNotify(t, machines[len(machines)-1].Bucket, permits))
	}
	return all, machines
}

// startWaits starts waits on each of the machines, and returns when all of them wait.
func startWaits(t *testing.T, all []*cluster.Notify, each int) (returned chan error) {
	returned = make(chan error, len(all)*each)
	for _, n := range all {
		for range each {
			go func() { returned <- n.Wait(bg) }()
		}
		requireWaiters(t, n, each)
	}
	return returned
}

func requireWaiters(t *testing.T, n *cluster.Notify, want int) {
	t.Helper()
	require.Eventually(t, func() bool { return n.Waiters() == want }, time.Minute, time.Millisecond)
}

func waiters(all []*cluster.Notify) (sum int) {
	for _, n := range all {
		sum += n.Waiters()
	}
	return sum
}

func requireTryWait(t *testing.T, n *cluster.Notify, want bool) {
	t.Helper()
	taken, err := n.TryWait(bg)
	require.NoError(t, err)
	require.Equal(t, want, taken)
}

// TestNotifyOneWakesOne: each call wakes one waiter of all machines, also if they come together.
func TestNotifyOneWakesOne(t *testing.T) {
	t.Parallel()
	all, _ := notifies(t, 3, 0)
	returned := startWaits(t, all, 2)
	require.NoError(t, all[0].NotifyOne(bg))
	require.NoError(t, <-returned)
	requireTryWait(t, all[1], false) // and so it was taken once
	var calls sync.WaitGroup
	for i := range 4 {
		calls.Go(func() { assert.NoError(t, all[i%3].NotifyOne(bg)) })
	}
	calls.Wait()
	for range 4 {
		require.NoError(t, <-returned)
	}
	requireTryWait(t, all[2], false)
	require.Empty(t, returned)
	require.Equal(t, 1, waiters(all))
	require.NoError(t, all[1].NotifyOne(bg))
	require.NoError(t, <-returned)
}

// TestNotifyOneIsKept until somebody waits, on any machine.
func TestNotifyOneIsKept(t *testing.T) {
	t.Parallel()
	all, machines := notifies(t, 2, 3)
	for range 5 { // two of which share permits
		require.NoError(t, all[0].NotifyOne(bg))
	}
	require.NoError(t, machines[0].Close())
	require.NoError(t, all[1].Wait(bg))
	require.NoError(t, all[1].Wait(bg))
	requireTryWait(t, all[1], true)
	requireTryWait(t, all[1], false)
}

// TestNotifyOfDifferentNumbers: a process takes also permits that it would not leave.
func TestNotifyOfDifferentNumbers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	one, many := newNotify(t, s.machine(t).Bucket, 1), newNotify(t, s.machine(t).Bucket, 100)
	for range 10 {
		require.NoError(t, many.NotifyOne(bg))
	}
	for range 10 {
		require.NoError(t, one.Wait(bg))
	}
	requireTryWait(t, one, false)
}

// TestNotifyWaiters: it reaches all that wait, and no later one, and leaves permits alone.
func TestNotifyWaiters(t *testing.T) {
	t.Parallel()
	all, machines := notifies(t, 3, 0)
	for range 3 {
		returned := startWaits(t, all, 2)
		require.NoError(t, all[0].NotifyWaiters(bg))
		for range 6 {
			require.NoError(t, <-returned)
		}
	}
	for i, n := range all {
		require.NoError(t, machines[i].Sync(bg))
		requireTryWait(t, n, false)
	}
	require.NoError(t, all[0].NotifyOne(bg))
	require.NoError(t, all[1].NotifyWaiters(bg))
	requireTryWait(t, all[2], true)
}

// TestNotifyListen: what is called between Listen and Wait is not missed.
func TestNotifyListen(t *testing.T) {
	t.Parallel()
	all, machines := notifies(t, 2, 0)
	l := all[0].Listen()
	require.NoError(t, all[1].NotifyWaiters(bg))
	require.NoError(t, l.Wait(bg))
	require.NoError(t, l.Wait(bg))
	ctx, cancel := context.WithCancel(bg)
	later := start(func() (struct{}, error) { return struct{}{}, all[0].Listen().Wait(ctx) })
	requireWaiters(t, all[0], 1)
	require.NoError(t, machines[0].Sync(bg))
	cancel()
	require.ErrorIs(t, (<-later).err, context.Canceled)
}

// TestNotifyWaitersWhileCutOff: a machine sees the call later, also if it reads everything anew.
func TestNotifyWaitersWhileCutOff(t *testing.T) {
	for name, anew := range map[string]bool{"goes on": false, "reads anew": true} {
		synctest.Test(t, func(t *testing.T) {
			k, b := newKeeper(t)
			n := newNotify(t, b, 0)
			call := engine.Event{Kind: engine.Put, Key: "n\x00a", Revision: 5}
			again := func(revision uint64) {
				k.tell(engine.Event{Kind: engine.Reset, History: "1"}, call, synced(revision))
				require.NoError(t, b.Sync(bg))
			}
			k.tell(call)
			again(5)
			waits := start(func() (struct{}, error) { return struct{}{}, n.Wait(bg) })
			synctest.Wait()
			again(6)
			synctest.Wait()
			require.Empty(t, waits, name) // nobody has called
			call.Revision = 7
			if anew {
				again(7)
			} else {
				k.tell(call)
			}
			require.NoError(t, (<-waits).err, name)
		})
	}
}

// TestNotifyLine: a permit costs one write of each machine whose waiters want it.
func TestNotifyLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		n := newNotify(t, b, 0)
		returned := make(chan int, 3)
		for i := range 3 {
			go func() {
				assert.NoError(t, n.Wait(bg))
				returned <- i
			}()
			synctest.Wait()
		}
		require.Equal(t, 3, n.Waiters())
		for i := range 3 {
			require.NoError(t, n.NotifyOne(bg))
			require.Equal(t, i, <-returned)
			synctest.Wait()
			require.Equal(t, 2+2*i, k.writes)
		}
		require.Zero(t, n.Waiters())
		k.requireEmpty(t)
	})
}

// TestNotifyWaitThatMayHaveTakenAPermit says so.
func TestNotifyWaitThatMayHaveTakenAPermit(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			k, b := newKeeper(t)
			n := newNotify(t, b, 0)
			require.NoError(t, n.NotifyOne(bg))
			k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
				_, _ = k.apply(ctx, w)
				<-ctx.Done()
				return 0, &unknownError{ctx.Err()}
			}
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			waits := start(func() (struct{}, error) { return struct{}{}, n.Wait(ctx) })
			synctest.Wait()
			if closed {
				require.NoError(t, b.Close())
			} else {
				cancel()
			}
			err := (<-waits).err
			require.ErrorIs(t, err, cluster.ErrUnknown)
			if closed {
				require.ErrorIs(t, err, cluster.ErrClosed)
			} else {
				require.ErrorIs(t, err, context.Canceled)
			}
		})
	}
}

type unknownError struct{ error }

func (e *unknownError) Unwrap() []error { return []error{e.error, engine.ErrUnknown} }

func TestNotifyMisuse(t *testing.T) {
	t.Parallel()
	m := newSite(t).machine(t)
	n := newNotify(t, m.Bucket, 0)
	_, err := cluster.NewNotify(m.Bucket, nil)
	require.ErrorContains(t, err, `cluster: the Bucket has a Notify "" already`)
	for _, o := range []*cluster.NotifyOptions{{Permits: -1}, {Name: "\x00"}} {
		_, err := cluster.NewNotify(m.Bucket, o)
		require.ErrorContains(t, err, "cluster: the ")
	}
	for _, f := range []func(context.Context) error{
		n.NotifyOne, n.NotifyWaiters, n.Wait, n.Listen().Wait,
		func(ctx context.Context) error { _, err := n.TryWait(ctx); return err },
	} {
		require.PanicsWithValue(t, "cluster: nil context", func() { f(nil) })
		ctx, cancel := context.WithCancelCause(bg)
		cancel(io.EOF)
		err := f(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, io.EOF)
	}
	requireTryWait(t, n, false)
	first := start(func() (struct{}, error) { return struct{}{}, n.Wait(bg) })
	second := start(func() (struct{}, error) { return struct{}{}, n.Wait(bg) })
	requireWaiters(t, n, 2)
	require.NoError(t, m.Close())
	require.ErrorIs(t, (<-first).err, cluster.ErrClosed)
	require.ErrorIs(t, (<-second).err, cluster.ErrClosed)
	require.ErrorIs(t, n.Wait(bg), cluster.ErrClosed)
	require.ErrorIs(t, n.NotifyOne(bg), cluster.ErrClosed)
	require.ErrorIs(t, n.NotifyWaiters(bg), cluster.ErrClosed)
	_, err = n.TryWait(bg)
	require.ErrorIs(t, err, cluster.ErrClosed)
}

// TestNotifyUnderCuts: with machines that are cut off at any time, each call of NotifyOne wakes
// one waiter.
func TestNotifyUnderCuts(t *testing.T) {
	t.Parallel()
	const calls = 60
	all, machines := notifies(t, 3, calls)
	stop := make(chan struct{})
	var faults, callers, waits sync.WaitGroup
	faults.Go(func() { cutAll(machines, stop, func(int) {}) })
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	var woken atomic.Int64
	for i := range 6 {
		waits.Go(func() {
			for all[i%3].Wait(ctx) == nil {
				if woken.Add(1) == calls {
					cancel()
				}
			}
			assert.Error(t, ctx.Err())
		})
		callers.Go(func() {
			for range calls / 6 {
				assert.NoError(t, all[i%3].NotifyOne(bg))
			}
		})
	}
	callers.Wait()
	waits.Wait()
	close(stop)
	faults.Wait()
	require.EqualValues(t, calls, woken.Load())
	for _, n := range all {
		requireTryWait(t, n, false)
	}
}

// TestWakerOfTheNextWaitMisbehaves: a Wait that has taken a permit does not return, and the permit
// is left for the next one.
func TestWakerOfTheNextWaitMisbehaves(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		synctest.Test(t, func(t *testing.T) {
			k, b := newKeeper(t)
			n := newNotify(t, b, 0)
			returned := make(chan bool, 1)
			go func() {
				r, _ := misbehave.Outcome(func() error { return n.Wait(bg) })
				returned <- r
			}()
			synctest.Wait()
			next := start(func() (bool, error) { return true, n.Wait(wake.WithParker(bg, striking(strike))) })
			synctest.Wait()
			require.NoError(t, n.NotifyOne(bg))
			require.False(t, <-returned)
			require.Equal(t, result[bool]{v: true}, <-next)
			k.requireEmpty(t)
		})
	}
}

// TestParkerMisbehavesDuringAWait: its Wait does not return, and has not taken the permit for ever.
func TestParkerMisbehavesDuringAWait(t *testing.T) {
	for name, strike := range misbehave.Parks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, b := newKeeper(t)
				n := newNotify(t, b, 0)
				require.NoError(t, n.NotifyOne(bg))
				apply := make(chan struct{})
				k.write = func(_ context.Context, w engine.Write) (uint64, error) {
					<-apply
					return k.apply(bg, w)
				}
				p := misbehave.NewParker()
				p.Before = strike
				type end struct {
					returned bool
					err      error
				}
				ended := make(chan end, 1)
				go func() {
					r, err := misbehave.Outcome(func() error { return n.Wait(wake.WithParker(bg, p)) })
					ended <- end{r, err}
				}()
				synctest.Wait()
				close(apply)
				e := <-ended
				synctest.Wait()
				switch {
				case !e.returned:
					requireTryWait(t, n, true)
				case e.err != nil:
					require.ErrorIs(t, e.err, cluster.ErrUnknown)
				}
				requireTryWait(t, n, false)
			})
		})
	}
}

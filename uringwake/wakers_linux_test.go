package uringwake_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
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
	"github.com/vigil-go/vigil/waitgroup"
)

// Several goroutines and tasks wait for one EventFD, with contexts that end:
// every wake is taken by one of them, and Close ends them all.
func TestStormOnAnEventFD(t *testing.T) {
	l := newLoop(t, nil)
	for range 20 {
		e, err := uringwake.NewEventFD()
		require.NoError(t, err)
		var got atomic.Uint64
		var waiting, waking sync.WaitGroup
		waiter := func(ctx context.Context) {
			defer waiting.Done()
			for closed := false; !closed; {
				ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(2000))*time.Microsecond)
				n, err := e.Wait(ctx)
				cancel()
				got.Add(n)
				closed = errors.Is(err, os.ErrClosed)
				assert.True(t, err == nil || closed || errors.Is(err, context.DeadlineExceeded), err)
			}
		}
		waiting.Add(6)
		for range 3 {
			go waiter(context.Background())
			require.NoError(t, l.Go(context.Background(), waiter))
		}
		for range 3 {
			waking.Go(func() {
				for range 300 {
					e.Wake()
				}
			})
		}
		waking.Wait()
		for got.Load() != 900 {
			runtime.Gosched()
		}
		require.NoError(t, e.Close())
		waiting.Wait()
		require.NoError(t, e.Close())
		e.Wake()
		_, err = e.Wait(context.Background())
		require.ErrorIs(t, err, os.ErrClosed)
	}
}

// A MsgRing has a descriptor of its own, so that a ring that is closed under
// it, and a file that gets its number, take no harm.
func TestMsgRingOutlivesItsRing(t *testing.T) {
	if err := uringwake.HaveMsgRing(); err != nil {
		t.Skip(err)
	}
	r, err := ring.Setup(8, nil)
	require.NoError(t, err)
	w, err := uringwake.NewMsgRing(r.FD(), 1, 2)
	require.NoError(t, err)
	number := r.FD()
	require.NoError(t, r.Close())
	other, err := ring.Setup(8, nil)
	require.NoError(t, err)
	defer other.Close()
	require.Equal(t, number, other.FD(), "the number is used again")
	w.Wake()
	require.NoError(t, w.Err())
	require.Nil(t, other.CQ().Peek(), "a message for another ring")
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	w.Wake()
}

func TestMsgRingIntoWhatIsNoRing(t *testing.T) {
	if err := uringwake.HaveMsgRing(); err != nil {
		t.Skip(err)
	}
	fds := pipe(t)
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	_, err := uringwake.NewMsgRing(fds[0], 0, 0)
	require.ErrorIs(t, err, unix.EBADFD)
	for _, fd := range []int{-1, 1 << 20, math.MaxInt} {
		_, err = uringwake.NewMsgRing(fd, 0, 0)
		require.ErrorIs(t, err, unix.EBADF)
	}
}

// A Runtime's loops take turns, and close side by side; once closed, Default
// makes a new one.
func TestRuntime(t *testing.T) {
	newLoop(t, nil) // or skip
	r, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: 3})
	require.NoError(t, err)
	var done waitgroup.Group
	var mu sync.Mutex
	ran := make(map[*uringwake.Loop]int)
	for range 30 {
		done.Add(1)
		require.NoError(t, r.Go(context.Background(), func(ctx context.Context) {
			defer done.Done()
			mu.Lock() // held for a moment by tasks only: no loop waits long
			defer mu.Unlock()
			ran[uringwake.TaskFrom(ctx).Loop()]++
		}))
	}
	require.NoError(t, done.Wait(context.Background()))
	for _, l := range r.Loops() {
		require.Equal(t, 10, ran[l])
	}
	require.NoError(t, r.Close(context.Background()))
	require.ErrorIs(t, r.Go(context.Background(), func(context.Context) {}), uringwake.ErrClosed)
	_, err = uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: -1})
	require.Error(t, err)
}

func TestDefaultIsMadeAgainOnceClosed(t *testing.T) {
	newLoop(t, nil) // or skip
	r, err := uringwake.Default()
	require.NoError(t, err)
	same, err := uringwake.Default()
	require.NoError(t, err)
	require.Same(t, r, same)
	require.NoError(t, r.Loops()[0].Close(context.Background()))
	other, err := uringwake.Default()
	require.NoError(t, err)
	require.NotSame(t, r, other)
	require.NoError(t, other.Close(context.Background()))
	require.NoError(t, r.Close(context.Background()))
}

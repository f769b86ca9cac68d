package faults_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// smallest has room for one submission and one completion.
var smallest = uringwake.LoopOptions{Entries: 1, CQEntries: 1, SpinFor: -1}

// eachSmallest runs f with a loop of the smallest queues, with each doorbell. got
// receives its messages.
func eachSmallest(t *testing.T, got func(userData uint64), f func(t *testing.T, l *uringwake.Loop)) {
	for name, d := range map[string]uringwake.Doorbell{"eventfd": uringwake.DoorbellEventFD, "messages": uringwake.DoorbellMsgRing} {
		t.Run(name, func(t *testing.T) {
			needRings(t)
			nothingLeft(t)
			o := smallest
			o.Doorbell, o.OnMessage = d, func(u uint64, _ int32) { got(u) }
			f(t, newLoop(t, &o))
		})
	}
}

// TestSmallestQueueTakesABurstOfCompletions repeatedly completes the polls of very
// many tasks with one write.
func TestSmallestQueueTakesABurstOfCompletions(t *testing.T) {
	eachSmallest(t, func(uint64) {}, func(t *testing.T, l *uringwake.Loop) {
		const tasks = 1000
		rounds, got := few(20), 0
		for range rounds {
			r, w := pipe(t)
			var waiting, done atomic.Int64
			over := make(chan struct{})
			for range tasks {
				require.NoError(t, l.Go(forever, func(ctx context.Context) {
					waiting.Add(1)
					events, err := uringwake.PollFD(ctx, r, unix.POLLIN)
					assert.NoError(t, err)
					assert.Equal(t, uint32(unix.POLLIN), events)
					if done.Add(1) == tasks {
						close(over)
					}
				}))
			}
			for waiting.Load() < tasks {
				runtime.Gosched()
			}
			_, err := unix.Write(w, []byte{1})
			require.NoError(t, err)
			<-over
			got += int(done.Load())
			closeAll(r, w)
		}
		t.Logf("completions %d/%d", got, rounds*tasks)
		require.Equal(t, rounds*tasks, got)
	})
}

// TestSmallestQueueTakesAllAtOnce sends messages, wakes, posts and operations of
// the loop at the same time, from goroutines and from a loop that has no more room
// itself.
func TestSmallestQueueTakesAllAtOnce(t *testing.T) {
	var messages sync.Map // how often, by user data
	var count atomic.Int64
	note := func(u uint64) {
		n, _ := messages.LoadOrStore(u, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		count.Add(1)
	}
	eachSmallest(t, note, func(t *testing.T, l *uringwake.Loop) {
		needMessages(t)
		messages.Clear()
		count.Store(0)
		n, senders := few(4000), 5
		other := newLoop(t, &smallest)
		var all sync.WaitGroup
		for i := 1; i < senders; i++ {
			all.Go(func() { sendMessages(t, l, uint64(i*n), n) })
		}
		all.Add(1)
		require.NoError(t, other.Go(forever, func(context.Context) {
			defer all.Done()
			sendMessages(t, l, 0, n)
		}))
		got := traffic(t, l, n)
		across := acrossLoops(t, other, l, n)
		all.Wait()
		for count.Load() < int64(senders*n) {
			runtime.Gosched()
		}
		require.NoError(t, l.Close(forever)) // closed, so no more can come
		for u := range uint64(senders * n) {
			c, ok := messages.Load(u)
			require.True(t, ok, u)
			require.Equal(t, int64(1), c.(*atomic.Int64).Load(), "message %d", u)
		}
		t.Log(show(append(got, counts{"across", n, across}, counts{"messages", senders * n, int(count.Load())})))
		require.Equal(t, senders*n, int(count.Load()))
		require.Equal(t, n, across)
	})
}

// sendMessages sends n messages, each with its own user data.
func sendMessages(t *testing.T, l *uringwake.Loop, first uint64, n int) {
	for i := range uint64(n) {
		m, err := uringwake.NewMsgRing(l.FD(), first+i, 0)
		if !assert.NoError(t, err) {
			return
		}
		m.Wake()
		assert.NoError(t, m.Err())
		assert.NoError(t, m.Close())
	}
}

// acrossLoops runs a task of one loop and a task of another that wake each other.
func acrossLoops(t *testing.T, a, b *uringwake.Loop, n int) int {
	self, other := make(chan *uringwake.Task, 1), make(chan *uringwake.Task, 1)
	var ping, pong atomic.Int64
	there := task(t, b, func(ctx context.Context) int {
		self <- uringwake.TaskFrom(ctx)
		back := <-other
		for i := range int64(n) {
			for ping.Load() <= i {
				assert.NoError(t, uringwake.TaskFrom(ctx).Park(ctx))
			}
			pong.Add(1)
			back.Wake()
		}
		return int(ping.Load())
	})
	here := task(t, a, func(ctx context.Context) int {
		other <- uringwake.TaskFrom(ctx)
		to := <-self
		for i := range int64(n) {
			ping.Add(1)
			to.Wake()
			for pong.Load() <= i {
				assert.NoError(t, uringwake.TaskFrom(ctx).Park(ctx))
			}
		}
		return int(pong.Load())
	})
	return min(here(), there())
}

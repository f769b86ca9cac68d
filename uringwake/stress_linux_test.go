package uringwake_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
)

// tiny has next to no room in either queue.
var tiny = uringwake.LoopOptions{Entries: 4, CQEntries: 8}

// senders runs f on several goroutines and in a task of another loop, and waits
// for them.
func senders(t *testing.T, f func(i int)) (n int) {
	var all waitgroup.Group
	for i := range 4 {
		all.Go(func() { f(i) })
	}
	other := newLoop(t, &tiny)
	all.Add(1)
	require.NoError(t, other.Go(context.Background(), func(ctx context.Context) {
		defer all.Done()
		f(4)
	}))
	require.NoError(t, all.Wait(context.Background()))
	return 5
}

// No wake is lost: a task finds what was passed to it before its wake.
func TestStressWakes(t *testing.T) {
	eachDoorbell(t, tiny, func(t *testing.T, l *uringwake.Loop) {
		consumers := make([]*consumer, 64)
		for i := range consumers {
			consumers[i] = startConsumer(t, l)
		}
		each := scaled(200_000)
		n := senders(t, func(i int) {
			for j := range each {
				consumers[(i+j)%len(consumers)].give(1)
			}
		})
		got := 0
		for _, c := range consumers {
			got += c.finish()
		}
		require.Equal(t, n*each, got)
	})
}

// consumer is a task that takes what is passed to it.
type consumer struct {
	task    *uringwake.Task
	given   atomic.Int64
	taken   atomic.Int64
	stopped atomic.Bool
	end     chan struct{}
}

func startConsumer(t testing.TB, l *uringwake.Loop) *consumer {
	c := &consumer{end: make(chan struct{})}
	started := make(chan struct{})
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		defer close(c.end)
		c.task = uringwake.TaskFrom(ctx)
		close(started)
		c.run(ctx)
	}))
	<-started
	return c
}

// run sleeps by bare parks: whatever wakes it is a wake.
func (c *consumer) run(ctx context.Context) {
	for {
		stopped := c.stopped.Load()
		n := c.given.Swap(0)
		c.taken.Add(n)
		if n == 0 && (stopped || c.task.Park(ctx) != nil) {
			return
		}
	}
}

func (c *consumer) give(n int64) { c.given.Add(n); c.task.Wake() }

// await waits until that much was taken.
func (c *consumer) await(n int64) {
	for c.taken.Load() < n {
		runtime.Gosched()
	}
}

// finish ends the task, and returns how much it took.
func (c *consumer) finish() int {
	c.stopped.Store(true)
	c.task.Wake()
	<-c.end
	return int(c.taken.Load())
}

// Every post runs once, and those of one goroutine in their order.
func TestStressPosts(t *testing.T) {
	eachDoorbell(t, tiny, func(t *testing.T, l *uringwake.Loop) {
		var next [8]int // the loop's
		each := scaled(200_000)
		n := senders(t, func(i int) {
			for j := range each {
				err := l.Post(func() {
					assert.Equal(t, next[i], j)
					next[i]++
				})
				assert.NoError(t, err)
			}
		})
		uringwake.OnLoop(t, l, func() {
			for i := range n {
				assert.Equal(t, each, next[i])
			}
		})
	})
}

// Every message arrives once, though the completion queue has room for eight.
func TestStressMessages(t *testing.T) {
	if err := uringwake.HaveSendMsgRing(); err != nil {
		t.Skip(err)
	}
	var sum, count atomic.Int64
	o := tiny
	o.OnMessage = func(u uint64, _ int32) { sum.Add(int64(u)); count.Add(1) }
	l := newLoop(t, &o)
	each := scaled(40_000)
	n := senders(t, func(i int) {
		for j := range each {
			assert.NoError(t, uringwake.SendMessage(l.FD(), uint64(i*each+j), 0))
		}
	})
	all := int64(n * each)
	for count.Load() != all {
		runtime.Gosched()
	}
	uringwake.OnLoop(t, l, func() { l.Enter(0) })
	require.Equal(t, all, count.Load())
	require.Equal(t, all*(all-1)/2, sum.Load())
}

// MsgRing wakers reach a loop as messages, from goroutines and tasks.
func TestStressMsgRings(t *testing.T) {
	if err := uringwake.HaveMsgRing(); err != nil {
		t.Skip(err)
	}
	var count atomic.Int64
	o := tiny
	o.OnMessage = func(u uint64, res int32) { count.Add(int64(res)) }
	l := newLoop(t, &o)
	m, err := uringwake.NewMsgRing(l.FD(), 5, 3)
	require.NoError(t, err)
	each := scaled(20_000)
	n := senders(t, func(int) {
		for range each {
			m.Wake()
		}
	})
	for count.Load() != int64(3*n*each) {
		runtime.Gosched()
	}
	require.NoError(t, m.Err())
	require.NoError(t, m.Close())
}

// Operations of many tasks go through a queue with room for four.
func TestStressOperationsOfTasks(t *testing.T) {
	l := newLoop(t, &tiny)
	stress(t, func(f func(ctx context.Context)) { require.NoError(t, l.Go(context.Background(), f)) })
	uringwake.OnLoop(t, l, func() { require.Zero(t, l.InFlight()) })
}

// The same of goroutines.
func TestStressOperationsOfGoroutines(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	stress(t, func(f func(ctx context.Context)) { go f(context.Background()) })
	require.Zero(t, d.InFlight())
}

// stress has many sleepers do all sorts of operations, whose contexts end at any
// time. What was written is read, once.
func stress(t *testing.T, start func(func(ctx context.Context))) {
	const sleepers = 200
	var all waitgroup.Group
	var c conserved
	for i := range sleepers {
		all.Add(1)
		fds := openPipe(t, 0)
		start(func(ctx context.Context) {
			defer all.Done()
			c.work(t, ctx, rand.New(rand.NewPCG(1, uint64(i))), fds, scaled(100_000)/sleepers)
		})
	}
	require.NoError(t, all.Wait(context.Background()))
	require.Equal(t, c.written.Load(), c.read.Load())
	require.Equal(t, int64(sleepers*(scaled(100_000)/sleepers)), c.done.Load()+c.canceled.Load())
	require.NotZero(t, c.canceled.Load())
}

// conserved counts bytes and operations.
type conserved struct{ written, read, done, canceled atomic.Int64 }

func (c *conserved) work(t *testing.T, ctx context.Context, r *rand.Rand, fds [2]int, n int) {
	for range n {
		own, cancel := ctx, context.CancelFunc(func() {})
		if r.IntN(2) == 0 {
			own, cancel = context.WithTimeout(ctx, time.Duration(r.IntN(200))*time.Microsecond)
		}
		switch err := c.one(own, r, fds); {
		case err == nil:
			c.done.Add(1)
		case errors.Is(err, context.DeadlineExceeded):
			c.canceled.Add(1)
		default:
			assert.NoError(t, err)
		}
		cancel()
	}
	c.read.Add(int64(drain(t, fds[0])))
}

func (c *conserved) one(ctx context.Context, r *rand.Rand, fds [2]int) error {
	switch r.IntN(6) {
	case 0:
		return uringwake.Nop(ctx)
	case 1:
		return uringwake.Sleep(ctx, time.Duration(r.IntN(50))*time.Microsecond)
	case 2:
		_, err := uringwake.PollFD(ctx, fds[1], unix.POLLOUT)
		return err
	case 3:
		n, err := uringwake.Write(ctx, fds[1], make([]byte, 1+r.IntN(64)), -1)
		c.written.Add(int64(n))
		return err
	case 4:
		ctx, cancel := context.WithTimeout(ctx, 100*time.Microsecond) // there may be nothing
		defer cancel()
		n, err := uringwake.Read(ctx, fds[0], make([]byte, 32), -1)
		c.read.Add(int64(n))
		return err
	default:
		ctx, cancel := context.WithTimeout(ctx, time.Duration(r.IntN(100))*time.Microsecond)
		defer cancel()
		return uringwake.Sleep(ctx, time.Hour)
	}
}

// drain reads what is left.
func drain(t testing.TB, fd int) (total int) {
	require.NoError(t, unix.SetNonblock(fd, true))
	for buf := make([]byte, 1<<16); ; {
		n, err := unix.Read(fd, buf)
		if err != nil {
			return total
		}
		total += n
	}
}

// As many tasks as one likes sleep on one loop at a time, each on something. Few
// of them on timers: to cancel one the kernel looks at all.
func TestStressSleepers(t *testing.T) {
	l := newLoop(t, nil)
	few, many := scaled(10_000), scaled(45_000)
	fds := openPipe(t, 0)
	_, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, 1<<20)
	require.NoError(t, err)
	var n notify.Notify
	ctx, cancel := context.WithCancel(context.Background())
	slept := sleepers(t, l, ctx, few, func(ctx context.Context) error { return uringwake.Sleep(ctx, time.Hour) })
	read := sleepers(t, l, context.Background(), many, func(ctx context.Context) error {
		n, err := uringwake.Read(ctx, fds[0], make([]byte, 1), -1)
		return errors.Join(err, unless(n == 1))
	})
	notified := sleepers(t, l, context.Background(), many, n.Wait)
	for n.Waiters() != many {
		runtime.Gosched()
	}
	inFlight(t, l, few+many)
	require.Equal(t, many, n.NotifyWaiters())
	require.Equal(t, counts{ok: many}, notified())
	cancel()
	require.Equal(t, counts{canceled: few}, slept())
	_, err = unix.Write(fds[1], make([]byte, many))
	require.NoError(t, err)
	require.Equal(t, counts{ok: many}, read())
	inFlight(t, l, 0)
}

// counts says how sleeps ended.
type counts struct{ ok, canceled, other int }

// sleepers starts tasks that sleep by f, and returns a function that waits for them.
func sleepers(t *testing.T, l *uringwake.Loop, ctx context.Context, n int, f func(context.Context) error) func() counts {
	var all sync.WaitGroup
	var c counts // the loop's, until all are done
	for range n {
		all.Add(1)
		require.NoError(t, l.Go(ctx, func(ctx context.Context) {
			defer all.Done()
			switch err := f(ctx); {
			case err == nil:
				c.ok++
			case errors.Is(err, context.Canceled):
				c.canceled++
			default:
				c.other++
			}
		}))
	}
	return func() counts { all.Wait(); return c }
}

// Two loops whose tasks wake each other, over all kinds of doorbells.
func TestStressBetweenLoops(t *testing.T) {
	for _, kinds := range [][2]uringwake.Doorbell{{1, 1}, {1, 2}, {2, 2}} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			a, b := tiny, tiny
			a.Doorbell, b.Doorbell = kinds[0], kinds[1]
			loops := []*uringwake.Loop{newLoop(t, &a), newLoop(t, &b)}
			const pairs = 16
			var all sync.WaitGroup
			for range pairs {
				players := [2]*player{startPlayer(t, loops[0]), startPlayer(t, loops[1])}
				for i, p := range players {
					p.other, p.turn = players[1-i], new(atomic.Int64)
				}
				players[1].turn = players[0].turn
				for i, p := range players {
					all.Go(func() { p.play(int64(i), int64(scaled(10_000))) })
				}
			}
			all.Wait()
		})
	}
}

// player is a task that takes turns with another one, by bare wakes, and makes
// an operation in each so that there is something to submit.
type player struct {
	task  *uringwake.Task
	other *player
	turn  *atomic.Int64
	begin chan [2]int64
	end   chan struct{}
}

func startPlayer(t testing.TB, l *uringwake.Loop) *player {
	p := &player{begin: make(chan [2]int64, 1), end: make(chan struct{})}
	tasks := make(chan *uringwake.Task, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		defer close(p.end)
		tasks <- uringwake.TaskFrom(ctx)
		var side [2]int64
		uringwake.Blocking(ctx, func() { side = <-p.begin })
		for turn := side[0]; turn < side[1]; turn += 2 {
			for p.turn.Load() != turn {
				p.task.Park(ctx)
			}
			assert.NoError(t, uringwake.Nop(ctx))
			p.turn.Store(turn + 1)
			p.other.task.Wake()
		}
	}))
	p.task = <-tasks
	return p
}

func (p *player) play(side, rounds int64) {
	p.begin <- [2]int64{side, rounds}
	<-p.end
}

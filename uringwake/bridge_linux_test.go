package uringwake

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// collector is a sink that keeps what it gets, and wakes w each time.
type collector struct {
	mu   sync.Mutex
	data []byte
	res  []int32
	last bool
	w    wake.Waker
}

func (c *collector) Completed(res int32, flags uint32, data []byte) wake.Waker {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data = append(c.data, data...)
	c.res = append(c.res, res)
	c.last = flags&ring.CQEMore == 0
	return c.w
}

func (c *collector) text() (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.data), c.last
}

func socketPair(t *testing.T) (a, b int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

// onTask runs f in a task of a loop of its own, and in a goroutine of none.
func onTask(t *testing.T, f func(ctx context.Context, l *Loop)) {
	l := startedLoop(t)
	done := make(chan struct{})
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		defer close(done)
		f(ctx, l)
	}))
	<-done
}

// received starts a multishot receive on a's loop.
func received(t *testing.T, ctx context.Context, fd int, c *collector) bridge.Handle {
	require.NoError(t, bridge.HaveBuffers(ctx))
	o, err := bridge.NewOp(ctx)
	require.NoError(t, err)
	bridge.PrepareReceive(o, fd, 0)
	return o.Start(c)
}

func TestStreamReceives(t *testing.T) {
	onTask(t, func(ctx context.Context, l *Loop) {
		a, b := socketPair(t)
		c := &collector{w: TaskFrom(ctx)}
		h := received(t, ctx, a, c)
		for range 3 * receiveBufferCount { // each buffer is used several times
			_, err := unix.Write(b, []byte("x"))
			require.NoError(t, err)
			require.NoError(t, TaskFrom(ctx).Park(ctx))
		}
		h.Cancel()
		for last := false; !last; _, last = c.text() {
			require.NoError(t, TaskFrom(ctx).Park(ctx))
		}
		text, _ := c.text()
		require.Len(t, text, 3*receiveBufferCount)
		require.Equal(t, -int32(unix.ECANCELED), c.res[len(c.res)-1])
		h.Cancel() // finds nothing
	})
}

// TestStreamEndsWithItsLoop: no task waits for it, and yet the loop closes.
func TestStreamEndsWithItsLoop(t *testing.T) {
	l := startedLoop(t)
	a, _ := socketPair(t)
	c := new(collector)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		received(t, ctx, a, c)
		for ctx.Err() == nil { // nothing else ends it; then one more, while the loop closes
			TaskFrom(ctx).Park(ctx)
		}
		received(t, ctx, a, c)
	}))
	l.startClosing()
	require.NoError(t, l.Close(context.Background()))
	_, last := c.text()
	require.True(t, last)
}

func TestStreamInGoroutine(t *testing.T) {
	a, b := socketPair(t)
	p := wake.NewParker()
	c := &collector{w: p}
	o, err := bridge.NewOp(context.Background())
	require.NoError(t, err)
	o.SQE().PrepPollMultishot(a, unix.POLLIN)
	h := o.Start(c)
	for range 3 {
		_, err := unix.Write(b, []byte("x"))
		require.NoError(t, err)
		require.NoError(t, p.Park(context.Background()))
	}
	h.Cancel()
	for last := false; !last; _, last = c.text() {
		require.NoError(t, p.Park(context.Background()))
	}
}

// TestInterrupt ends an operation, before it begins and while it waits, in both worlds.
func TestInterrupt(t *testing.T) {
	read := func(ctx context.Context, fd int, i *bridge.Interrupter) error {
		o, err := bridge.NewOp(ctx)
		require.NoError(t, err)
		o.SQE().PrepPollAdd(fd, unix.POLLIN)
		_, _, err = o.Wait(ctx, i, "poll")
		return err
	}
	try := func(ctx context.Context) {
		a, b := socketPair(t)
		var i bridge.Interrupter
		for range 100 {
			go i.Interrupt()
			require.ErrorIs(t, read(ctx, a, &i), bridge.ErrInterrupted)
			require.ErrorIs(t, read(ctx, a, &i), bridge.ErrInterrupted)
			i.Reset()
		}
		for range 100 { // what was interrupted says so, though others may wait again
			done := make(chan struct{})
			var interrupts sync.WaitGroup
			interrupts.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						i.Interrupt()
						i.Reset()
						runtime.Gosched()
					}
				}
			})
			require.ErrorIs(t, read(ctx, a, &i), bridge.ErrInterrupted)
			close(done)
			Blocking(ctx, interrupts.Wait)
		}
		_, err := unix.Write(b, []byte("x"))
		require.NoError(t, err)
		require.NoError(t, read(ctx, a, &i))
	}
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	try(context.Background())
	onTask(t, func(ctx context.Context, _ *Loop) { try(ctx) })
}

// interrupting is a context that interrupts what is about to wait under it.
type interrupting struct {
	context.Context
	i *bridge.Interrupter
}

func (c interrupting) Value(key any) any {
	c.i.Interrupt()
	return c.Context.Value(key)
}

// TestInterruptWhileLaunched interrupts an operation that a goroutine has put into the
// backlog, before it sleeps.
func TestInterruptWhileLaunched(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	a, _ := socketPair(t)
	for range 100 {
		var i bridge.Interrupter
		o, err := bridge.NewOp(context.Background())
		require.NoError(t, err)
		o.SQE().PrepPollAdd(a, unix.POLLIN)
		_, _, err = o.Wait(interrupting{context.Background(), &i}, &i, "poll")
		require.ErrorIs(t, err, bridge.ErrInterrupted)
	}
}

func TestCurrent(t *testing.T) {
	require.Equal(t, context.Background(), bridge.Current())
	onTask(t, func(ctx context.Context, l *Loop) {
		require.Equal(t, TaskFrom(ctx), TaskFrom(bridge.Current()))
		require.NoError(t, l.Post(func() { require.Nil(t, TaskFrom(bridge.Current())) }))
		TaskFrom(ctx).Yield()
		Blocking(ctx, func() { require.Nil(t, TaskFrom(bridge.Current())) })
	})
}

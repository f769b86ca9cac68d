package faults_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitmap"
)

var forever = context.Background()

// ways are the ways of a wake from a goroutine to a task of l, or back. Each sends
// n, and returns how many were received when all were.
var ways = []struct {
	name string
	send func(t require.TestingT, l *uringwake.Loop, n int) (got int)
	need func() error
}{
	{"wakes", wakes, nil},
	{"posts", posts, nil},
	{"takes", takes, nil},
	{"bytes in", bytesIn, nil},
	{"bytes out", bytesOut, nil},
	{"eventfd", counted, nil},
	{"futex", futexes, uringwake.HaveFutex},
	{"sleeps", sleeps, nil},
	{"cancels", cancels, nil},
}

// traffic sends n wakes in all ways concurrently, and checks that all were
// received.
func traffic(t require.TestingT, l *uringwake.Loop, n int) (all []counts) {
	var done sync.WaitGroup
	for _, way := range ways {
		if way.need == nil || way.need() == nil {
			all = append(all, counts{way: way.name, sent: n})
		}
	}
	i := 0
	for _, way := range ways {
		if way.need != nil && way.need() != nil {
			continue
		}
		got := &all[i].got
		done.Go(func() { *got = way.send(t, l, n) })
		i++
	}
	done.Wait()
	equal(t, all)
	return all
}

// task runs f as a task of l and returns its result.
func task(t require.TestingT, l *uringwake.Loop, f func(ctx context.Context) int) (wait func() int) {
	got := make(chan int, 1)
	require.NoError(t, l.Go(forever, func(ctx context.Context) { got <- f(ctx) }))
	return func() int { return <-got }
}

func wakes(t require.TestingT, l *uringwake.Loop, n int) int {
	var given atomic.Int64
	self := make(chan *uringwake.Task, 1)
	got := task(t, l, func(ctx context.Context) int {
		me := uringwake.TaskFrom(ctx)
		self <- me
		for given.Load() < int64(n) {
			assert.NoError(t, me.Park(ctx))
		}
		return int(given.Load())
	})
	sleeper := <-self
	for range n {
		given.Add(1)
		sleeper.Wake()
	}
	return got()
}

func posts(t require.TestingT, l *uringwake.Loop, n int) int {
	got, all := 0, make(chan int, 1)
	for range n {
		require.NoError(t, l.Post(func() {
			if got++; got == n {
				all <- got
			}
		}))
	}
	return <-all
}

func takes(t require.TestingT, l *uringwake.Loop, n int) int {
	var m waitmap.Map[int, int]
	got := task(t, l, func(ctx context.Context) (got int) {
		for i := range n {
			v, err := m.Take(ctx, i%8)
			assert.NoError(t, err)
			assert.Equal(t, i, v)
			m.Store(-1, v)
			got++
		}
		return got
	})
	for i := range n {
		m.Store(i%8, i)
		_, err := m.Take(forever, -1)
		assert.NoError(t, err)
	}
	return got()
}

func pipe(t require.TestingT) (r, w int) {
	var p [2]int
	require.NoError(t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	return p[0], p[1]
}

func bytesIn(t require.TestingT, l *uringwake.Loop, n int) int {
	r, w := pipe(t)
	defer closeAll(r, w)
	got := task(t, l, func(ctx context.Context) int { return readAll(t, ctx, r, n) })
	writeAll(t, forever, w, n)
	return got()
}

func bytesOut(t require.TestingT, l *uringwake.Loop, n int) int {
	r, w := pipe(t)
	defer closeAll(r, w)
	sent := task(t, l, func(ctx context.Context) int { writeAll(t, ctx, w, n); return n })
	got := readAll(t, forever, r, n)
	sent()
	return got
}

func closeAll(fds ...int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

func writeAll(t require.TestingT, ctx context.Context, fd, n int) {
	for range n {
		wrote, err := uringwake.Write(ctx, fd, []byte{1}, -1)
		assert.NoError(t, err)
		assert.Equal(t, 1, wrote)
	}
}

func readAll(t require.TestingT, ctx context.Context, fd, n int) (got int) {
	for buf := make([]byte, 64); got < n; {
		read, err := uringwake.Read(ctx, fd, buf, -1)
		assert.NoError(t, err)
		if read <= 0 {
			return got
		}
		got += read
	}
	return got
}

func counted(t require.TestingT, l *uringwake.Loop, n int) int {
	e, err := uringwake.NewEventFD()
	require.NoError(t, err)
	got := task(t, l, func(ctx context.Context) (got int) {
		for got < n {
			some, err := e.Wait(ctx)
			assert.NoError(t, err)
			got += int(some)
		}
		return got
	})
	for range n {
		e.Wake()
	}
	defer e.Close()
	return got()
}

func futexes(t require.TestingT, l *uringwake.Loop, n int) int {
	var word atomic.Uint32
	got := task(t, l, func(ctx context.Context) int { return await(t, ctx, &word, n) })
	for range n {
		word.Add(1)
		_, err := uringwake.FutexWake(forever, &word, 1)
		assert.NoError(t, err)
	}
	return got()
}

// await waits until the word is n.
func await(t require.TestingT, ctx context.Context, word *atomic.Uint32, n int) int {
	for v := word.Load(); v < uint32(n); v = word.Load() {
		assert.NoError(t, uringwake.FutexWait(ctx, word, v))
	}
	return int(word.Load())
}

func sleeps(t require.TestingT, l *uringwake.Loop, n int) int {
	nap := func(ctx context.Context) (got int) {
		for range n / 2 {
			start := time.Now()
			assert.NoError(t, uringwake.Sleep(ctx, 20*time.Microsecond))
			assert.GreaterOrEqual(t, time.Since(start), 20*time.Microsecond)
			got++
		}
		return got
	}
	got := task(t, l, nap)
	return n%2 + nap(forever) + got()
}

// cancels ends contexts while reads wait, and checks that nothing else ends the
// reads.
func cancels(t require.TestingT, l *uringwake.Loop, n int) int {
	r, w := pipe(t)
	defer closeAll(r, w)
	read := func(ctx context.Context) (got int) {
		for range n / 2 {
			ctx, cancel := context.WithCancel(ctx)
			go cancel()
			_, err := uringwake.Read(ctx, r, make([]byte, 1), -1)
			assert.ErrorIs(t, err, context.Canceled)
			got++
		}
		return got
	}
	got := task(t, l, read)
	return n%2 + read(forever) + got()
}

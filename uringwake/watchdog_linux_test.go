package uringwake

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// The watchdog, on a loop that only has a count of holds: its time is the
// bubble's.
func TestWatchdogAccusesWhoHoldsTheLoopOnly(t *testing.T) {
	const limit = time.Second
	for name, c := range map[string]struct {
		holds, moves uint64
		reports      int
	}{
		"holds it":        {1, 0, 1}, // once
		"one after other": {1, 2, 0},
		"nobody":          {2, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := new(Loop)
				l.end.init()
				l.switches.Store(c.holds)
				release := holding(l)
				var said bytes.Buffer
				go l.watch(limit, slog.New(slog.NewTextHandler(&said, nil)))
				for range 10 {
					time.Sleep(limit)
					synctest.Wait()
					l.switches.Add(c.moves)
				}
				reports := func() int { return bytes.Count(said.Bytes(), []byte("stalls its loop")) }
				require.Equal(t, c.reports, reports())
				l.switches.Add(2)
				time.Sleep(3 * limit) // a new one is accused anew
				synctest.Wait()
				require.Equal(t, c.reports+int(c.holds%2), reports())
				release()
				l.end.reach(nil)
			})
		})
	}
}

// holding runs something as a task of l until it is released.
func holding(l *Loop) (release func()) {
	c, runs, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		runTask(l, callOnTask(l, func() { close(runs); <-c }))
	}()
	<-runs
	return func() { close(c); <-done }
}

// No task is reported for a stall that was over when the stacks were taken: they
// show another one's, or none.
func TestWatchdogDropsWhatIsOver(t *testing.T) {
	l := new(Loop)
	l.switches.Store(3)
	defer holding(l)()
	require.Contains(t, l.stalledStack(3), "runTask")
	require.Empty(t, l.stalledStack(1))
	l.switches.Store(4)
	require.Empty(t, l.stalledStack(4), "nobody has it")
	require.Empty(t, l.stalledStack(3))
}

// The loop counts each task and function that has its thread, however it leaves it.
func TestHoldsAreOddWhileSomethingRuns(t *testing.T) {
	l, err := NewLoop(&LoopOptions{StallLimit: time.Hour, OnPanic: func(any, []byte) {}})
	skipUnsupported(t, err)
	for _, leave := range leaves {
		odd := make(chan bool, 1)
		require.NoError(t, l.Post(func() { odd <- l.switches.Load()%2 == 1; leave() }))
		require.True(t, <-odd)
		require.NoError(t, l.Go(context.Background(), func(context.Context) { odd <- l.switches.Load()%2 == 1; leave() }))
		require.True(t, <-odd)
	}
	require.NoError(t, l.Close(context.Background()))
	require.Zero(t, l.switches.Load()%2)
}

// A task that is held up by what it pulls from is found all the same: the stack is
// the sequence's.
func TestWatchdogLooksThroughPull(t *testing.T) {
	seen := make(chan string, 100)
	l, err := NewLoop(&LoopOptions{StallLimit: time.Millisecond, Logger: slog.New(slog.NewTextHandler(lines(seen), nil))})
	skipUnsupported(t, err)
	found := false
	slow := func(yield func(int) bool) {
		found = strings.Contains(<-seen, "TestWatchdogLooksThroughPull")
	}
	outer := func(yield func(int) bool) { // two deep
		next, stop := iter.Pull(iter.Seq[int](slow))
		defer stop()
		next()
	}
	for !found { // each is reported once, and may have been before it came so far
		done := make(chan struct{})
		require.NoError(t, l.Go(context.Background(), func(context.Context) {
			defer close(done)
			next, stop := iter.Pull(iter.Seq[int](outer))
			defer stop()
			next()
		}))
		<-done
	}
	require.NoError(t, l.Close(context.Background()))
}

// lines takes what a logger writes, as long as there is room.
type lines chan string

func (c lines) Write(p []byte) (int, error) {
	select {
	case c <- string(p):
	default:
	}
	return len(p), nil
}

// leaves are ways to end a function.
var leaves = map[string]func(){"return": func() {}, "panic": func() { panic("left") }, "Goexit": runtime.Goexit}

// needRings skips the test where the kernel makes none. It does not ask
// Supported, which remembers its answer: a child's rules are not in force yet.
func needRings(t *testing.T) {
	t.Helper()
	r, err := ring.Setup(1, nil)
	skipUnsupported(t, err)
	require.NoError(t, r.Close())
}

// skipUnsupported skips the test where there is no io_uring.
func skipUnsupported(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
}

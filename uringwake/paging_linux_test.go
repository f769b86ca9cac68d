package uringwake_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// Buffers that have to be paged in, when that takes long: from a disk that is
// busy, by another process, by another goroutine.

// touches are operations whose buffer the kernel touches at once.
var touches = map[string]func(ctx context.Context, fds [2]int, p []byte) (int, error){
	"read": func(ctx context.Context, fds [2]int, p []byte) (int, error) {
		unix.Write(fds[1], []byte("1234567\n")[:len(p)])
		return uringwake.Read(ctx, fds[0], p, -1)
	},
	"write": func(ctx context.Context, fds [2]int, p []byte) (int, error) {
		return uringwake.Write(ctx, fds[1], p, -1)
	},
}

// A buffer that is not there holds up the operation whose it is, and no other
// goroutine's.
func TestMissingPageHoldsUpNobodyElse(t *testing.T) {
	newLoop(t, nil)
	files := map[string]func(t *testing.T) [2]int{
		"pipe":     func(t *testing.T) [2]int { return openPipe(t, 0) },
		"terminal": func(t *testing.T) [2]int { master, slave := terminal(t); return [2]int{slave, master} }, // left to a worker
	}
	for name, touch := range touches {
		for kind, open := range files {
			t.Run(name+" of a "+kind, func(t *testing.T) { missingPageHoldsUp(t, touch, open(t)) })
		}
	}
}

func missingPageHoldsUp(t *testing.T, touch func(context.Context, [2]int, []byte) (int, error), fds [2]int) {
	m := newMissingPage(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it is TestMissingPageAndTheCollector's
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	touched := make(chan error, 1)
	go func() {
		n, err := touch(context.Background(), fds, m.page[:8])
		touched <- errors.Join(err, unless(n == 8))
	}()
	require.NoError(t, m.awaitTouch())
	late := theOthers(t)
	require.NoError(t, m.fill())
	require.NoError(t, <-touched)
	require.NoError(t, late(), "they came only when the page was there")
}

// theOthers runs operations of other goroutines, and returns when they have
// ended, or patience has. Late waits for the rest, and is an error if there was
// any.
func theOthers(t *testing.T) (late func() error) {
	full, empty := openPipe(t, 0), openPipe(t, 0)
	write(t, full[1], 1)
	others := []func(ctx context.Context) error{
		uringwake.Nop,
		func(ctx context.Context) error {
			_, err := uringwake.Read(ctx, full[0], make([]byte, 8), -1)
			return err
		},
		func(ctx context.Context) error { return uringwake.Sleep(ctx, time.Millisecond) },
		func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			_, err := uringwake.Read(ctx, empty[0], make([]byte, 8), -1)
			if !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("not the deadline's end: %w", err)
			}
			return nil
		},
	}
	results := make(chan error, len(others))
	for _, other := range others {
		go func() { results <- other(context.Background()) }()
	}
	give := time.After(patience)
	var failed error
	for n := range others {
		select {
		case err := <-results:
			failed = errors.Join(failed, err)
		case <-give:
			return func() error {
				for range len(others) - n {
					<-results
				}
				return fmt.Errorf("%d of %d were late", len(others)-n, len(others))
			}
		}
	}
	return func() error { return failed }
}

// A goroutine of the same program can page a buffer in, and the collector can
// run meanwhile, whoever waits for the buffer.
func TestMissingPageAndTheCollector(t *testing.T) {
	cases := collectorCases()
	if what := os.Getenv(childVariable); what != "" {
		cases[what](t, newMissingPage(t))
		return
	}
	newLoop(t, nil)
	newMissingPage(t)
	children := map[string]func(t *testing.T){}
	for what := range cases {
		for _, procs := range []int{1, 4} {
			children[fmt.Sprintf("%s, on %d", what, procs)] = inChild(t, "TestMissingPageAndTheCollector", what, func(cmd *exec.Cmd) error {
				cmd.Env = append(cmd.Env, fmt.Sprint("GOMAXPROCS=", procs))
				return cmd.Start()
			})
		}
	}
	for name, wait := range children {
		t.Run(name, wait)
	}
}

func collectorCases() map[string]func(t *testing.T, m *missingPage) {
	all := map[string]func(t *testing.T, m *missingPage){
		"goroutine, late read": lateReadOfGoroutine,
		"task, late read":      lateReadOfTask,
		"ring, late read":      lateReadOfRing,
	}
	for name, touch := range touches {
		all["goroutine, "+name] = func(t *testing.T, m *missingPage) { collectAndFill(t, context.Background(), m, touch) }
		all["task, "+name] = func(t *testing.T, m *missingPage) {
			run(t, newLoop(t, nil), func(ctx context.Context) { collectAndFill(t, ctx, m, touch) })
		}
	}
	for name, submit := range map[string]func(q *ring.SubmissionQueue) (int, error){
		"submit":             (*ring.SubmissionQueue).Submit,
		"submit, get events": (*ring.SubmissionQueue).SubmitAndGetEvents,
		"submit and wait":    func(q *ring.SubmissionQueue) (int, error) { return q.SubmitAndWait(1) },
	} {
		all["ring, "+name] = func(t *testing.T, m *missingPage) { readOnRing(t, m, submit) }
	}
	return all
}

// collectAndFill fills the page once it was touched and the collector has run.
func collectAndFill(t *testing.T, ctx context.Context, m *missingPage, touch func(context.Context, [2]int, []byte) (int, error)) {
	wait := aside(ctx, m.collectAndFill(t))
	n, err := touch(ctx, openPipe(t, 0), m.page[:8])
	assert.NoError(t, err)
	assert.Equal(t, 8, n)
	wait()
}

func (m *missingPage) collectAndFill(t *testing.T) func() {
	return func() {
		assert.NoError(t, m.awaitTouch())
		runtime.GC()
		assert.NoError(t, m.fill())
	}
}

// The data come when the thread that submitted runs something else.
func lateReadOfGoroutine(t *testing.T, m *missingPage) {
	procs := runtime.GOMAXPROCS(1) // the last one started runs next, on the thread that is left
	fds, busy, result := openPipe(t, 0), make(chan struct{}), make(chan error, 1)
	var over atomic.Bool
	spin := func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		close(busy)
		for !over.Load() {
		}
	}
	go func() {
		go spin()
		n, err := uringwake.Read(context.Background(), fds[0], m.page[:8], -1)
		result <- errors.Join(err, unless(n == 8))
	}()
	<-busy
	runtime.GOMAXPROCS(max(procs, 2)) // one for the thread that spins
	write(t, fds[1], 1)
	m.collectAndFill(t)()
	require.NoError(t, <-result)
	over.Store(true)
}

// The data come while another task keeps the loop awake.
func lateReadOfTask(t *testing.T, m *missingPage) {
	l, fds, placed := newLoop(t, nil), openPipe(t, 0), make(chan struct{})
	var over atomic.Bool
	run(t, l, func(ctx context.Context) {
		assert.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
			for n := 0; !over.Load(); n++ {
				if n == 3 { // turns of the loop
					close(placed)
				}
				uringwake.TaskFrom(ctx).Yield()
			}
		}))
		wait := aside(ctx, func() { <-placed; write(t, fds[1], 1); m.collectAndFill(t)() })
		n, err := uringwake.Read(ctx, fds[0], m.page[:8], -1)
		assert.NoError(t, err)
		assert.Equal(t, 8, n)
		wait()
		over.Store(true)
	})
}

func readOnRing(t *testing.T, m *missingPage, submit func(*ring.SubmissionQueue) (int, error)) {
	r, err := ring.Setup(4, nil)
	require.NoError(t, err)
	fds := openPipe(t, 0)
	write(t, fds[1], 1)
	r.SQ().GetSQE().PrepRead(fds[0], m.page[:8], 0)
	wait := aside(context.Background(), m.collectAndFill(t))
	_, err = submit(r.SQ())
	require.NoError(t, err)
	endOfRead(t, r)
	wait()
}

// The kernel does what has been deferred when it is asked for events.
func lateReadOfRing(t *testing.T, m *missingPage) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := ring.Setup(4, &ring.Params{Flags: ring.SetupSingleIssuer | ring.SetupDeferTaskrun})
	if errors.Is(err, unix.EINVAL) {
		t.Skip("before Linux 6.1:", err)
	}
	require.NoError(t, err)
	fds := openPipe(t, 0)
	r.SQ().GetSQE().PrepRead(fds[0], m.page[:8], 0)
	_, err = r.SQ().Submit()
	require.NoError(t, err)
	write(t, fds[1], 1)
	wait := aside(context.Background(), m.collectAndFill(t))
	require.NoError(t, r.CQ().GetEvents())
	endOfRead(t, r)
	wait()
}

func endOfRead(t *testing.T, r *ring.Ring) {
	c, err := r.CQ().Wait()
	require.NoError(t, err)
	require.NoError(t, c.Err())
	require.Equal(t, int32(8), c.Res)
	require.NoError(t, r.Close())
}

package uringwake

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// The campaign ends each operation in each of its states in each way: on a loop and on
// the goroutines' ring, as a Submission and as a call that waits. The state is looked up in
// the driver when the end begins. It is done again until all that are possible were seen.

const (
	inBacklog   = "backlog"
	inQueue     = "queue"
	inKernel    = "kernel"
	inNobody    = "completed" // and nobody has looked at the result
	byItself    = "completion"
	byCancel    = "cancel"
	byDeadline  = "deadline"
	byFileClose = "file closed"
	byLoopClose = "loop closed"
	byDrop      = "dropped"
)

var (
	tearDownStates = []string{inBacklog, inQueue, inKernel, inNobody}
	tearDownEnds   = []string{byItself, byCancel, byDeadline, byFileClose, byLoopClose, byDrop}
)

// tearDownKinds are the operations that the kernel has.
func tearDownKinds() []opKind {
	all := []opKind{kindRead, kindWrite, kindRecv, kindSend, kindAccept, kindPoll, kindTimeout}
	if trials[ring.OpSendZC].ask() == nil {
		all = append(all, kindSendZC)
	}
	return all
}

type tearDown struct {
	world, form string // loop or ring; submission or call
	kind        opKind
	state, end  string
}

func (d tearDown) possible() bool {
	return (d.end != byDrop || d.form == "submission") && (d.end != byLoopClose || d.world == "loop") &&
		(d.end != byFileClose || d.kind != kindTimeout)
}

func TestTearDown(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	old := slog.Default()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	defer slog.SetDefault(old)
	memory := newGuarded(t)
	seen, open := make(map[tearDown]int), descriptors(t)
	for _, d := range allTearDowns() {
		for tries := 0; seen[d] == 0; tries++ {
			require.Less(t, tries, 1000, "not seen: %v", d)
			got := runTearDown(t, d, memory)
			seen[got]++
			memory.check(t, d)
		}
	}
	require.LessOrEqual(t, descriptors(t), open)
	t.Log(tearDownTable(seen))
	for _, d := range allTearDowns() {
		require.NotZero(t, seen[d], d)
	}
}

func allTearDowns() (all []tearDown) {
	for _, world := range []string{"loop", "ring"} {
		for _, form := range []string{"submission", "call"} {
			for _, kind := range tearDownKinds() {
				for _, state := range tearDownStates {
					for _, end := range tearDownEnds {
						if d := (tearDown{world, form, kind, state, end}); d.possible() {
							all = append(all, d)
						}
					}
				}
			}
		}
	}
	return all
}

// tearDownTable has a line for each operation, with the numbers of its ends by state.
func tearDownTable(seen map[tearDown]int) string {
	var b strings.Builder
	for _, world := range []string{"loop", "ring"} {
		for _, form := range []string{"submission", "call"} {
			fmt.Fprintf(&b, "\n%s, %s%*s", world, form, 24-len(world+form), "")
			for _, end := range tearDownEnds {
				fmt.Fprintf(&b, "%12s", end)
			}
			for _, kind := range tearDownKinds() {
				for _, state := range tearDownStates {
					fmt.Fprintf(&b, "\n  %-10s %-12s ", calls[kind], state)
					for _, end := range tearDownEnds {
						d := tearDown{world, form, kind, state, end}
						n := "-"
						if d.possible() {
							n = fmt.Sprint(seen[d])
						}
						fmt.Fprintf(&b, "%12s", n)
					}
				}
			}
		}
	}
	return b.String()
}

// endsOn is a context that ends with a deadline when the test says so.
type endsOn struct {
	context.Context
	done chan struct{}
}

func (c endsOn) Done() <-chan struct{} { return c.done }

func (c endsOn) Err() error {
	if isClosed(c.done) {
		return context.DeadlineExceeded
	}
	return nil
}

// A victim is one operation that is torn down.
type victim struct {
	tearDown
	t      *testing.T
	op     Op
	fd     int
	files  []int  // other ones
	act    func() // has the operation complete
	stop   func() // nil, or ends what act began
	ctx    context.Context
	cancel func()
	s      *Submission
	result chan Result // a call's
}

func newVictim(t *testing.T, d tearDown, memory *guarded) *victim {
	x := &victim{tearDown: d, t: t, result: make(chan Result, 1)}
	x.prepare(memory)
	if d.end == byDeadline {
		done := make(chan struct{})
		x.ctx, x.cancel = endsOn{background, done}, sync.OnceFunc(func() { close(done) })
	} else {
		x.ctx, x.cancel = context.WithCancel(background)
	}
	return x
}

// begin starts the operation, or calls it.
func (x *victim) begin(ctx context.Context) {
	if x.form == "submission" {
		x.s = Start(ctx, x.op)
		return
	}
	o, err := newOp(ctx)
	require.NoError(x.t, err)
	x.op.prepare(o)
	n, err := o.finish(ctx, calls[x.kind])
	if x.kind == kindTimeout && kernelErrno(err) == unix.ETIME {
		err = nil
	}
	x.result <- Result{N: n, Buf: x.op.p, Err: err}
}

// tear ends the operation, and does not wait for that. closeLoop begins that.
func (x *victim) tear(closeLoop func()) {
	switch x.end {
	case byItself:
		x.act()
	case byFileClose:
		require.NoError(x.t, unix.Close(x.fd))
		x.fd = -1
		if x.state == inKernel { // it goes on with its file
			x.act()
		}
	case byLoopClose:
		closeLoop()
	case byDrop:
		x.s = nil
	case byCancel, byDeadline:
		x.cancel()
		if x.s != nil {
			x.s.Cancel()
		}
	}
}

// check checks the result, and closes what was accepted. The state is that in which it was
// torn down.
func (x *victim) check() {
	if x.end == byDrop {
		return
	}
	r := x.await()
	if x.op.p != nil {
		require.Same(x.t, &x.op.p[0], &r.Buf[0])
	}
	early := x.state == inBacklog || x.state == inQueue
	switch {
	case x.kind == kindSendZC && r.Err == nil: // there may be room at any time
	case x.state == inNobody, x.end == byItself, x.end == byFileClose && !early:
		require.NoError(x.t, r.Err, "%v", x.tearDown)
		if x.kind == kindAccept {
			require.NoError(x.t, unix.Close(r.N))
		}
	case x.end == byFileClose:
		require.ErrorIs(x.t, r.Err, unix.EBADF, "%v", x.tearDown)
	case x.end == byLoopClose:
		require.ErrorIs(x.t, r.Err, ErrClosed, "%v", x.tearDown)
	case x.form == "submission":
		require.ErrorIs(x.t, r.Err, unix.ECANCELED, "%v", x.tearDown)
	case x.end == byDeadline:
		require.ErrorIs(x.t, r.Err, context.DeadlineExceeded, "%v", x.tearDown)
	default:
		require.ErrorIs(x.t, r.Err, context.Canceled, "%v", x.tearDown)
	}
}

func (x *victim) await() Result {
	if x.form == "call" {
		return <-x.result
	}
	r, err := x.s.Wait(background)
	require.Equal(x.t, r.Err, err)
	return r
}

// stateOf says where the only operation of q is.
func stateOf(q *ringQueue) string {
	for _, p := range q.ops.slots {
		switch {
		case p.op == nil:
		case p.op.state == prepared:
			return inBacklog
		case q.sq.Ready() > 0:
			return inQueue
		default:
			return inKernel
		}
	}
	return inNobody
}

// awaitGone waits until nothing is in flight, and collects what was dropped meanwhile. If
// TCP has found room for a zero-copy send before that was canceled, its notification comes
// when the peer receives.
func awaitGone(x *victim, inFlight func() int) {
	for looks := 0; inFlight() > 0; looks++ {
		if looks == 1000 && x.kind == kindSendZC {
			x.act()
		}
		if x.end == byDrop {
			runtime.GC()
		}
		runtime.Gosched()
	}
}

func runTearDown(t *testing.T, d tearDown, memory *guarded) tearDown {
	x := newVictim(t, d, memory)
	defer x.cancel()
	defer x.close()
	if d.world == "loop" {
		x.onLoop()
	} else {
		x.onRing()
	}
	return x.tearDown
}

// onLoop has a posted function bring the operation into its state and begin its end.
func (x *victim) onLoop() {
	l, err := NewLoop(&LoopOptions{SpinFor: -1})
	require.NoError(x.t, err)
	OnLoop(x.t, l, func() {
		l.paused = x.state == inBacklog
		require.NoError(x.t, l.Go(x.ctx, x.begin))
		l.Turn()
		l.paused = false
		switch x.state {
		case inKernel:
			l.drainBacklog()
			l.enter(0)
		case inNobody:
			x.act()
			l.Enter(0)
		}
		x.state = stateOf(&l.ringQueue)
		x.tear(l.startClosing)
	})
	if x.end != byLoopClose {
		awaitGone(x, func() (n int) {
			OnLoop(x.t, l, func() { n = l.InFlight() })
			return n
		})
	}
	if x.end == byLoopClose && x.kind == kindSendZC {
		x.act()
	}
	x.check()
	require.NoError(x.t, l.Close(background))
	require.Zero(x.t, l.ops.inFlight())
	require.Zero(x.t, l.held)
}

// onRing uses a ring of its own, whose keeper starts when the operation is in its state.
func (x *victim) onRing() {
	driver, err := newGoroutineDriver(8, 64)
	require.NoError(x.t, err)
	old := defaultDriver.made.Swap(driver)
	defer defaultDriver.made.Store(old)
	d := GoroutineDriver{driver}
	work := make(chan struct{}, 1)
	driver.work = work
	if x.form == "call" {
		go x.begin(x.ctx)
	} else {
		x.begin(background)
	}
	for d.InFlight() == 0 {
		runtime.Gosched()
	}
	keep := func() { go driver.keeper(work); go driver.reaper() }
	switch x.state {
	case inQueue:
		driver.mu.Lock()
		driver.paused = false
		driver.drainBacklog()
		driver.paused = true
		driver.mu.Unlock()
	case inKernel, inNobody:
		keep()
		for d.InFlight() > 0 && !d.submitted(1) {
			runtime.Gosched()
		}
	}
	if x.state == inNobody {
		x.act()
		awaitGone(x, d.InFlight)
	}
	held := x.state == inBacklog || x.state == inQueue
	driver.mu.Lock()
	x.state = stateOf(&driver.ringQueue)
	driver.mu.Unlock()
	x.tear(nil)
	if held {
		keep()
	}
	awaitGone(x, d.InFlight)
	x.check()
	require.Zero(x.t, driver.held)
	for d.reaping() { // it need not look for long
		require.NoError(x.t, driver.file.SetReadDeadline(time.Now()))
		runtime.Gosched()
	}
	d.shut(x.t)
}

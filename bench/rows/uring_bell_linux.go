package rows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
)

// A bellTry is one measurement of a [BellCase]. The waker looks up the state of the
// loop's thread, lets it rest, takes the time, wakes, and waits until the task has
// read the clock. The program "wake" of package floor does the same.
type bellTry struct {
	BellCase
	target, from *uringwake.Loop // from is nil if a goroutine wakes
	task         *uringwake.Task
	enters       uint64
	stat         int // file descriptor: the state of target's thread
	calls, late  []float64

	_     [64]byte
	stamp atomic.Int64 // when the wake began; 0 once the task has seen it
	_     [64]byte
	woken atomic.Int64
}

// Run measures for about d. The error matches errors.ErrUnsupported if the
// machine or the kernel lacks something.
func (c BellCase) Run(d time.Duration) (BellSample, error) {
	n := max(int(d/(50*time.Microsecond+max(c.Rest, 50*time.Microsecond))), 10)
	t := &bellTry{BellCase: c, calls: make([]float64, n), late: make([]float64, n)}
	if err := t.run(); err != nil {
		return BellSample{}, fmt.Errorf("wake of a loop: %+v: %w", c, err)
	}
	s := BellSample{
		Call: measure.Median(t.calls), P50: measure.Median(t.late), P99: measure.Quantile(t.late, 0.99),
		Doorbells: float64(t.target.Stats().Doorbells) / float64(n),
	}
	if t.from != nil {
		s.Enters = float64(t.enters) / float64(n)
	}
	return s, nil
}

func (t *bellTry) run() error {
	wakerCPU, targetCPU, err := t.processors()
	if err != nil {
		return err
	}
	if t.target, err = uringwake.NewLoop(t.options()); err != nil {
		return err
	}
	defer closeLoop(t.target)
	defer onLoop(t.target, func() func() { return pin(targetCPU) })()
	onLoop(t.target, func() func() { t.stat, err = openStat(); return nil })
	if err != nil {
		return err
	}
	defer unix.Close(t.stat)
	if t.Waker == byGoroutine {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer pin(wakerCPU)()
		t.startTarget()
		t.wakeAll()
	} else if err := t.byLoop(wakerCPU); err != nil {
		return err
	}
	return nil
}

// processors returns the processors of the waker and of the loop.
func (t *bellTry) processors() (waker, target int, err error) {
	cpus := processors()
	switch {
	case t.Place == onSame && len(cpus) > 0:
		return cpus[0], cpus[0], nil
	case t.Place == onOther && len(cpus) > 1:
		return cpus[0], cpus[1], nil
	}
	return 0, 0, fmt.Errorf("%w: not enough processors", errors.ErrUnsupported)
}

func (t *bellTry) options() *uringwake.LoopOptions {
	o := &uringwake.LoopOptions{Doorbell: uringwake.DoorbellEventFD, SpinFor: -1}
	if t.Doorbell == msgRing {
		o.Doorbell = uringwake.DoorbellMsgRing
	}
	if t.Target == spinning {
		o.SpinFor = time.Second
	}
	return o
}

// startTarget starts the task that is woken and waits until it sleeps.
func (t *bellTry) startTarget() {
	ready := make(chan struct{})
	mustNot(t.target.Go(context.Background(), func(ctx context.Context) {
		t.task = uringwake.TaskFrom(ctx)
		close(ready)
		t.listen(ctx)
	}))
	<-ready
	if t.Target == awake {
		mustNot(t.target.Go(context.Background(), t.keepAwake))
	}
	onLoop(t.target, func() func() { return nil }) // it has parked
}

func (t *bellTry) keepAwake(ctx context.Context) {
	for int(t.woken.Load()) < len(t.late) {
		uringwake.TaskFrom(ctx).Yield()
	}
}

func (t *bellTry) listen(ctx context.Context) {
	for i := range t.late {
		for t.stamp.Load() == 0 {
			mustNot(t.task.Park(ctx))
		}
		t.late[i] = float64(nanos() - t.stamp.Swap(0))
		t.woken.Add(1)
	}
}

func (t *bellTry) wakeAll() {
	for i := range t.calls {
		t.settle()
		t.wake(i)
		t.await(i)
	}
}

func (t *bellTry) wake(i int) {
	start := nanos()
	t.stamp.Store(start)
	t.task.Wake()
	t.calls[i] = float64(nanos() - start)
}

func (t *bellTry) await(i int) {
	for int(t.woken.Load()) <= i {
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

// settle waits until the loop is in the state in which it is to be woken.
func (t *bellTry) settle() {
	rest := int64(20_000)
	if t.Target == asleep {
		rest = int64(t.Rest)
		for !t.blocked() {
			unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		}
	}
	for start := nanos(); nanos()-start < rest; {
	}
}

// blocked reads the state of the loop's thread, which follows its name.
func (t *bellTry) blocked() bool {
	var text [128]byte
	n, err := unix.Pread(t.stat, text[:], 0)
	mustNot(err)
	after := bytes.LastIndexByte(text[:n], ')')
	return after >= 0 && text[after+2] == 'S'
}

// byLoop has a task as the waker. With work, another task of its loop, which runs
// right before it, has prepared an operation by then.
func (t *bellTry) byLoop(cpu int) error {
	var err error
	if t.from, err = uringwake.NewLoop(t.options()); err != nil {
		return err
	}
	defer closeLoop(t.from)
	defer onLoop(t.from, func() func() { return pin(cpu) })()
	t.startTarget()
	play := func(context.Context) { t.wakeAll() }
	if t.Waker == byWorkingLoop {
		play = t.workAndWake
	}
	done := make(chan struct{})
	mustNot(t.from.Go(context.Background(), func(ctx context.Context) {
		defer close(done)
		play(ctx)
	}))
	<-done
	t.enters = settled(t.from).Enters
	return nil
}

func (t *bellTry) workAndWake(ctx context.Context) {
	worker := uringwake.TaskFrom(ctx)
	var waker *uringwake.Task
	mustNot(t.from.Go(ctx, func(ctx context.Context) {
		waker = uringwake.TaskFrom(ctx)
		for i := range t.calls {
			mustNot(waker.Park(ctx))
			t.wake(i)
		}
	}))
	for waker == nil {
		worker.Yield()
	}
	for i := range t.calls {
		t.settle()
		waker.Wake()
		worker.Yield() // both are ready in the next turn, in which this task is first
		mustNot(uringwake.Nop(ctx))
		t.await(i)
	}
}

// onLoop runs f on l's thread. The returned function runs there what f returned.
func onLoop(l *uringwake.Loop, f func() func()) (after func()) {
	var undo func()
	postAndWait(l, func() { undo = f() })
	return func() { postAndWait(l, undo) }
}

func postAndWait(l *uringwake.Loop, f func()) {
	done := make(chan struct{})
	mustNot(l.Post(func() {
		defer close(done)
		f()
	}))
	<-done
}

// settled returns l's counters as of now: l publishes them when it sleeps.
func settled(l *uringwake.Loop) uringwake.LoopStats {
	postAndWait(l, func() {})
	before := l.Stats().Turns
	postAndWait(l, func() {})
	for l.Stats().Turns == before {
		runtime.Gosched()
	}
	return l.Stats()
}

func newLoop(o *uringwake.LoopOptions) *uringwake.Loop {
	l, err := uringwake.NewLoop(o)
	mustNot(err)
	return l
}

func closeLoop(l *uringwake.Loop) { mustNot(l.Close(context.Background())) }

// processors are the processors that this process may use, before any thread is
// pinned.
var processors = sync.OnceValue(func() (cpus []int) {
	var set unix.CPUSet
	mustNot(unix.SchedGetaffinity(os.Getpid(), &set))
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
})

// pin pins the calling thread to one processor until the result is called.
func pin(cpu int) (unpin func()) {
	var old, one unix.CPUSet
	mustNot(unix.SchedGetaffinity(0, &old))
	one.Set(cpu)
	mustNot(unix.SchedSetaffinity(0, &one))
	return func() { mustNot(unix.SchedSetaffinity(0, &old)) }
}

func openStat() (int, error) {
	return unix.Open(fmt.Sprintf("/proc/self/task/%d/stat", unix.Gettid()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

var began = time.Now()

// nanos reads one clock; time.Now reads two.
func nanos() int64 { return int64(time.Since(began)) }

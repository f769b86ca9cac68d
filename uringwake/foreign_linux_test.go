package uringwake

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/wake"
)

// A liar is a context whose Done is closed, at once or later, and whose Err says
// what it likes, each answer once and the last one forever.
type liar struct {
	context.Context
	done chan struct{}
	says *[]error
}

func newLiar(says ...error) liar {
	return liar{context.Background(), make(chan struct{}), &says}
}

func (l liar) over() liar { close(l.done); return l }

func (l liar) Done() <-chan struct{} { return l.done }

func (l liar) Err() error {
	s := *l.says
	if len(s) > 1 {
		*l.says = s[1:]
	}
	return s[0]
}

type sliceError []int

func (sliceError) Error() string { return "cannot be compared" }

var errOwn = errors.New("an error of its own")

// TestParkFailsWithAnError whatever the context says: a waiter that gets nil
// parks again, without end.
func TestParkFailsWithAnError(t *testing.T) {
	l := hostileLoop(t)
	for _, test := range []struct {
		ctx  liar
		want error
	}{
		{newLiar(nil).over(), context.Canceled},
		{newLiar(errOwn).over(), errOwn},
		{newLiar(errOwn, nil).over(), context.Canceled},
		{newLiar(errOwn, nil), context.Canceled},
		{newLiar(sliceError{1}).over(), sliceError{1}},
	} {
		require.Equal(t, test.want, inTask(t, l, func(task *Task) error { return task.Park(test.ctx) }))
	}
}

// TestLateLiarWakesATask: Done is closed while the task is parked, and Err says
// nil: package context must not see that.
func TestLateLiarWakesATask(t *testing.T) {
	l := hostileLoop(t)
	ctx := newLiar(nil)
	require.Equal(t, context.Canceled, inTask(t, l, func(task *Task) error {
		require.NoError(t, l.Post(func() { ctx.over() })) // when it is parked
		for {
			if err := task.Park(ctx); err != nil {
				return err
			}
		}
	}))
}

// hostileLoop is a loop that is closed with the test.
func hostileLoop(t *testing.T) *Loop {
	t.Helper()
	if err := Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	l, err := NewLoop(nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	return l
}

// inTask returns what f returns as a task, or an error if f does not return.
func inTask(t *testing.T, l *Loop, f func(task *Task) error) error {
	t.Helper()
	got := make(chan error, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { got <- ends(func() error { return f(TaskFrom(ctx)) }) }))
	return <-got
}

var errUnwound = errors.New("did not return")

// ends calls f, and turns a panic into an error.
func ends(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = errUnwound
		}
	}()
	return f()
}

// An angry context panics when it is asked for its end; or, in a goroutine, for
// its parker.
type angry struct {
	context.Context
	done, value bool
}

func (a angry) Done() <-chan struct{} {
	if a.done {
		panic("Done")
	}
	return a.Context.Done()
}

func (a angry) Value(key any) any {
	if a.value {
		panic("Value")
	}
	return a.Context.Value(key)
}

// eventFD is a descriptor that has nothing to read.
func eventFD(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// TestOperationInMisbehavingCompanyOfATask: it is over, one way or the other, before
// the kernel has its buffer, or after.
func TestOperationInMisbehavingCompanyOfATask(t *testing.T) {
	l := hostileLoop(t)
	fd := eventFD(t)
	for what, test := range map[string]struct {
		ctx  func(task context.Context) context.Context
		want error
	}{
		"Done panics": {func(task context.Context) context.Context { return angry{task, true, false} }, errUnwound},
		"Err is nil": {func(task context.Context) context.Context {
			ctx := newLiar(nil).over()
			ctx.Context = task
			return ctx
		}, context.Canceled},
		"Err is nil, later": {func(task context.Context) context.Context {
			ctx := newLiar(nil)
			ctx.Context = task
			go ctx.over()
			return ctx
		}, context.Canceled},
		"Err cannot be compared": {func(task context.Context) context.Context {
			ctx := newLiar(nil, sliceError{1}).over()
			ctx.Context = task
			return ctx
		}, sliceError{1}},
	} {
		require.Equal(t, test.want, inTask(t, l, func(task *Task) error {
			_, err := Read(test.ctx(task.ctx), fd, make([]byte, 8), -1)
			require.Zero(t, l.ops.inFlight(), what)
			return err
		}), what)
	}
	require.NoError(t, inTask(t, l, func(task *Task) error { return Nop(task.ctx) }))
}

// A hostileParker does not park.
type hostileParker struct {
	wake.Parker
	instead func() error
}

func (p hostileParker) Park(context.Context) error { return p.instead() }

// TestOperationInMisbehavingCompany: a parker or a context that panics, exits or
// fails leaves no operation behind of which the kernel has the buffer.
func TestOperationInMisbehavingCompany(t *testing.T) {
	if err := Supported(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	x := UseGoroutineDriver(t, 4, 8)
	fd := eventFD(t)
	under := func(instead func() error) context.Context {
		return wake.WithParker(context.Background(), hostileParker{wake.NewParker(), instead})
	}
	for what, test := range map[string]struct {
		ctx  context.Context
		want error
	}{
		"Park panics":            {under(func() error { panic("park") }), errUnwound},
		"Park exits":             {under(func() error { runtime.Goexit(); return nil }), errUnwound},
		"Park fails":             {under(func() error { return errOwn }), errOwn},
		"Value panics":           {angry{context.Background(), false, true}, errUnwound},
		"Done panics":            {angry{context.Background(), true, false}, errUnwound},
		"Err is nil":             {newLiar(nil).over(), context.Canceled},
		"Err cannot be compared": {newLiar(nil, sliceError{1}).over(), sliceError{1}},
	} {
		got := make(chan error, 1)
		go func() {
			err := errUnwound
			defer func() { got <- err }()
			err = ends(func() error {
				_, err := Read(test.ctx, fd, make([]byte, 8), -1)
				return err
			})
		}()
		require.Equal(t, test.want, <-got, what)
		require.Zero(t, x.InFlight(), what)
	}
	require.NoError(t, Nop(context.Background()))
	x.AwaitIdle()
}

// TestEventFDUnderALiar: its Wait ends, with and without a ring.
func TestEventFDUnderALiar(t *testing.T) {
	for _, ringless := range []bool{false, true} {
		if err := Supported(); !ringless && errors.Is(err, errors.ErrUnsupported) {
			continue
		}
		e, err := makeEventFD(ringless)
		require.NoError(t, err)
		for _, says := range [][]error{{nil}, {nil, sliceError{1}}} {
			want := says[len(says)-1]
			if want == nil {
				want = context.Canceled
			}
			_, err = e.Wait(newLiar(says...).over())
			require.Equal(t, want, err)
		}
		ctx := newLiar(nil)
		go ctx.over()
		_, err = e.Wait(ctx)
		require.Equal(t, context.Canceled, err)
		require.NoError(t, e.Close())
	}
}

// TestGoUnderALiar: a context that has ended and does not say so ends its task's,
// at once or later.
func TestGoUnderALiar(t *testing.T) {
	l := hostileLoop(t)
	for _, late := range []bool{false, true} {
		ctx := newLiar(nil)
		if !late {
			ctx.over()
		}
		got := make(chan error, 1)
		require.NoError(t, l.Go(ctx, func(ctx context.Context) {
			task := TaskFrom(ctx)
			for task.Park(ctx) == nil {
			}
			got <- ctx.Err()
		}))
		if late {
			go ctx.over()
		}
		require.Equal(t, context.Canceled, <-got)
	}
}

// A busyLoop does not close before it is released.
func busyLoop(t *testing.T, o *LoopOptions) (l *Loop, release func()) {
	t.Helper()
	l, err := NewLoop(o)
	skipUnsupported(t, err)
	c := make(chan struct{})
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { Blocking(ctx, func() { <-c }) }))
	return l, func() { close(c) }
}

// A sliceParker cannot be compared.
type sliceParker []wake.Parker

func (p sliceParker) Wake()                          { p[0].Wake() }
func (p sliceParker) Park(ctx context.Context) error { return p[0].Park(ctx) }

// TestCloseUnderAnUncomparableParker: a waiter for a loop's end is known by its
// place in line.
func TestCloseUnderAnUncomparableParker(t *testing.T) {
	l, release := busyLoop(t, nil)
	ctx := wake.WithParker(context.Background(), sliceParker{wake.NewParker()})
	over, cancel := context.WithCancel(ctx)
	cancel()
	require.Equal(t, context.Canceled, l.Close(over))
	require.Zero(t, l.end.line.Len(), "the waiter has left the line")
	release()
	require.NoError(t, l.Close(ctx))
}

// A rudeParker's Wake does not return.
type rudeParker struct {
	wake.Parker
	parks chan<- struct{}
	leave func()
}

func (p rudeParker) Park(ctx context.Context) error {
	p.parks <- struct{}{}
	return p.Parker.Park(ctx)
}

func (p rudeParker) Wake() {
	defer p.leave()
	p.Parker.Wake()
}

// TestRudeWakesAtTheEnd of a loop keep no waiter from seeing it; a panic is the
// loop's.
func TestRudeWakesAtTheEnd(t *testing.T) {
	for name, leave := range leaves {
		panics := make(chan any, 10)
		l, release := busyLoop(t, &LoopOptions{OnPanic: func(v any, _ []byte) { panics <- v }})
		parks, errs := make(chan struct{}, 10), make(chan error, 3)
		for range cap(errs) {
			p := rudeParker{wake.NewParker(), parks, leave}
			go func() { errs <- l.Close(wake.WithParker(context.Background(), p)) }()
			<-parks
		}
		release()
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		if name == "panic" {
			require.Equal(t, "left", <-panics)
		}
	}
}

// TestRudeWakesOfGoroutines keep no goroutine asleep whose operation has completed, and the
// reaper goes on. (One that panics in the reaper ends the program, as it would in
// any goroutine.)
func TestRudeWakesOfGoroutines(t *testing.T) {
	skipUnsupported(t, Supported())
	x := UseGoroutineDriver(t, 4, 64)
	for range 2 {
		fds := eventFD(t)
		parks, errs := make(chan struct{}, 100), make(chan error, 10)
		for range cap(errs) {
			ctx := wake.WithParker(context.Background(), rudeParker{wake.NewParker(), parks, runtime.Goexit})
			go func() {
				_, err := PollFD(ctx, fds, unix.POLLIN)
				errs <- err
			}()
			<-parks
		}
		writeEventFD(fds, 1) // completes all of them; the reaper sees it
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
	}
	x.AwaitIdle()
}

// TestRudeWakesOfSeveral keep no goroutine asleep.
func TestRudeWakesOfSeveral(t *testing.T) {
	for name, leave := range leaves {
		var woken, left int
		w := wake.Func(func() { woken++; leave() })
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { left = woken; recover() }()
			wakeAll([]wake.Waker{w, w, w})
		}()
		<-done
		require.Equal(t, 3, woken, name)
		require.Equal(t, 3, left, name)
	}
}

// The cancel of an operation goes on though another one's waker exits.
func TestRudeWakeDuringACancel(t *testing.T) {
	for name, leave := range leaves {
		t.Run(name, func(t *testing.T) {
			d, _ := pollOnDriver(t)
			d.work = make(chan struct{}, 1) // the test is the keeper and the reaper
			o, other := d.ops.slots[0].op, d.newOp()
			other.sqe.PrepNop()
			other.waker = wake.Func(leave)
			d.ringQueue.launch(other)
			d.submit() // other has completed, which was not seen yet
			d.mu.Unlock()
			done := make(chan bool, 1)
			go func() {
				defer func() {
					recover()
					done <- d.isComplete(o)
				}()
				d.abandon(o)
			}()
			<-d.work
			for len(done) == 0 {
				d.mu.Lock()
				d.submit()
				wakers := d.collect(nil)
				d.mu.Unlock()
				wakeAll(wakers)
			}
			d.mu.Lock()
			d.work = nil
			require.True(t, <-done)
		})
	}
}

// A keeper that was told to leave submits nothing any more, and releases its thread.
func TestKeeperThatLeavesSubmitsNothing(t *testing.T) {
	d := testGoroutineDriver(t)
	d.work = make(chan struct{}, 1) // of another one, which is the test
	o := d.newOp()
	o.sqe.PrepNop()
	o.waker = nobody{}
	d.ringQueue.launch(o)
	d.mu.Unlock()
	old := make(chan struct{}, 1)
	old <- struct{}{} // it was woken before it was sent away
	close(old)
	d.keeper(old)
	d.mu.Lock()
	d.work = nil
	require.Equal(t, prepared, o.state)
}

package uringwake

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/wake"
)

// Close ends the loop: it refuses new work, ends the contexts of its tasks with
// the cause [ErrClosed], which cancels what they wait for, waits until the last
// of them has returned, and frees the ring. Nothing is left then.
//
// If ctx ends first, Close returns its error and the loop goes on closing; it
// can be waited for again. On the loop itself, in a task or a callback, Close
// returns an error at once, and the loop closes too.
func (l *Loop) Close(ctx context.Context) error {
	waitq.MustContext(ctx, "uringwake")
	l.startClosing()
	if threads.current() == l {
		return errors.New("uringwake: a loop cannot wait for its own end")
	}
	return l.end.wait(ctx)
}

func (l *Loop) startClosing() {
	l.mustBeMade()
	if l.closing.CompareAndSwap(false, true) {
		l.deliver(&mail{post: l.unwind}) // refused if there was nothing left to do
	}
}

// unwind ends the contexts of all tasks, and wakes them to see it: the oldest
// first, since the kernel looks for timers in that order.
func (l *Loop) unwind() {
	l.endBase(ErrClosed)
	for t := l.living.first; t != nil; t = t.succ {
		t.endContext()
	}
}

// endContext is for a task of a loop that is closing.
func (t *Task) endContext() {
	if t.unlink != nil {
		t.unlink(ErrClosed)
	}
	t.wakeHere()
	t.land()
}

// finished reports that nothing is left to do, and that nothing will come.
func (l *Loop) finished() bool {
	return l.living.n == 0 && l.ops.inFlight() == 0 && l.mailbox.seal()
}

// shut frees what the loop has: the coroutines, then the ring, which nobody
// can ring any more. It is deferred, since the end of a coroutine in which
// runtime.Goexit was called ends this goroutine.
func (l *Loop) shut() {
	if !l.over {
		return // a panic is on its way
	}
	defer l.free()
	l.stopSpare()
}

func (l *Loop) stopSpare() {
	defer func() {
		if l.spare != nil {
			l.stopSpare()
		}
	}()
	for l.spare != nil {
		c := l.spare
		l.spare = c.next
		c.stop()
	}
}

func (l *Loop) free() {
	threads.remove(l)
	yield.At(yield.LoopSealed)
	l.door.close()
	err := l.ring.Close()
	l.bell.close()
	l.share()
	l.endBase(ErrClosed)
	defer func() { // of a Wake
		if v := recover(); v != nil {
			l.panicked(v, debug.Stack())
		}
	}()
	l.end.reach(err)
}

// ending is the end of a loop, for others to wait for.
type ending struct {
	mu   sync.Mutex
	done chan struct{}
	err  error
	line waitq.Queue[struct{}]
}

func (e *ending) init() { e.done = make(chan struct{}) }

func (e *ending) reached() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// reach wakes all who wait, even if a Wake panics or ends the goroutine.
func (e *ending) reach(err error) {
	e.mu.Lock()
	e.err = err
	close(e.done)
	line := e.line.Detach()
	e.mu.Unlock()
	line.Release()
}

// join reports false if the end is reached.
func (e *ending) join(w *waitq.Waiter[struct{}]) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reached() {
		return false
	}
	e.line.Push(w)
	return true
}

func (e *ending) leave(w *waitq.Waiter[struct{}]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.line.Remove(w)
}

func (e *ending) wait(ctx context.Context) error {
	p := wake.ParkerFrom(ctx)
	w := &waitq.Waiter[struct{}]{Waker: p}
	if e.join(w) {
		defer e.leave(w)
		if err := w.Await(ctx, p); err != nil {
			return waitq.ParkError(ctx, err)
		}
	}
	return e.err
}

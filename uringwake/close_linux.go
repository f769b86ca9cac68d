package uringwake

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

func (l *Loop) closeAndWait(ctx context.Context) error {
	waitq.MustContext(ctx, "uringwake")
	l.startClosing()
	if threads.current() == l {
		return errors.New("uringwake: a loop cannot wait for its own end")
	}
	return l.end.wait(ctx)
}

func (l *Loop) isClosing() bool { return l.closing.Load() }

func (l *Loop) startClosing() {
	l.mustBeMade()
	if l.closing.CompareAndSwap(false, true) {
		l.deliver(callTo(l.endTasks)) // refused if the loop has nothing left to do
	}
}

// endTasks ends the contexts of all tasks and wakes the tasks to see it, the oldest
// first, since the kernel searches timers in that order.
func (l *Loop) endTasks() {
	l.endBase(ErrClosed)
	for t := l.living.first; t != nil; t = t.succ {
		t.endContext()
	}
	l.endStreams()
}

// endContext ends the context of a task whose loop is closing.
func (t *Task) endContext() {
	if t.unlink != nil {
		t.unlink(ErrClosed)
	}
	t.wakeHere()
	t.cancelOp()
}

// finished reports whether the loop has nothing left to do. If so, it takes no more
// mail.
func (l *Loop) finished() bool {
	return l.living.n == 0 && l.ops.inFlight() == 0 && l.mailbox.seal()
}

// shut frees the coroutines, then the ring, which no waker signals any more. It is
// deferred, since the end of a coroutine in which runtime.Goexit was called ends
// this goroutine.
func (l *Loop) shut() {
	if !l.returned {
		return // a panic unwinds this goroutine
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
	schedpoint.At(schedpoint.LoopSealed)
	l.door.close()
	err := l.ring.Close()
	l.bell.close()
	l.share()
	l.endBase(ErrClosed)
	defer func() { // a waker may panic
		if v := recover(); v != nil {
			l.panicked(v, debug.Stack())
		}
	}()
	l.end.reach(err)
}

// ending is the end of a loop, which others wait for.
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

// reach wakes all waiters, even if a Wake panics or ends the goroutine.
func (e *ending) reach(err error) {
	e.mu.Lock()
	e.err = err
	close(e.done)
	line := e.line.Detach()
	e.mu.Unlock()
	line.Release()
}

// join puts w in line, or reports false if the end is reached.
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

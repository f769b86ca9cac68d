package uringwake

import (
	"iter"
	"runtime/debug"
)

// coroutine runs tasks, one after the other. It is created, resumed and stopped on
// its loop's locked thread, as iter.Pull requires of code that is locked to one. It
// is expensive to make, so it is kept for the next task.
type coroutine struct {
	loop    *Loop
	task    *Task
	resume  func() (struct{}, bool) // from the loop to the task
	suspend func(struct{}) bool     // from the task to the loop
	stop    func()
	exits   int        // calls of runtime.Goexit in it: each has left a frame on its stack
	next    *coroutine // on the free list
}

func newCoroutine(l *Loop) *coroutine {
	c := &coroutine{loop: l}
	c.resume, c.stop = iter.Pull(c.body)
	return c
}

func (c *coroutine) yield() { c.suspend(struct{}{}) }

func (c *coroutine) body(suspend func(struct{}) bool) {
	c.suspend = suspend
	c.work()
}

// work runs c.task, then hands the thread back until there is another one.
// runtime.Goexit in a task unwinds this frame too; the deferred call then continues the
// work, so that Goexit ends the task and not the loop.
func (c *coroutine) work() {
	stopped := false
	defer func() {
		if v := recover(); v != nil {
			panic(v) // it is not recovered: it ends the program
		}
		if !stopped {
			c.task = nil
			c.exits++
			if c.suspend(struct{}{}) {
				c.work()
			}
		}
	}()
	for more := true; more; more = c.suspend(struct{}{}) {
		runTask(c.loop, c.task)
		c.task = nil
	}
	stopped = true
}

// runTask runs one task to its end. The watchdog looks for this frame in traces.
//
//go:noinline
func runTask(l *Loop, t *Task) {
	defer func() {
		if v := recover(); v != nil {
			l.panicked(v, debug.Stack())
		}
	}()
	t.f(t.ctx)
}

// panicked hands a panic to LoopOptions.OnPanic, or lets it end the program.
func (l *Loop) panicked(v any, stack []byte) {
	if l.onPanic == nil {
		panic(&PanicError{Value: v, Stack: stack})
	}
	l.onPanic(v, stack)
}

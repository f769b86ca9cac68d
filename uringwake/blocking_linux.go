package uringwake

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"
)

// block is Blocking in a task.
func (t *Task) block(f func()) {
	t.mustRun("Blocking")
	c := &blockingCall{f: f, task: t, exited: true}
	go c.run()
	for !c.done.Load() {
		t.Park(context.Background())
	}
	switch {
	case c.panicked:
		panic(c.value)
	case c.exited:
		runtime.Goexit()
	}
}

// tryBlocking is Blocking for a function that may fail.
func tryBlocking(ctx context.Context, f func() error) (err error) {
	Blocking(ctx, func() { err = f() })
	return err
}

// blockingCall is a function that runs in a goroutine for a task.
type blockingCall struct {
	f        func()
	task     *Task
	done     atomic.Bool // after the fields below
	exited   bool        // by runtime.Goexit, until run knows better
	panicked bool
	value    any
}

func (c *blockingCall) run() {
	defer func() {
		if c.exited {
			if v := recover(); v != nil {
				c.panicked, c.value = true, &PanicError{Value: v, Stack: debug.Stack()}
			}
		}
		c.done.Store(true)
		c.task.Wake()
	}()
	c.f()
	c.exited = false
}

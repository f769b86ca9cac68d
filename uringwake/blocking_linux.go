package uringwake

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
)

// Blocking calls f. In a task it has a goroutine do so while the task sleeps,
// so that f may block without blocking the loop: take a contended mutex, use a
// channel, make system calls. It returns when f has, whatever the context; a panic or a
// runtime.Goexit in f goes on in the caller; in a task the panic's value is a
// [*PanicError].
func Blocking(ctx context.Context, f func()) {
	waitq.MustContext(ctx, "uringwake")
	t := TaskFrom(ctx)
	if t == nil {
		f()
		return
	}
	t.mustRun("Blocking")
	c := &outside{f: f, task: t, exited: true}
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

// tryBlocking is Blocking of what may fail.
func tryBlocking(ctx context.Context, f func() error) (err error) {
	Blocking(ctx, func() { err = f() })
	return err
}

// outside is a function that runs on a goroutine for a task.
type outside struct {
	f        func()
	task     *Task
	done     atomic.Bool // after the fields below
	exited   bool        // by runtime.Goexit, as long as nothing else is known
	panicked bool
	value    any
}

func (c *outside) run() {
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

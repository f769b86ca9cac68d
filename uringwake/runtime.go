package uringwake

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/waitq"
)

// A Runtime is a set of loops, on which Go starts tasks in turn.
type Runtime struct {
	loops []*Loop
	turn  atomic.Uint64
}

// NewRuntime starts the loops, which run until [Runtime.Close]. A nil o means the zero
// RuntimeOptions. NewRuntime returns the same errors as [NewLoop].
func NewRuntime(o *RuntimeOptions) (*Runtime, error) {
	if o == nil {
		o = new(RuntimeOptions)
	}
	n := o.Loops
	if n < 0 {
		return nil, fmt.Errorf("uringwake: RuntimeOptions.Loops is %d", n)
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	r := new(Runtime)
	for range n {
		l, err := NewLoop(&o.Loop)
		if err != nil {
			return nil, errors.Join(err, r.close(context.Background()))
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// Go runs f as a task of one of the loops. See [Loop.Go].
func (r *Runtime) Go(ctx context.Context, f func(ctx context.Context)) error {
	r.mustBeMade()
	i := (r.turn.Add(1) - 1) % uint64(len(r.loops))
	return r.loops[i].Go(ctx, f)
}

// Loops returns the runtime's loops.
func (r *Runtime) Loops() []*Loop { return slices.Clone(r.loops) }

// Close closes all loops at the same time, and waits for them like [Loop.Close]. The
// error joins those of the loops.
func (r *Runtime) Close(ctx context.Context) error {
	waitq.MustContext(ctx, "uringwake")
	r.mustBeMade()
	return r.close(ctx)
}

// mustBeMade catches the zero value.
func (r *Runtime) mustBeMade() {
	if len(r.loops) == 0 {
		panic("uringwake: a Runtime that NewRuntime did not make")
	}
}

func (r *Runtime) close(ctx context.Context) error {
	r.startClosing()
	var errs []error
	for _, l := range r.loops {
		errs = append(errs, l.Close(ctx))
	}
	return errors.Join(errs...)
}

func (r *Runtime) startClosing() {
	for _, l := range r.loops {
		l.startClosing()
	}
}

func (r *Runtime) closing() bool {
	return slices.ContainsFunc(r.loops, func(l *Loop) bool { return l.isClosing() })
}

var defaultRuntime struct {
	sync.Mutex
	made *Runtime
}

// Default returns the runtime that all code of the process shares, so that a library
// can run tasks without asking its user for a loop. The first call starts it, and so
// does the first call after it was closed. It has the zero RuntimeOptions.
func Default() (*Runtime, error) {
	defaultRuntime.Lock()
	defer defaultRuntime.Unlock()
	if r := defaultRuntime.made; r != nil {
		if !r.closing() {
			return r, nil
		}
		r.startClosing() // all of it
	}
	r, err := NewRuntime(nil)
	if err == nil {
		defaultRuntime.made = r
	}
	return r, err
}

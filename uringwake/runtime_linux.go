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

// A Runtime is several loops that share the work: each task is run by one of
// them, in turns.
type Runtime struct {
	loops []*Loop
	turn  atomic.Uint64
}

// NewRuntime starts the loops. It must be closed.
func NewRuntime(o *RuntimeOptions) (*Runtime, error) {
	if o == nil {
		o = new(RuntimeOptions)
	}
	n := o.Loops
	if n < 0 {
		return nil, fmt.Errorf("uringwake: RuntimeOptions.Loops is %d", n)
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

// Go runs f as a task of one of the loops; see [Loop.Go].
func (r *Runtime) Go(ctx context.Context, f func(ctx context.Context)) error {
	r.mustBeMade()
	i := (r.turn.Add(1) - 1) % uint64(len(r.loops))
	return r.loops[i].Go(ctx, f)
}

// Loops are the runtime's loops.
func (r *Runtime) Loops() []*Loop { return slices.Clone(r.loops) }

// Close closes all loops, as [Loop.Close] does: they close side by side.
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
	return slices.ContainsFunc(r.loops, func(l *Loop) bool { return l.closing.Load() })
}

var defaultRuntime struct {
	sync.Mutex
	made *Runtime
}

// Default returns the process's own runtime, started when it is first asked
// for, so that a library can run tasks without asking its user for a loop. If
// somebody has closed it, a new one is started.
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

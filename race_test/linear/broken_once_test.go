package linear_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
)

func onOnces(name, mix string, make1 func() oncer) fault {
	return fault{name, onceSpec, func(t *testing.T, seed int64) []op {
		u := newOnces(make1)
		return u.history(inBubble(t, u.plan(onceMixes[mix]), seed))
	}}
}

func init() {
	faults = append(faults,
		onOnces("Once: Do joins nobody", "everything", func() oncer { return lonelyOnce{} }),
		onOnces("Once keeps an error", "everything", func() oncer { return &plainOnce{keepsErrors: true} }),
		onOnces("Once keeps what a canceled function returned", "leaving", func() oncer { return &plainOnce{keepsAbandoned: true} }),
		onOnces("Once: a newcomer joins a canceled function", "leaving", func() oncer { return &plainOnce{joinsCanceled: true} }),
		onOnces("Once: Do gives a value and an error", "everything", func() oncer { return &plainOnce{valuesErrors: true} }),
		onOnces("Once: the leader's context is the function's", "leaving", func() oncer { return &plainOnce{followsLeader: true} }),
		onOnces("Once: the key is free before the value is kept", "everything", func() oncer { return &plainOnce{hasGap: true} }),
	)
}

// lonelyOnce calls every function.
type lonelyOnce struct{}

func (lonelyOnce) Do(ctx context.Context, f func(context.Context) (int, error)) (int, error) {
	v, err := f(ctx)
	if err != nil {
		return 0, err
	}
	return v, nil
}

// A plainOnce is a Once of a mutex and channels, with faults.
type plainOnce struct {
	keepsErrors, keepsAbandoned, joinsCanceled, valuesErrors, followsLeader, hasGap bool

	mu   sync.Mutex
	run  *plainRun // that can be joined, or nil
	kept *plainRun // nil: no value
}

type plainRun struct {
	callers int
	cancel  context.CancelFunc
	done    chan struct{}
	v       int
	err     error
}

func (o *plainOnce) Do(ctx context.Context, f func(context.Context) (int, error)) (int, error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	o.mu.Lock()
	if r := o.kept; r != nil {
		o.mu.Unlock()
		return r.v, r.err
	}
	r := o.run
	if r == nil {
		r = o.begin(ctx, f)
	}
	r.callers++
	o.mu.Unlock()
	select {
	case <-r.done:
		return r.v, r.err
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case <-r.done: // the result wins
		return r.v, r.err
	default:
	}
	o.leave(r)
	return 0, ctx.Err()
}

func (o *plainOnce) begin(ctx context.Context, f func(context.Context) (int, error)) *plainRun {
	r := &plainRun{done: make(chan struct{})}
	if !o.followsLeader {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, r.cancel = context.WithCancel(ctx)
	o.run = r
	go func() {
		v, err := f(ctx)
		o.end(r, v, err)
	}()
	return r
}

func (o *plainOnce) leave(r *plainRun) {
	if r.callers--; r.callers > 0 {
		return
	}
	if o.run == r && !o.joinsCanceled {
		o.run = nil
	}
	r.cancel()
}

func (o *plainOnce) end(r *plainRun, v int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.v, r.err = v, err
	if err != nil && !o.valuesErrors {
		r.v = 0
	}
	joinable := o.run == r
	if joinable {
		o.run = nil
	}
	if o.hasGap {
		close(r.done)
		o.mu.Unlock()
		for range 3 {
			runtime.Gosched()
		}
		o.mu.Lock()
	}
	if (joinable || o.keepsAbandoned) && o.kept == nil && (err == nil || o.keepsErrors) {
		o.kept = r
	}
	if !o.hasGap {
		close(r.done)
	}
	r.cancel()
}

// TestModelAcceptsAPlainOnce: without a fault, it is a Once.
func TestModelAcceptsAPlainOnce(t *testing.T) {
	for mix := range onceMixes {
		record := onOnces("", mix, func() oncer { return new(plainOnce) }).record
		explainAll(t, onceSpec, func(seed int64) []op { return record(t, seed) })
	}
}

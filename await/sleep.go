package await

import (
	"context"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// Sleep waits until d has passed, and returns nil. If ctx ends first, or was done before
// the call, it returns an error that matches ctx.Err() and context.Cause(ctx) with
// errors.Is. If d is not positive, it returns at once. A nil context panics.
//
// In a task Sleep uses the timer of its loop, and the loop runs other tasks meanwhile. In
// a goroutine it uses a timer of the runtime.
func Sleep(ctx context.Context, d time.Duration) error {
	mustContext(ctx)
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	if d <= 0 {
		return nil
	}
	p, ok := wake.FromContext(ctx)
	if !ok {
		return sleepGoroutine(ctx, d)
	}
	if s, hasTimers := p.(wake.Sleeper); hasTimers {
		if err := s.Sleep(ctx, d); err != nil {
			return waitq.ParkError(ctx, err)
		}
		return nil
	}
	return sleepParked(ctx, p, d)
}

func sleepGoroutine(ctx context.Context, d time.Duration) error {
	done := ctx.Done()
	if done == nil {
		time.Sleep(d)
		return nil
	}
	end := time.Now().Add(d)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-done:
	}
	if !time.Now().Before(end) { // the timer wins
		return nil
	}
	return waitq.ContextError(ctx)
}

// sleepParked sleeps by p, which a timer wakes.
func sleepParked(ctx context.Context, p wake.Parker, d time.Duration) error {
	w := &waitq.Waiter[struct{}]{Waker: p}
	timer := time.AfterFunc(d, func() {
		if w.Finish() {
			w.Wake()
		}
	})
	defer timer.Stop() // also if Park panics
	if err := w.Await(ctx, p); err != nil {
		return waitq.ParkError(ctx, err)
	}
	return nil
}

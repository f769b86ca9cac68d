package dedup

import (
	"context"
	"runtime"
	"time"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// fetch returns the result: it runs the load, or waits for it. It fails if ctx ends
// first. The caller has then left the line.
func (j *joinResult[K, V]) fetch(ctx context.Context, do func(ctx context.Context) (V, error)) (r result[V], err error) {
	switch {
	case j.runsLoad():
		return j.runLoad(do), nil
	case j.created != nil && j.f.batch == nil:
		start(j.created)
		j.yieldToLoad()
	}
	if err := j.wait(ctx); err != nil {
		return r, err
	}
	return j.f.result, nil
}

// runLoad runs the load in the goroutine of a caller that could not leave anyway.
func (j *joinResult[K, V]) runLoad(do func(ctx context.Context) (V, error)) result[V] {
	if j.edge != nil {
		defer j.edge.End()
	}
	r := run[K, V]{f: j.f}
	r.run(do)
	return j.f.home.reuse(j.f)
}

// yieldToLoad lets the load run that the caller has just started. If the load is brief,
// it has ended when the caller runs again, and the caller need not sleep. If that failed
// twice in a row, or took long because other goroutines ran, the next callers of the
// shard do not try.
func (j *joinResult[K, V]) yieldToLoad() {
	skip := &j.f.home.skip
	n := skip.Load()
	switch {
	case j.c.parker != nil:
		return
	case n > 0:
		skip.Store(n - 1) // races only make the count inexact
		return
	}
	runtime.Gosched()
	switch brief := j.c.w.Done() && clock()-j.f.started < int64(brief); {
	case brief && n < 0:
		skip.Store(0)
	case !brief && n < 0:
		skip.Store(skips)
	case !brief:
		skip.Store(-1)
	}
}

const (
	brief = 20 * time.Microsecond // the longest load for which a yield is worthwhile
	skips = 64                    // the number of callers that do not yield after failures
)

// wait waits for the result. It fails if ctx ends first. The caller has then left the
// line.
func (j *joinResult[K, V]) wait(ctx context.Context) error {
	defer j.endWait() // if Park panics or ends the goroutine
	for c := j.c; !c.w.Done(); {
		if c.parker == nil && !j.f.ensureParker(c) {
			return nil // the result is there
		}
		err := c.parker.Park(ctx)
		schedpoint.At(schedpoint.FlightParked)
		if err != nil && j.f.leave(c) {
			return waitq.ParkError(ctx, err)
		} else if err != nil {
			return nil // the result is there, and the wake is under way
		}
	}
	return nil
}

// ensureParker makes a parker for a caller that has none. It reports false if the
// result is there, so that none is needed.
func (f *flight[K, V]) ensureParker(c *caller) bool {
	f.home.mu.Lock()
	defer f.home.mu.Unlock()
	if !f.line.Has(&c.w) {
		return false
	}
	c.ensureParker()
	return true
}

// endWait ends the call: it takes the caller out of line if it is still there, or
// finishes the flight if that was handed off to it.
func (j *joinResult[K, V]) endWait() {
	left := !j.c.w.Done() && j.f.leave(j.c)
	if !left && j.created != nil && j.f.handedOff {
		j.f.finishHandedOff()
	}
	if j.edge != nil {
		j.edge.End()
		j.edge = nil
	}
}

package dedup

import (
	"context"
	"iter"
	"math"
	"time"

	"github.com/vigil-go/vigil/internal/load"
)

// A Group coalesces calls: callers that ask for one key at the same time share one load,
// and all get its result. A Group stores nothing. The zero value is ready to use. A Group
// must not be copied after first use.
//
// In the terminology of the Go memory model, the return of a load synchronizes before the
// return of every Do that returns its result.
type Group[K comparable, V any] struct {
	flights flights[K, V]
}

// FlightInfo describes a load in flight.
type FlightInfo struct {
	Waiters int       // the number of callers that wait for the load or run it; may be zero for a load in the background
	Started time.Time // the time of the first call
}

// Do calls f and returns its result, unless a call for key is in flight: then Do waits for
// the result of that call. shared reports whether more than one caller got the result. If
// err is not nil, v is the zero value. The error is [ErrCycle] if ctx is the context of a
// load for which this call would wait, directly or through other loads.
//
// f is called with nothing locked. It runs in the goroutine of the caller if ctx cannot end
// and has no parker, like context.Background(), and in a new goroutine otherwise. The
// context of f has the values of ctx, but does not end with it, and has no parker. It ends
// when f has returned or, with the cause [ErrAbandoned], when the last caller has left. If
// f panics or calls runtime.Goexit, all callers get a *[PanicError]. But if f calls Goexit
// in the goroutine of a caller, that goroutine exits after the other callers have the
// error.
//
// When ctx ends while Do waits, Do returns at once with an error that matches ctx.Err() and
// context.Cause(ctx), unless there is a result. If ctx has ended before, Do neither starts
// nor joins a call. It panics if ctx or f is nil.
func (g *Group[K, V]) Do(ctx context.Context, key K, f func(ctx context.Context) (V, error)) (v V, shared bool, err error) {
	mustContext(ctx)
	if f == nil {
		panic("dedup: Do of a nil function")
	}
	var j joinResult[K, V]
	if err := g.flights.join(ctx, &request[K, V]{key: key, do: f, mayRun: true}, &j); err != nil {
		return v, false, err
	}
	r, err := j.fetch(ctx, f)
	if err != nil {
		return v, false, err
	}
	return r.v, r.got > 1, r.err()
}

// A Result is the result of a call of [Group.DoChan], as Do returns it.
type Result[V any] struct {
	Value  V
	Shared bool
	Err    error
}

// DoChan is [Group.Do] for a caller that does something else meanwhile: it returns at once
// a channel that receives the result of f, or the error of ctx, as soon as there is one.
// The channel has room for that one Result, so it need not be received, and it is not
// closed. The caller is in line when DoChan returns. f always runs in a goroutine of its
// own. DoChan panics if ctx or f is nil.
func (g *Group[K, V]) DoChan(ctx context.Context, key K, f func(ctx context.Context) (V, error)) <-chan Result[V] {
	mustContext(ctx)
	if f == nil {
		panic("dedup: DoChan of a nil function")
	}
	c := make(chan Result[V], 1)
	ctx = load.ValuesOf(ctx) // the parker is the caller's, who does not sleep here
	j := new(joinResult[K, V])
	if err := g.flights.join(ctx, &request[K, V]{key: key, do: f}, j); err != nil {
		c <- Result[V]{Err: err}
		return c
	}
	go j.send(ctx, c)
	return c
}

// send waits for the result and sends it. If a method of ctx panics or exits, that is the
// result, because no user code could recover it in this goroutine.
func (j *joinResult[K, V]) send(ctx context.Context, c chan<- Result[V]) {
	var res Result[V]
	returned := false
	defer func() {
		if !returned {
			res = Result[V]{Err: load.Panicked(recover())}
		}
		c <- res
	}()
	r, err := j.fetch(ctx, nil)
	if res.Err = err; err == nil {
		res = Result[V]{r.v, r.got > 1, r.err()}
	}
	returned = true
}

// ForgetUnshared is [Group.Forget] unless several callers wait for the call in flight: then
// it returns false and changes nothing. It also returns true if no call is in flight.
func (g *Group[K, V]) ForgetUnshared(key K) bool { return g.flights.forgetKey(key, 1) }

// Forget makes the next caller of key start a new call even if one is in flight. The call
// in flight continues, and its result goes to the callers that it has.
func (g *Group[K, V]) Forget(key K) {
	g.flights.forgetKey(key, math.MaxInt)
}

// InFlight returns an iterator over the calls in flight that can be joined. The iterator is
// not a snapshot, and nothing is locked while the body of the loop runs.
func (g *Group[K, V]) InFlight() iter.Seq2[K, FlightInfo] { return g.flights.inFlight }

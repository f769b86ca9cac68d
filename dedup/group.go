package dedup

import (
	"context"
	"iter"
	"time"
)

// A Group coalesces: of callers that ask for one key at the same time, one
// load runs and all get its result. It stores nothing. The zero value is ready
// to use. It must not be copied after first use.
//
// The return of a load happens before the return of every Do that it serves.
type Group[K comparable, V any] struct {
	flights flights[K, V]
}

// FlightInfo tells of a load that is under way.
type FlightInfo struct {
	Waiters int       // callers that wait for it; 0: it refreshes in the background
	Started time.Time // when its first caller came
}

// Do calls f, unless a call for key is under way: then it waits for that one.
// It returns what f returned; shared tells that more than one caller got it. With
// an error comes the zero value. If Do is called under the context of a load that
// this call would wait for, the error is [ErrCycle].
//
// f runs in a goroutine of its own, with nothing held. Its context has the
// values of ctx, but neither its end nor its parker; it ends when f has
// returned or, with the cause [ErrAbandoned], when the last caller has left. If
// f panics or calls runtime.Goexit, all callers get a *[PanicError].
//
// A caller whose ctx ends leaves at once, with an error that matches ctx.Err()
// and context.Cause(ctx); the result wins if both came. One whose ctx has ended
// before starts and joins nothing. A nil ctx, and a nil f, panics.
func (g *Group[K, V]) Do(ctx context.Context, key K, f func(ctx context.Context) (V, error)) (v V, shared bool, err error) {
	mustContext(ctx)
	if f == nil {
		panic("dedup: Do of a nil function")
	}
	s, err := g.flights.board(ctx, request[K, V]{key: key, do: f})
	if err != nil {
		return v, false, err
	}
	if s.made {
		start(s.f)
	}
	if err := s.wait(ctx); err != nil {
		return v, false, err
	}
	return s.f.v, s.f.got > 1, s.f.err
}

// Forget lets later callers of key start anew, even if a call is under way. Its
// result goes to the callers that it has.
func (g *Group[K, V]) Forget(key K) {
	if f, ok := g.flights.m.Load(key); ok {
		g.flights.cutOff(f)
	}
}

// InFlight returns an iterator over the calls that are under way and can be
// joined. It is not a snapshot; nothing is held while the loop's body runs.
func (g *Group[K, V]) InFlight() iter.Seq2[K, FlightInfo] { return g.flights.inFlight }

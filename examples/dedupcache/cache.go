package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/vigil-go/vigil/waitmap"
)

// A loader fetches what a key stands for. It may fail, panic and take long.
type loader[K comparable, V any] func(ctx context.Context, key K) (V, error)

// A cache coalesces: however many callers ask for a key at once, one load runs.
//
// Two awaitable maps are all it needs. Callers wait on a key of the first;
// the second says who is loading that key, and doubles as the key's lock:
// everything that must not interleave runs inside flights.Compute, which holds
// that one key and no other.
//
//	Get    hit? return it                      (no lock, no waiting)
//	join     in line for the value, then on the flight: a new one if none is there
//	fly        the load, in a goroutine and under a context of its own
//	land       publish to everybody in line, then release the key
//	leave    a caller gave up; the last one to leave cancels the flight
type cache[K comparable, V any] struct {
	values  shelf[K, V]             // what was loaded; who waits for it
	flights waitmap.Map[K, *flight] // what is being loaded
	load    loader[K, V]            // called once per flight
	timeout time.Duration           // how long one load may take
	base    context.Context         // of every load: a load belongs to no caller
	stop    context.CancelCauseFunc // ends base
}

// A flight is one load that is under way. Its fields belong to whoever holds
// its key in flights.Compute.
type flight struct {
	callers int                // who would be disappointed if it were canceled
	cancel  context.CancelFunc // ends the load
}

var (
	errGoexit  = errors.New("the load called runtime.Goexit")
	errTimeout = fmt.Errorf("the load took too long: %w", context.DeadlineExceeded)
)

func newCache[K comparable, V any](load loader[K, V], timeout time.Duration, o shelfOptions[V]) *cache[K, V] {
	c := &cache[K, V]{load: load, timeout: timeout}
	c.values.shelfOptions = o
	c.base, c.stop = context.WithCancelCause(context.Background())
	return c
}

// Get returns the value of key, and where it came from. Of the callers that
// miss, one starts a load and all wait for it. A load that fails gives its
// error to those who waited for it and leaves nothing behind. A caller whose
// context ends returns at once; the load goes on for the others.
func (c *cache[K, V]) Get(ctx context.Context, key K) (V, source, error) {
	if v, ok := c.values.get(key); ok {
		return v, hit, nil
	}
	c.values.waiting.add(1)
	defer c.values.waiting.add(-1)

	place, f, from := c.join(key)
	defer place.Stop()
	it, err := place.Wait(ctx)
	if err != nil {
		c.leave(key, f)
		var none V
		return none, from, fmt.Errorf("get %v: %w", key, err)
	}
	return it.value, from, nil
}

// join gets in line for key's value and makes sure that somebody loads it.
//
// In line first, then on the flight: whatever the flight comes to, we are told.
// A flight cannot land in between, because landing needs the key that Compute
// holds here. If one landed just before, Register found its value (or found
// the cache closed) and is done, and there is nothing to start.
func (c *cache[K, V]) join(key K) (place *waitmap.Future[*item[V]], f *flight, from source) {
	c.flights.Compute(key, func(cur *flight, flying bool) (*flight, waitmap.Op) {
		place = c.values.Register(key, nil)
		if _, done, _ := place.Result(); done {
			from = hit
			return cur, waitmap.Keep
		}
		if flying {
			cur.callers++
			f, from = cur, joined
			return cur, waitmap.Keep
		}
		f, from = c.takeOff(key), led
		return f, waitmap.Set
	})
	return place, f, from
}

// takeOff starts a load for its first caller, under a context of its own. The
// caller's would not do: if it ended, it would fail everybody who joined.
func (c *cache[K, V]) takeOff(key K) *flight {
	ctx, cancel := context.WithTimeoutCause(c.base, c.timeout, errTimeout)
	f := &flight{callers: 1, cancel: cancel}
	go c.fly(ctx, key, f)
	return f
}

// fly runs the load and lands, whatever the load does. Nobody could recover a
// panic of this goroutine, so it is turned into an error here.
func (c *cache[K, V]) fly(ctx context.Context, key K, f *flight) {
	var v V
	err := errGoexit // stands if load neither returns nor panics
	defer func() {
		if p := recover(); p != nil {
			err = &panicError{value: p, stack: debug.Stack()}
		}
		f.cancel()
		c.land(key, f, v, err)
	}()
	v, err = c.load(ctx, key)
}

// land publishes, then releases: the flight is still in its place while its
// value appears, so at every instant a caller finds one or the other, and
// nobody loads the same thing twice.
//
// A flight that was abandoned is not in its place any more. Perhaps another is:
// it is left alone.
func (c *cache[K, V]) land(key K, f *flight, v V, err error) {
	c.flights.Compute(key, func(cur *flight, _ bool) (*flight, waitmap.Op) {
		if cur != f {
			return cur, waitmap.Keep
		}
		if err != nil {
			c.values.CancelCause(key, err) // told, not stored
		} else {
			c.values.publish(key, v)
		}
		return nil, waitmap.Remove
	})
}

// leave gives up a caller's interest in f. The last one takes the flight out
// of its place and cancels it, in one step: nobody can join a flight that is
// being canceled, a newcomer starts the next one.
func (c *cache[K, V]) leave(key K, f *flight) {
	c.flights.Compute(key, func(cur *flight, _ bool) (*flight, waitmap.Op) {
		if f == nil || cur != f {
			return cur, waitmap.Keep // it has landed
		}
		if f.callers--; f.callers > 0 {
			return cur, waitmap.Keep
		}
		f.cancel()
		return nil, waitmap.Remove
	})
}

// Close releases every waiting caller with an error that matches
// waitmap.ErrClosed, and tells the loads to end. Values that are there are
// still found.
func (c *cache[K, V]) Close() {
	c.values.Close()
	c.stop(waitmap.ErrClosed)
}

// A panicError is what callers get when a load panicked.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string {
	return fmt.Sprintf("the load panicked: %v", e.value)
}

func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// A Group coalesces calls on all machines that use the bucket: while a load of a key is in
// progress on one of them, calls for that key wait for its result. [NewGroup] returns a
// Group. Its methods may be called from any goroutine, and from a task of an event loop.
// Keys are as in a [Map].
//
// Who loads holds a lease of the key, a value in the bucket that ends by itself unless it
// is renewed. The result takes the place of the lease, and ends the load. If the holder dies
// or is cut off, the lease ends when its TTL is over, and another machine loads; if the
// holder closes its Bucket, at once. A holder that comes back late, as after SIGSTOP, has
// its result refused, and its callers get that of its successor.
//
// Each load has a fence, a number that is larger than those of all loads of the key that
// began before in the same history of the bucket. A load that writes to other systems can
// pass it on, so that they can refuse those that are late: see [Fence].
type Group[V any] struct {
	records
	codec     Codec
	ttl       time.Duration
	resultTTL time.Duration
	local     dedup.Group[string, V] // one call of this process for each key
}

// GroupOptions configure a [Group].
type GroupOptions struct {
	// Name is the name of the Group in its bucket. Processes that use the same name share
	// the Group. It may be any string without NUL.
	Name string

	// Codec turns results into bytes and back. Nil means JSON. Callers on the machine that
	// loads get the result itself, and those on others what Decode makes of it.
	Codec Codec

	// TTL is the time after which another machine may load, if the holder of the lease has
	// died. The holder renews the lease three times in it. Zero means 10 s. The least
	// is 1 s, the most 100 years; it is rounded up to whole seconds.
	TTL time.Duration

	// ResultTTL is the time for which a result is kept for those that wait for it. A
	// process that is cut off for longer may load again. Zero means TTL. The least is 1 s,
	// the most 100 years; it is rounded up to whole seconds.
	ResultTTL time.Duration
}

// A RemoteError is the error of a load on another machine. It has the text of the error, and
// matches nothing.
type RemoteError struct{ Text string }

func (e *RemoteError) Error() string { return e.Text }

// NewGroup returns the Group of that name. A Bucket has one Group of each name; another call
// for the name fails.
func NewGroup[V any](b *Bucket, o *GroupOptions) (*Group[V], error) {
	if o == nil {
		o = new(GroupOptions)
	}
	g := &Group[V]{codec: o.Codec}
	if g.codec == nil {
		g.codec = JSON
	}
	var err error
	if g.ttl, err = wholeSeconds("TTL", o.TTL, 10*time.Second); err != nil {
		return nil, err
	}
	if g.resultTTL, err = wholeSeconds("ResultTTL", o.ResultTTL, g.ttl); err != nil {
		return nil, err
	}
	g.waits = g.calls
	if err := g.open(b, kindGroup, o.Name); err != nil {
		return nil, err
	}
	return g, nil
}

// longest is the longest time to live: sums of longer ones with dates may overflow.
const longest = 100 * 365 * 24 * time.Hour

// wholeSeconds returns a time to live that an engine can have.
func wholeSeconds(name string, d, otherwise time.Duration) (time.Duration, error) {
	switch {
	case d == 0:
		return otherwise, nil
	case d < time.Second:
		return 0, fmt.Errorf("cluster: the %s is %v, and must be at least 1s", name, d)
	}
	return (min(d, longest) + time.Second - 1).Truncate(time.Second), nil
}

// Do calls f and returns its result, unless a load of key is in progress on any machine:
// then Do waits for the result of that load. It never returns the result of a load that had
// ended before the call, unless an earlier call on this machine still waits for that load. If
// err is not nil, v is the zero value.
//
// An error of f reaches the callers on this machine as it is, and those on others as a
// [*RemoteError]. If f, Encode or the error's Error method panics or calls
// runtime.Goexit, the callers on this machine get a *dedup.PanicError, and another machine
// that waits loads. But if f calls Goexit in the goroutine of a caller, that goroutine
// exits. A result that cannot be encoded, or that the engine cannot have, is an error, too,
// on this machine only. An error that the engine cannot have reaches the callers on this
// machine, and another machine that waits loads. If the result of another machine cannot be
// decoded, the error matches [ErrDecode].
//
// f is called with nothing locked, in the goroutine of the caller if ctx cannot end and is
// not that of a task, and otherwise in a new one. Its context has the values of ctx and the fence of
// the load. It ends when f has returned, and before that with one of these causes:
//
//   - dedup.ErrAbandoned when the last caller on this machine has left. If f returns a
//     result all the same, other machines get it.
//   - [ErrLeaseLost] when the lease has ended. If f returns a result all the same, Do uses
//     it if the engine still has the lease. Otherwise, and if f returns an error, Do waits
//     for the result of the successor, or calls f again if there is none.
//   - [ErrClosed] when the Bucket is closed. If f returns a result all the same, it is refused.
//
// Of several callers on this machine, the f and the values of the first are used. So f may
// be called when the Do that it was passed to has returned, and more than once. Two loads of
// a key can run at the same time only if the first has lost its lease, or its callers.
//
// If ctx ends while Do waits, Do returns at once with an error that matches ctx.Err() and
// context.Cause(ctx). After [Bucket.Close] the error matches [ErrClosed]. While the engine
// cannot be reached, Do waits. If the calls on this machine have lost five leases, without a
// result of another machine, the error matches [ErrLeaseLost]: the TTL is too short. A load
// that waits, by Do, for one that waits for it on another machine waits until its context
// ends; on the same machine that is dedup.ErrCycle. Do panics if ctx or f is nil.
//
// In the terminology of the Go memory model, the return of f happens before the return of
// each Do that returns its result, on any machine.
func (g *Group[V]) Do(ctx context.Context, key string, f func(ctx context.Context) (V, error)) (v V, err error) {
	mustContext(ctx)
	if f == nil {
		panic("cluster: nil function")
	}
	v, _, err = g.local.Do(ctx, key, func(ctx context.Context) (V, error) { return g.flight(ctx, key, f) })
	return v, err
}

type fenceKey struct{}

// Fence returns the fence of the load whose context ctx is, or is derived from. It is the
// revision at which the lease was taken. It reports false if there is none.
func Fence(ctx context.Context) (fence uint64, ok bool) {
	fence, ok = ctx.Value(fenceKey{}).(uint64)
	return fence, ok
}

package wake

import (
	"context"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
)

// A Waker tells one waiter to look at its condition again.
type Waker interface {
	// Wake may be called from any goroutine, any number of times; calls beyond
	// the first are harmless. It must not block. This module calls it with none
	// of its locks held, so Wake may call methods of the object that calls it.
	Wake()
}

// Func adapts a function to a [Waker].
type Func func()

// Wake calls f.
func (f Func) Wake() { f() }

// Chan adapts a channel to a [Waker], for use in a select statement. The channel should
// have a buffer of one: a wake that finds the buffer full is merged with the one
// before it, but a wake that finds an unbuffered channel without a receiver is lost.
type Chan chan struct{}

// Wake sends on c if that is possible at once. It never blocks.
func (c Chan) Wake() {
	fence.Load()
	select {
	case c <- struct{}{}:
	default:
	}
}

// fence is never written. The load in [Chan.Wake] is an acquire, which keeps the look
// at the channel's buffer behind the atomic write that made the waiter's condition true.
// Go looks there by a plain read, which arm64 could do before that write. The waiter
// could then receive the earlier wake and find its condition false, while this wake was
// merged with the one that the waiter has received.
var fence atomic.Uint32

// A Registration is a [Waker]'s place in a line of waiters.
type Registration interface {
	// Stop takes the Waker out of the line. It reports whether it prevented the
	// call of Wake, as time.Timer's Stop and the stop function of
	// context.AfterFunc do.
	Stop() bool
}

// A Parker suspends the code that runs under a context until it is woken. A wake is
// kept as a permit until a Park takes it; a Parker holds at most one permit.
//
// A Parker belongs to one sleeper at a time. A task that passes its context to a
// goroutine hides its parker from that goroutine:
//
//	go work(wake.WithParker(ctx, nil))
type Parker interface {
	// Wake stores a permit. If there is one already, Wake changes nothing.
	Waker

	// Park waits for a permit, takes it and returns nil. If ctx is done first,
	// Park returns context.Cause(ctx) or another error that is not nil. A permit
	// that is there is taken even if ctx is done. Park may return nil without a
	// wake, for example because of a permit that an earlier wait left, so callers
	// look at their condition again. A Parker may also return errors of its own;
	// the wait then ends with that error.
	Park(ctx context.Context) error
}

// chanParker parks a goroutine. The permit is the element in its buffer.
//
// The channel is always a new one. Using a channel of one testing/synctest bubble
// outside of it ends the program, and in a bubble only a channel that was made there
// blocks durably.
type chanParker chan struct{}

// NewParker returns a [Parker] that parks a goroutine. In a testing/synctest bubble,
// its Park is durably blocking if NewParker was called in the bubble.
func NewParker() Parker { return make(chanParker, 1) }

func (p chanParker) Wake() { Chan(p).Wake() }

func (p chanParker) Park(ctx context.Context) error {
	mustContext(ctx)
	done := ctx.Done()
	if done == nil {
		<-p
		return nil
	}
	select {
	case <-p:
		return nil
	case <-done:
	}
	schedpoint.At(schedpoint.ContextWon)
	select { // select picks at random when both are ready; the permit wins
	case <-p:
		return nil
	default:
		return ended(ctx)
	}
}

// ended returns the error of a context whose Done channel is closed. The error is never
// nil, even if the methods of ctx return nil: otherwise a waiter would park again and
// again.
func ended(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Canceled
}

type parkerKey struct{}

// WithParker returns a copy of ctx that carries p, so that the module's blocking calls
// under it sleep by p.Park. A nil p hides the parker that ctx carries: [ParkerFrom] of
// the copy returns a new one.
func WithParker(ctx context.Context, p Parker) context.Context {
	mustContext(ctx)
	return context.WithValue(ctx, parkerKey{}, p)
}

// ParkerFrom returns the parker that ctx carries, or the result of [NewParker] if it
// carries none.
func ParkerFrom(ctx context.Context) Parker {
	if p, ok := FromContext(ctx); ok {
		return p
	}
	return NewParker()
}

// FromContext returns the parker that ctx carries, and false if it carries none or
// hides it. It is for code that may not have to sleep at all, or that treats a certain
// kind of parker differently.
func FromContext(ctx context.Context) (Parker, bool) {
	mustContext(ctx)
	p, _ := ctx.Value(parkerKey{}).(Parker)
	return p, p != nil
}

func mustContext(ctx context.Context) {
	if ctx == nil {
		panic("wake: nil context")
	}
}

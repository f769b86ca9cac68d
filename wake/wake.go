package wake

import (
	"context"

	"github.com/vigil-go/vigil/internal/yield"
)

// A Waker tells one waiter to look again.
//
// Wake may be called from any goroutine, any number of times; calls beyond the
// first are harmless. It never blocks, and no lock of this module is held
// while it runs, so it may call back into whatever woke it.
type Waker interface {
	Wake()
}

// Func adapts a function to a [Waker].
type Func func()

// Wake calls f.
func (f Func) Wake() { f() }

// Chan adapts a channel to a [Waker], for use in a select statement. Give it a
// buffer of one: a wake that finds the buffer full is merged with the one
// before it, a wake that finds an unbuffered channel without a receiver is
// lost.
type Chan chan struct{}

// Wake sends on c if that is possible at once. It never blocks.
func (c Chan) Wake() {
	select {
	case c <- struct{}{}:
	default:
	}
}

// A Registration is a [Waker]'s place in somebody's line.
type Registration interface {
	// Stop leaves the line. It reports whether it prevented the wake, as
	// time.Timer's Stop and the stop function of context.AfterFunc do.
	Stop() bool
}

// A Parker suspends the code that runs under a context until somebody wakes
// it. It holds at most one permit.
//
// A Parker belongs to one sleeper at a time. Code that hands a task's context
// to a goroutine of its own hides the task's parker first:
//
//	go work(wake.WithParker(ctx, nil))
type Parker interface {
	// Wake leaves one permit; a permit that is there already stays one.
	Waker

	// Park returns nil once it took a permit, and context.Cause(ctx) when
	// ctx is done first: if that is nil, ctx.Err() or context.Canceled, but
	// never nil. A permit that is there is taken even if ctx is done. Park
	// may return nil without a wake: callers look again at what they wait
	// for.
	Park(ctx context.Context) error
}

// chanParker parks a goroutine. The permit is the element in its buffer.
//
// The channel is always a fresh one: a pooled channel that crosses the border
// of a testing/synctest bubble is fatal, and only a channel that was made in
// the bubble lets its tests see the goroutine as durably blocked.
type chanParker chan struct{}

// NewParker returns a [Parker] that parks a goroutine.
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
	yield.At(yield.ContextWon)
	select { // select picks at random when both are ready; the permit wins
	case <-p:
		return nil
	default:
		return ended(ctx)
	}
}

// ended is why ctx, whose Done is closed, has ended. It is never nil, whatever
// ctx says: who waits would look again, and park again, without end.
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

// WithParker returns a copy of ctx under which code sleeps through p. A nil p
// hides the parker of an outer context: [ParkerFrom] then makes a new one.
func WithParker(ctx context.Context, p Parker) context.Context {
	mustContext(ctx)
	return context.WithValue(ctx, parkerKey{}, p)
}

// ParkerFrom returns the parker that ctx carries, or a new goroutine parker if
// it carries none.
func ParkerFrom(ctx context.Context) Parker {
	if p, ok := Carried(ctx); ok {
		return p
	}
	return NewParker()
}

// Carried returns the parker that ctx carries, and false if it carries none or
// hides it: for code that may not have to sleep at all, or that serves a
// certain kind of parker in a way of its own.
func Carried(ctx context.Context) (Parker, bool) {
	mustContext(ctx)
	p, _ := ctx.Value(parkerKey{}).(Parker)
	return p, p != nil
}

func mustContext(ctx context.Context) {
	if ctx == nil {
		panic("wake: nil context")
	}
}

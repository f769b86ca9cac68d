package misbehave

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Kind is the way in which a [Context] misbehaves.
type Kind uint8

const (
	Lies         Kind = iota // Done is closed and Err returns nil
	Flaps                    // Err returns nil at every other call
	Changes                  // Err returns another error at each call
	Uncomparable             // Err returns an error that cannot be compared: == panics
	ErrStrikes               // Err panics or exits
	DoneStrikes              // Done panics or exits
	ValueStrikes             // Value panics or exits
	kinds
)

func (k Kind) String() string {
	return [...]string{"lies", "flaps", "changes", "has an uncomparable error", "strikes in Err", "strikes in Done", "strikes in Value"}[k]
}

// A Context ends when End is called and misbehaves as its Kind says. It has no values.
type Context struct {
	Kind   Kind
	strike Strike
	nth    int32 // the call that misbehaves
	calls  atomic.Int32
	done   chan struct{}
	end    func()
}

// DrawContext returns a Context of any kind that has not ended.
func DrawContext(r *rand.Rand) *Context { return newContext(Kind(r.IntN(int(kinds))), r) }

// DrawLiar returns a Context none of whose methods panics or exits.
func DrawLiar(r *rand.Rand) *Context { return newContext(Kind(r.IntN(int(ErrStrikes))), r) }

func newContext(k Kind, r *rand.Rand) *Context {
	c := &Context{Kind: k, strike: Unwinding(r), nth: 1 + r.Int32N(4), done: make(chan struct{})}
	c.end = sync.OnceFunc(func() { close(c.done) })
	return c
}

// End ends the context.
func (c *Context) End() { c.end() }

func (c *Context) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// at panics or exits if the context is of kind k and this is its nth call.
func (c *Context) at(k Kind) {
	if c.Kind == k && c.calls.Add(1) == c.nth {
		_ = c.strike.Do()
	}
}

func (c *Context) Deadline() (deadline time.Time, ok bool) { return deadline, false }

func (c *Context) Done() <-chan struct{} {
	c.at(DoneStrikes)
	return c.done
}

func (c *Context) Value(any) any {
	c.at(ValueStrikes)
	return nil
}

func (c *Context) Err() error {
	c.at(ErrStrikes)
	if !c.ended() {
		return nil
	}
	switch c.Kind {
	case Lies:
		return nil
	case Flaps:
		if c.calls.Add(1)%2 == 0 {
			return nil
		}
		return context.Canceled
	case Changes:
		return &changed{c.calls.Add(1)}
	case Uncomparable:
		return uncomparable{"misbehaving: no ==", "for this"}
	default:
		return context.Canceled
	}
}

// Check returns an error if err is not what a wait under c, which has ended, may return.
func (c *Context) Check(err error) error {
	right := errors.Is(err, context.Canceled)
	switch c.Kind {
	case Changes:
		_, right = errors.AsType[*changed](err)
	case Uncomparable:
		_, right = errors.AsType[uncomparable](err)
	}
	if err != nil {
		_ = err.Error() // must not panic
	}
	if !right {
		return fmt.Errorf("a context that %v: the wait returned %v", c.Kind, err)
	}
	return nil
}

type changed struct{ n int32 }

func (e *changed) Error() string { return fmt.Sprint("misbehaving: error ", e.n) }

type uncomparable []string

func (e uncomparable) Error() string { return e[0] }

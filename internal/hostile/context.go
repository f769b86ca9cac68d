package hostile

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Kind is what is wrong with a [Context].
type Kind uint8

const (
	Lies         Kind = iota // Done is closed and Err nil
	Flaps                    // Err is nil at every other call
	Changes                  // Err is another error at each call
	Uncomparable             // Err is of a type that == panics on
	ErrStrikes               // Err panics or exits
	DoneStrikes              // Done does
	ValueStrikes             // Value does
	kinds
)

func (k Kind) String() string {
	return [...]string{"lies", "flaps", "changes", "has an uncomparable error", "strikes in Err", "strikes in Done", "strikes in Value"}[k]
}

// A Context has an end and something wrong with it. It has no values.
type Context struct {
	Kind   Kind
	strike Strike
	nth    int32 // the call that strikes
	calls  atomic.Int32
	done   chan struct{}
	end    func()
}

// DrawContext returns one that has not ended.
func DrawContext(r *rand.Rand) *Context { return newContext(Kind(r.IntN(int(kinds))), r) }

// DrawLiar is DrawContext, and none of its methods strikes.
func DrawLiar(r *rand.Rand) *Context { return newContext(Kind(r.IntN(int(ErrStrikes))), r) }

func newContext(k Kind, r *rand.Rand) *Context {
	c := &Context{Kind: k, strike: Unwinding(r), nth: 1 + r.Int32N(4), done: make(chan struct{})}
	c.end = sync.OnceFunc(func() { close(c.done) })
	return c
}

// End ends it.
func (c *Context) End() { c.end() }

func (c *Context) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// at strikes if the context is of that kind and this is the call.
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
		return uncomparable{"hostile: no ==", "for this"}
	default:
		return context.Canceled
	}
}

// Check says what is wrong with the error of a wait under c that has ended.
func (c *Context) Check(err error) error {
	right := errors.Is(err, context.Canceled)
	switch c.Kind {
	case Changes:
		_, right = errors.AsType[*changed](err)
	case Uncomparable:
		_, right = errors.AsType[uncomparable](err)
	}
	if err != nil {
		_ = err.Error() // it can be told
	}
	if !right {
		return fmt.Errorf("a context that %v: the wait returned %v", c.Kind, err)
	}
	return nil
}

type changed struct{ n int32 }

func (e *changed) Error() string { return fmt.Sprint("hostile: error ", e.n) }

type uncomparable []string

func (e uncomparable) Error() string { return e[0] }

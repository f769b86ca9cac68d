// Package misbehave has parkers, wakers and contexts that panic, end their goroutine,
// fail with an error of their own, or return wrong results. Tests use them together
// with well-behaved callers.
package misbehave

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"github.com/vigil-go/vigil/wake"
)

var (
	// ErrPanic is the value of every panic in this package.
	ErrPanic = errors.New("misbehaving: a panic of the test's own")

	// ErrOwn is the error that a [Parker] fails with.
	ErrOwn = errors.New("misbehaving: an error of the test's own")
)

// A Strike is a way in which a function misbehaves.
type Strike uint8

const (
	None  Strike = iota
	Panic        // with ErrPanic
	Exit         // by runtime.Goexit
	Fail         // with ErrOwn, where there is an error to return
)

// Do misbehaves as s says. It returns ErrOwn for Fail and nil for None.
func (s Strike) Do() error {
	switch s {
	case Panic:
		panic(ErrPanic)
	case Exit:
		runtime.Goexit()
	case Fail:
		return ErrOwn
	}
	return nil
}

// Unwinding returns Panic or Exit, at random.
func Unwinding(r *rand.Rand) Strike { return Panic + Strike(r.IntN(2)) }

// Any returns Panic, Exit or Fail, at random.
func Any(r *rand.Rand) Strike { return Panic + Strike(r.IntN(3)) }

// Go runs f in a new goroutine and then calls end with how f ended: None, Panic or
// Exit. It recovers ErrPanic only.
func Go(f func(), end func(how Strike)) {
	go func() {
		how := Exit
		defer func() {
			if v := recover(); v == ErrPanic {
				how = Panic
			} else if v != nil {
				panic(v)
			}
			end(how)
		}()
		f()
		how = None
	}()
}

// A Parker parks a goroutine and counts the calls of its methods. Its fields say
// where it misbehaves; with zero fields it behaves well.
type Parker struct {
	Before Strike // when Park is called
	After  Strike // when Park has taken a permit, or its context has ended
	OnWake Strike // when Wake has left the permit
	Back   func() // called by Wake before OnWake; may be nil

	Parks, Wakes atomic.Int32 // calls so far

	permit wake.Parker
}

// NewParker returns a Parker that behaves well.
func NewParker() *Parker { return &Parker{permit: wake.NewParker()} }

// DrawParker returns a Parker whose Park misbehaves, at once or after the permit.
func DrawParker(r *rand.Rand) *Parker {
	p := NewParker()
	if r.IntN(2) == 0 {
		p.Before = Any(r)
	} else {
		p.After = Any(r)
	}
	return p
}

// Park counts the call, parks and misbehaves.
func (p *Parker) Park(ctx context.Context) error {
	p.Parks.Add(1)
	if err := p.Before.Do(); err != nil {
		return err
	}
	err := p.permit.Park(ctx)
	if own := p.After.Do(); own != nil {
		return own
	}
	return err
}

// Wake counts the call, leaves a permit, calls Back and misbehaves.
func (p *Parker) Wake() {
	p.Wakes.Add(1)
	p.permit.Wake()
	if p.Back != nil {
		p.Back()
	}
	_ = p.OnWake.Do()
}

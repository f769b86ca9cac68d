// Package hostile is what tests put beside well-behaved callers: parkers,
// wakers and contexts that panic, end their goroutine, fail with an error of
// their own, or lie.
package hostile

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync/atomic"

	"github.com/vigil-go/vigil/wake"
)

var (
	// ErrPanic is what everything here panics with.
	ErrPanic = errors.New("hostile: a panic of the test's own")

	// ErrOwn is what a [Parker] fails with.
	ErrOwn = errors.New("hostile: an error of the test's own")
)

// A Strike is what a function does instead of returning as it should.
type Strike uint8

const (
	None  Strike = iota
	Panic        // with ErrPanic
	Exit         // by runtime.Goexit
	Fail         // with ErrOwn, where there is an error to return
)

// Do strikes. It returns ErrOwn for Fail and nil for None.
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

// Unwinding draws Panic or Exit.
func Unwinding(r *rand.Rand) Strike { return Panic + Strike(r.IntN(2)) }

// Any draws Panic, Exit or Fail.
func Any(r *rand.Rand) Strike { return Panic + Strike(r.IntN(3)) }

// Go runs f on a goroutine of its own and then calls end, with how f ended:
// None, Panic or Exit. It recovers ErrPanic only.
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

// A Parker parks a goroutine and counts; it strikes where it is told to. The
// zero strikes make an innocent one.
type Parker struct {
	Before Strike // when Park is called
	After  Strike // when Park has its permit, or its context's end
	OnWake Strike // when the permit is left
	Back   func() // called by Wake before that; may be nil

	Parks, Wakes atomic.Int32 // calls so far

	permit wake.Parker
}

// NewParker returns an innocent one.
func NewParker() *Parker { return &Parker{permit: wake.NewParker()} }

// DrawParker returns one whose Park strikes, at once or after the permit.
func DrawParker(r *rand.Rand) *Parker {
	p := NewParker()
	if r.IntN(2) == 0 {
		p.Before = Any(r)
	} else {
		p.After = Any(r)
	}
	return p
}

// Park counts, parks and strikes.
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

// Wake counts, leaves a permit, calls back and strikes.
func (p *Parker) Wake() {
	p.Wakes.Add(1)
	p.permit.Wake()
	if p.Back != nil {
		p.Back()
	}
	_ = p.OnWake.Do()
}

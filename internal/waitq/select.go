package waitq

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/wake"
)

// Select waits until one of the cases has happened, and returns its index and the error
// that it ended with. If ctx ends first, it returns -1 and the context's error. A nil
// case never happens.
//
// It tries the cases in order. If none is possible, it gets in line for one after the
// other, and sleeps until its claim is no longer open. Then it leaves the lines of the
// others. A goroutine yields the processor and tries once more before it gets in line: if
// a goroutine that is runnable makes a case possible, that costs a fraction of a sleep and a
// wake.
//
// A case with a Commit has happened when that says so. Otherwise Select begins again.
func Select[C choice.Case](ctx context.Context, cases []C) (chosen int, err error) {
	for _, c := range cases {
		if h := choice.Of(c); h != nil && h.Commit != nil {
			return selectCommitting(ctx, cases)
		}
	}
	return selectOnce(ctx, cases)
}

// selectCommitting is Select if a case has a Commit.
func selectCommitting[C choice.Case](ctx context.Context, cases []C) (chosen int, err error) {
	defer setElapsed(cases, 0)
	for begun := time.Now(); ; setElapsed(cases, time.Since(begun)) {
		chosen, err := selectOnce(ctx, cases)
		if chosen < 0 || err != nil {
			return chosen, err
		}
		commit := choice.Of(cases[chosen]).Commit
		if commit == nil {
			return chosen, nil
		}
		if done, err := commit(ctx); done {
			return chosen, err
		}
	}
}

func setElapsed[C choice.Case](cases []C, d time.Duration) {
	for _, c := range cases {
		if h := choice.Of(c); h != nil {
			h.Elapsed = d
		}
	}
}

// selectOnce lets one case happen, but does not commit it.
func selectOnce[C choice.Case](ctx context.Context, cases []C) (chosen int, err error) {
	consume := ctx.Err() == nil
	if i, err := try(cases, consume); i >= 0 {
		return i, err
	}
	if !consume {
		return -1, ContextError(ctx)
	}
	p, ok := wake.FromContext(ctx)
	if !ok {
		runtime.Gosched()
		if i, err := try(cases, true); i >= 0 {
			return i, err
		}
	}
	s := newSelection(p, len(cases))
	for i, c := range cases {
		s.cases[i] = choice.Of(c)
	}
	return s.run(ctx)
}

// try returns the first case that is possible at once, or -1.
func try[C choice.Case](cases []C, consume bool) (chosen int, err error) {
	for i, c := range cases {
		if h := choice.Of(c); h != nil {
			if done, err := h.Actions.Try(consume); done {
				return i, err
			}
		}
	}
	return -1, nil
}

// manyCases is the number of cases that a selection has room for.
const manyCases = 4

// A selection is a Select that is in line.
type selection struct {
	claim  choice.Claim
	parker wake.Parker
	cases  []*choice.Handle // nil: never happens
	arms   []choice.Arm     // of each case
	in     []bool           // the case is in line, or was when it happened

	// What follows stays in the pool with the selection: a goroutine's parker, and room
	// for a few cases.
	own       wake.Parker
	caseSpace [manyCases]*choice.Handle
	armSpace  [manyCases]choice.Arm
	inSpace   [manyCases]bool
}

// selections holds those that no notifier uses any more.
var selections = sync.Pool{New: func() any { return new(selection) }}

// newSelection returns a selection of n cases that sleeps by p, or by a parker of its own
// if p is nil.
func newSelection(p wake.Parker, n int) *selection {
	s := selections.Get().(*selection)
	if n <= manyCases {
		s.cases, s.arms, s.in = s.caseSpace[:n], s.armSpace[:n], s.inSpace[:n]
	} else {
		s.cases, s.arms, s.in = make([]*choice.Handle, n), make([]choice.Arm, n), make([]bool, n)
	}
	if s.parker = p; p == nil {
		s.parker = s.ownParker()
	}
	return s
}

// ownParker returns a goroutine's parker. In a testing/synctest bubble it is a new one,
// which blocks durably there and is not used outside.
func (s *selection) ownParker() wake.Parker {
	if InBubble() {
		return wake.NewParker()
	}
	if s.own == nil {
		s.own = wake.NewParker()
	}
	return s.own
}

// run gets in line and sleeps. Whatever Park and the wakers of others do, it leaves
// nothing in line.
func (s *selection) run(ctx context.Context) (chosen int, err error) {
	returned := false
	defer func() {
		if !returned {
			s.unwind()
		}
	}()
	s.enter()
	err = s.park(ctx)
	unused := s.leave()
	if err != nil {
		err = ParkError(ctx, err)
	}
	if chosen = s.claim.Chosen(); chosen >= 0 {
		unused = unused && (!s.in[chosen] || s.arms[chosen].Called())
		s.cases[chosen].User = nil
		err = s.cases[chosen].Actions.Result()
	}
	returned = true
	if unused {
		s.recycle()
	}
	return chosen, err
}

// enter gets in line for one case after the other, until one of them has happened.
func (s *selection) enter() {
	for i, c := range s.cases {
		if !s.claim.Open() {
			return
		}
		if c == nil || c.User == &s.claim { // nil, or given twice: then its first place counts
			continue
		}
		if c.User != nil {
			panic("await: a Case is used by two Selects at the same time")
		}
		s.arms[i].Init(&s.claim, i, s.parker)
		if s.in[i] = c.Actions.Enter(&s.arms[i]); s.in[i] {
			c.User = &s.claim
		}
		schedpoint.At(schedpoint.SelectEntered)
	}
}

// park sleeps until the claim is not open. If ctx ends or the parker fails before, it
// withdraws the claim and returns Park's error.
func (s *selection) park(ctx context.Context) error {
	for s.claim.Open() {
		err := s.parker.Park(ctx)
		schedpoint.At(schedpoint.SelectParked)
		if err != nil && s.claim.Withdraw() {
			return err
		}
	}
	return nil
}

// leave leaves all lines but that of the case that has happened. It reports whether no
// notifier can use the arms of the others any more. Waiters that it lets in are woken,
// and whatever their wakers do, it leaves the other lines, too.
func (s *selection) leave() (unused bool) {
	chosen, i := s.claim.Chosen(), 0
	defer func() {
		if i < len(s.in) {
			s.leave()
		}
	}()
	for unused = true; i < len(s.in); i++ {
		if s.in[i] && i != chosen {
			s.in[i], s.cases[i].User = false, nil
			unused = s.cases[i].Actions.Leave() && unused
		}
	}
	return unused
}

// unwind leaves all lines after Park, a waker, or a method of ctx has panicked or ended
// the goroutine, and gives back what a case got.
func (s *selection) unwind() {
	s.claim.Withdraw()
	defer s.leave()
	if chosen := s.claim.Chosen(); chosen >= 0 {
		s.cases[chosen].User = nil
		s.cases[chosen].Actions.Undo()
	}
}

// recycle puts s into the pool, without the cases and the parker of its wait.
func (s *selection) recycle() {
	s.parker, s.cases, s.arms, s.in = nil, nil, nil, nil
	clear(s.caseSpace[:])
	clear(s.armSpace[:])
	clear(s.inSpace[:])
	s.claim.Reset()
	selections.Put(s)
}

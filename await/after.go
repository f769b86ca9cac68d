package await

import (
	"time"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/wake"
)

// After returns a case of a [Select] that happens when d has passed since that Select
// began. So a Case that is used again waits again, and a timer runs only during a Select.
// If d is not positive, the case is possible at once, and is chosen if no case before it
// is. Then it is chosen even if the context has ended, because it consumes nothing.
func After(d time.Duration) wake.Case {
	a := &after{d: d}
	a.Actions = a
	return a
}

type after struct {
	choice.Handle
	d     time.Duration
	timer *time.Timer
}

// Try looks whether there is nothing to wait for.
func (a *after) Try(bool) (done bool, err error) { return a.d <= a.Elapsed, nil }

// Enter starts a timer. It is a new one for each Select: a timer of one testing/synctest
// bubble must not be used outside, and the function of a timer that was stopped too late
// still runs.
func (a *after) Enter(arm *choice.Arm) (entered bool) {
	a.timer = time.AfterFunc(a.d-a.Elapsed, func() {
		if arm.Claim() {
			schedpoint.At(schedpoint.WaiterWon)
			arm.Wake()
		}
	})
	return true
}

// Leave stops the timer. If it is too late for that, the timer's function may still use
// the arm.
func (a *after) Leave() (unused bool) { return a.timer.Stop() }

// Result has nothing to assign.
func (a *after) Result() error { return nil }

// Undo has nothing to give back.
func (a *after) Undo() {}

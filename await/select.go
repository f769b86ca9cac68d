package await

import (
	"context"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// Select waits until one of the cases can happen, lets it happen, and returns its index.
// The other cases are as if they had never begun: they have taken nothing, and none of
// them is still in line.
//
// If several cases can happen when Select is called, the one with the lowest index does.
// Otherwise Select gets in line for one case after the other and sleeps, and the first
// case that becomes possible happens. Until then the Select counts as a waiter of the
// object of each case. A nil Case never happens. Without cases, Select waits for the end
// of ctx.
//
// The error is nil, or the error that the chosen case has ended with, such as [ErrClosed]
// of a Queue; the variables of that case keep their values then. If ctx ends first, Select
// returns -1 and an error that matches ctx.Err() and context.Cause(ctx) with errors.Is.
// What was handed over wins over the end of ctx. If ctx was done before the call, the
// first case that is possible and consumes nothing is chosen, such as the case of
// [Value.OnNewer]; a case that would consume something is not tried. A nil context
// panics.
//
// Whether a case of another machine, as OnTake of a Map of package cluster, can happen is
// decided there. When such a case is chosen, Select has left all lines, and no other case can
// happen until the answer has come. If the case has not happened, Select begins again, at the
// end of all lines; the time of [After] goes on.
//
// A Case may be used for one Select after the other. No two Selects may use it at the
// same time, which panics if it is noticed. If it is twice in cases, its first place
// counts. The calls that make a case possible happen before the return of the Select that
// chooses it.
//
// If the parker of ctx panics or ends the goroutine, what the chosen case got is given
// back or goes to the next in line.
func Select(ctx context.Context, cases ...wake.Case) (chosen int, err error) {
	mustContext(ctx)
	return waitq.Select(ctx, cases)
}

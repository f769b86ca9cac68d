package rows

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/bench/measure"
)

func semaRow() Row {
	return Row{
		Name:  "sema",
		Title: "Acquiring permits",
		About: "So many goroutines acquire 3 of the 10 permits of one semaphore and release them, again and again, and each " +
			"yields after 256 of that. Up to three never wait. The rival is golang.org/x/sync/semaphore.",
		Base: xSemaphore,
		jobs: func(set *Settings) []Job {
			return aiming(overGoroutines(set, "", semas), always(
				aim{vigilSema, xSemaphore, 0.6}, aim{vigilSema + andCancel, xSemaphore + andCancel, 0.6}))
		},
	}
}

const (
	permits     = 10
	somePermits = 3
)

func semas(ctx context.Context, goroutines int) []measure.Subject {
	return []measure.Subject{
		together(xSemaphore, goroutines, func() func(int) { return acquiringOfX(context.Background()) }),
		together(xSemaphore+andCancel, goroutines, func() func(int) { return acquiringOfX(ctx) }),
		together(vigilSema, goroutines, func() func(int) { return acquiringOfVigil(context.Background()) }),
		together(vigilSema+andCancel, goroutines, func() func(int) { return acquiringOfVigil(ctx) }),
	}
}

func acquiringOfX(ctx context.Context) func(int) {
	s := semaphore.NewWeighted(permits)
	return func(n int) {
		for range n {
			mustNot(s.Acquire(ctx, somePermits))
			s.Release(somePermits)
		}
	}
}

func acquiringOfVigil(ctx context.Context) func(int) {
	s := await.NewSemaphore(permits)
	return func(n int) {
		for range n {
			mustNot(s.Acquire(ctx, somePermits))
			s.Release(somePermits)
		}
	}
}

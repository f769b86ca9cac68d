package await_test

import (
	"context"
	"fmt"

	"github.com/vigil-go/vigil/await"
)

// Hand values to a goroutine that may be slower. Put waits while the Queue is full.
func ExampleQueue() {
	ctx := context.Background()
	q := await.NewQueue[int](2)
	go func() {
		defer q.Close()
		for i := range 5 {
			if err := q.Put(ctx, i); err != nil {
				return
			}
		}
	}()
	for {
		v, err := q.Take(ctx)
		if err == await.ErrClosed { // and drained
			break
		}
		fmt.Println(v, err)
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
	// 4 <nil>
}

// Take all values until the Queue is closed and drained.
func ExampleQueue_All() {
	q := await.NewQueue[string](3)
	q.TryPut("one")
	q.TryPut("two")
	q.Close()
	for v, err := range q.All(context.Background()) {
		if err != nil {
			return // the context has ended
		}
		fmt.Println(v)
	}
	// Output:
	// one
	// two
}

// Move a value only if that is possible at once.
func ExampleQueue_TryPut() {
	q := await.NewQueue[int](1)
	fmt.Println(q.TryPut(1), q.TryPut(2))
	fmt.Println(q.Len(), "of", q.Cap())
	fmt.Println(q.TryTake())
	fmt.Println(q.TryTake())
	fmt.Println(q.Waiters())
	// Output:
	// true false
	// 1 of 1
	// 1 true
	// 0 false
	// 0 0
}

// Take from whichever of two Queues has a value first, and put into a third.
func ExampleQueue_OnTake() {
	ctx := context.Background()
	urgent, normal, done := await.NewQueue[string](1), await.NewQueue[string](1), await.NewQueue[string](1)
	go normal.Put(ctx, "write a letter")
	var job string
	chosen, err := await.Select(ctx, urgent.OnTake(&job), normal.OnTake(&job))
	fmt.Println(chosen, job, err)

	chosen, err = await.Select(ctx, done.OnPut(job))
	fmt.Println(chosen, done.Len(), err)
	// Output:
	// 1 write a letter <nil>
	// 0 1 <nil>
}

package await_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/vigil-go/vigil/await"
)

// A pool of two workers. Under the context of a uringwake task the workers are tasks of
// the same loop; here they are goroutines.
func ExampleTasks() {
	crawl := func(ctx context.Context, urls []string) (int64, error) {
		var bytes atomic.Int64
		pool, ctx := await.NewTasks(ctx)
		pool.SetLimit(2)
		for _, url := range urls {
			pool.Go(func(ctx context.Context) error {
				bytes.Add(int64(len(url))) // fetch it
				return ctx.Err()
			})
		}
		err := pool.Wait(ctx)
		return bytes.Load(), err
	}
	fmt.Println(crawl(context.Background(), []string{"/", "/a", "/b", "/about"}))
	// Output: 11 <nil>
}

// The first error ends the context of the others, and Wait returns it when all have ended.
func ExampleTasks_Wait() {
	tasks, ctx := await.NewTasks(context.Background())
	tasks.Go(func(ctx context.Context) error {
		<-ctx.Done()
		fmt.Println("canceled:", context.Cause(ctx))
		return nil
	})
	tasks.Go(func(context.Context) error { return errors.New("no space left") })
	fmt.Println(tasks.Wait(ctx))
	// Output:
	// canceled: no space left
	// no space left
}

// A panic of a child comes out of Wait, where the code that started it can recover it.
func ExampleTasks_Wait_panic() {
	defer func() {
		if p, ok := recover().(*await.PanicError); ok {
			fmt.Println("a child panicked:", p.Value)
		}
	}()
	tasks, ctx := await.NewTasks(context.Background())
	tasks.Go(func(context.Context) error { panic("index out of range") })
	fmt.Println(tasks.Wait(ctx))
	// Output: a child panicked: index out of range
}

package await_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vigil-go/vigil/await"
)

// A connection that is made at the first use, by the first caller that can make it. The
// others wait for it, each for as long as its own context lasts.
func ExampleOnce() {
	var connection await.Once[string]
	tries := 0
	dial := func(ctx context.Context) (string, error) {
		if tries++; tries == 1 {
			return "", errors.New("refused")
		}
		return fmt.Sprint("connection ", tries), nil
	}

	ctx := context.Background()
	for range 3 {
		fmt.Println(connection.Do(ctx, dial)) // an error is not kept, a value is
	}
	// Output:
	//  refused
	// connection 2 <nil>
	// connection 2 <nil>
}

// A caller that gives up leaves at once. When the last one has left, the function is
// canceled.
func ExampleOnce_Do_giveUp() {
	var settings await.Once[string]
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	canceled := make(chan error)
	_, err := settings.Do(ctx, func(ctx context.Context) (string, error) {
		<-ctx.Done() // a server that does not answer
		canceled <- context.Cause(ctx)
		return "", ctx.Err()
	})
	fmt.Println(err)
	fmt.Println(errors.Is(<-canceled, await.ErrAbandoned))
	// Output:
	// context deadline exceeded
	// true
}

// A function that needs its own value would wait for itself.
func ExampleOnce_Do_cycle() {
	var a, b await.Once[int]
	_, err := a.Do(context.Background(), func(ctx context.Context) (int, error) {
		return b.Do(ctx, func(ctx context.Context) (int, error) {
			return a.Do(ctx, func(context.Context) (int, error) { return 1, nil })
		})
	})
	fmt.Println(errors.Is(err, await.ErrCycle))
	// Output: true
}

package await_test

import (
	"context"
	"fmt"

	"github.com/vigil-go/vigil/await"
)

// A config is never changed: an Update stores another one.
type config struct{ Level string }

// Watch a configuration.
func ExampleValue() {
	ctx := context.Background()
	var current await.Value[config]
	current.Store(config{Level: "info"})

	applied := make(chan string)
	go func() {
		defer close(applied)
		for c, err := range current.Watch(ctx) {
			if err != nil || c.Level == "off" {
				return
			}
			applied <- c.Level
		}
	}()
	fmt.Println(<-applied)
	current.Update(func(c config) config { c.Level = "debug"; return c })
	fmt.Println(<-applied)
	current.Store(config{Level: "off"})
	<-applied

	c, version := current.Load()
	fmt.Println(c.Level, version, current.Waiters())
	// Output:
	// info
	// debug
	// off 3 0
}

// Wait until another goroutine has started, and for what it does next.
func ExampleValue_WaitNewer() {
	ctx := context.Background()
	var state await.Value[string]
	go state.Store("ready")

	s, version, err := state.WaitNewer(ctx, 0)
	fmt.Println(s, version, err)
	go state.Store("done")
	s, version, err = state.WaitNewer(ctx, version)
	fmt.Println(s, version, err)
	// Output:
	// ready 1 <nil>
	// done 2 <nil>
}

// Follow two Values in one loop.
func ExampleValue_OnNewer() {
	ctx := context.Background()
	var low, high await.Value[int]
	low.Store(1)
	go high.Store(10)

	var l, h int
	var lowVersion, highVersion uint64
	for lowVersion == 0 || highVersion == 0 {
		_, err := await.Select(ctx, low.OnNewer(lowVersion, &l, &lowVersion), high.OnNewer(highVersion, &h, &highVersion))
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(l, h)
	// Output: 1 10
}

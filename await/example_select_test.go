package await_test

import (
	"context"
	"fmt"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitmap"
)

// Ask a server, and a second one if there is no answer after 50 ms. The first answer is
// used.
func ExampleSelect() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var answers waitmap.Map[string, string] // by request
	ask := func(server string, takes time.Duration) {
		if await.Sleep(ctx, takes) == nil {
			answers.LoadOrStore("request 7", "answer of the "+server+" server")
		}
	}
	go ask("first", time.Minute)

	var answer string
	answered := answers.OnStore("request 7", &answer)
	chosen, err := await.Select(ctx, answered, await.After(50*time.Millisecond))
	if err == nil && chosen == 1 {
		go ask("second", 0)
		_, err = await.Select(ctx, answered)
	}
	fmt.Println(answer, err)
	// Output: answer of the second server <nil>
}

// Do jobs as they come, and something else when there was none for a while.
func ExampleAfter() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var jobs notify.Notify
	jobs.NotifyOne()

	job, idle := jobs.OnNotify(), await.After(time.Millisecond)
	for {
		chosen, err := await.Select(ctx, job, idle) // the millisecond begins here
		if err != nil {
			fmt.Println(chosen, err)
			return
		}
		if chosen == 0 {
			fmt.Println("a job")
			continue
		}
		fmt.Println("idle")
		cancel()
	}
	// Output:
	// a job
	// idle
	// -1 context canceled
}

// Wait between two attempts, but not longer than the caller wants to.
func ExampleSleep() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	attempts := 0
	for pause := time.Millisecond; ; pause *= 2 {
		attempts++
		if err := await.Sleep(ctx, pause); err != nil {
			fmt.Println(attempts > 1, err)
			return
		}
	}
	// Output: true context deadline exceeded
}

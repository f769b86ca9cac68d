package notify_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/wake"
)

// A queue with room for two items, with two Notifys: consumers wait for an item on one,
// producers wait for room on the other. A permit means that there may be some. A goroutine
// that used a permit and leaves more passes it on.
type queue struct {
	mu           sync.Mutex
	items        []string
	filled, free notify.Notify
}

func (q *queue) put(ctx context.Context, item string) error {
	for !q.try(func() bool { return len(q.items) < 2 }, func() { q.items = append(q.items, item) }) {
		if err := q.free.Wait(ctx); err != nil {
			return err
		}
	}
	q.filled.NotifyOne()
	return nil
}

func (q *queue) take(ctx context.Context) (item string, err error) {
	for !q.try(func() bool { return len(q.items) > 0 }, func() { item, q.items = q.items[0], q.items[1:] }) {
		if err := q.filled.Wait(ctx); err != nil {
			return "", err
		}
	}
	q.free.NotifyOne()
	return item, nil
}

// try calls what, and passes the permit on if more is possible.
func (q *queue) try(possible func() bool, do func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !possible() {
		return false
	}
	do()
	if len(q.items) > 0 {
		q.filled.NotifyOne()
	}
	if len(q.items) < 2 {
		q.free.NotifyOne()
	}
	return true
}

func Example_boundedQueue() {
	ctx := context.Background()
	var q queue
	var producer sync.WaitGroup
	producer.Go(func() {
		for _, item := range []string{"a", "b", "c", "d", "e"} {
			q.put(ctx, item)
		}
	})
	for range 5 {
		item, _ := q.take(ctx)
		fmt.Print(item, " ")
	}
	producer.Wait()
	// Output: a b c d e
}

// Check, Listen, check, Wait: no change is missed, whenever it is made.
func Example_checkListenCheckWait() {
	var (
		mu      sync.Mutex
		level   int
		changed notify.Notify
	)
	get := func() int { mu.Lock(); defer mu.Unlock(); return level }
	rise := func() { mu.Lock(); level++; mu.Unlock(); changed.NotifyWaiters() }

	waitFor := func(ctx context.Context, want int) error {
		for get() < want {
			l := changed.Listen()
			if get() >= want {
				l.Stop()
				break
			}
			if err := l.Wait(ctx); err != nil {
				l.Stop()
				return err
			}
		}
		return nil
	}

	var risers sync.WaitGroup
	for range 3 {
		risers.Go(rise)
	}
	fmt.Println(waitFor(context.Background(), 3), get())
	risers.Wait()
	// Output: <nil> 3
}

// A Listener in a select statement, next to other things to wait for.
func ExampleListener_C() {
	var flush notify.Notify
	lines := make(chan string, 2)
	lines <- "one"
	lines <- "two"

	l := flush.Listen()
	defer l.Stop()
	for buffered := 0; ; {
		select {
		case <-lines:
			if buffered++; buffered == 2 {
				flush.NotifyOne() // asks for a flush
			}
		case <-l.C():
			fmt.Println("flush", buffered, "lines")
			return
		}
	}
	// Output: flush 2 lines
}

func ExampleNotify_NotifyOne() {
	var n notify.Notify
	n.NotifyOne() // there is no waiter: a permit is kept
	fmt.Println(n.Wait(context.Background()))
	fmt.Println(n.TryWait())
	// Output:
	// <nil>
	// false
}

func ExampleNotify_NotifyLast() {
	var n notify.Notify
	longest, newest := n.Listen(), n.Listen()
	defer longest.Stop()
	n.NotifyLast() // the newest waiter is the one most likely to be in a cache
	fmt.Println(longest.Ready(), newest.Ready())
	// Output: false true
}

func ExampleNotify_NotifyN() {
	var n notify.Notify
	first, second, third := n.Listen(), n.Listen(), n.Listen()
	fmt.Println(n.NotifyN(2))
	fmt.Println(first.Ready(), second.Ready(), third.Ready())
	fmt.Println(n.NotifyN(2), third.Ready())
	fmt.Println(n.NotifyN(2), n.TryWait()) // there is no waiter: no permit is kept
	// Output:
	// 2
	// true true false
	// 1 true
	// 0 false
}

// If a waiter leaves after it was picked, a wake of NotifyOne goes to the next waiter. A
// wake of NotifyN is dropped.
func ExampleListener_Stop_handsOn() {
	var n notify.Notify

	leaves, next := n.Listen(), n.Listen()
	n.NotifyN(1)                    // picks leaves
	fmt.Println(leaves.Stop())      // too late to prevent the wake
	fmt.Println("N:", next.Ready()) // the wake was dropped
	fmt.Println("N:", n.TryWait())  // and is not kept as the permit
	fmt.Println("N:", next.Stop())  // next was not picked

	leaves, next = n.Listen(), n.Listen()
	n.NotifyOne()                     // picks leaves
	fmt.Println(leaves.Stop())        // too late to prevent the wake
	fmt.Println("One:", next.Ready()) // the wake was handed on
	// Output:
	// false
	// N: false
	// N: false
	// N: true
	// false
	// One: true
}

// A wait ends with its context, and leaves the line.
func ExampleNotify_Wait_timeout() {
	var n notify.Notify
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err := n.Wait(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), n.Waiters())
	// Output: true 0
}

// Wake all waiters that are in line now, and none that get in line later.
func ExampleNotify_NotifyWaiters() {
	var n notify.Notify
	first, second := n.Listen(), n.Listen()
	fmt.Println(n.Waiters(), "in line,", n.NotifyWaiters(), "woken")
	fmt.Println(first.Ready(), second.Ready())

	later := n.Listen()
	defer later.Stop()
	fmt.Println(later.Ready())
	// Output:
	// 2 in line, 2 woken
	// true true
	// false
}

// Take the permit if there is one, without waiting for it.
func ExampleNotify_TryWait() {
	var n notify.Notify
	fmt.Println(n.TryWait())
	n.NotifyOne()
	fmt.Println(n.TryWait())
	// Output:
	// false
	// true
}

// Call a function on a notification, without a waiting goroutine.
func ExampleNotify_Register() {
	var n notify.Notify
	l := n.Register(wake.Func(func() { fmt.Println("notified") }))
	defer l.Stop()

	n.NotifyOne()
	fmt.Println(l.Ready()) // consumes the wake
	// Output:
	// notified
	// true
}

// Wait for a job or for the order to stop, whichever comes first.
func ExampleNotify_OnNotify() {
	ctx := context.Background()
	var jobs, stop notify.Notify
	jobs.NotifyOne()
	stop.NotifyOne()

	cases := []wake.Case{stop.OnNotify(), jobs.OnNotify()} // stop goes first
	chosen, err := await.Select(ctx, cases...)
	fmt.Println(chosen, err)
	fmt.Println(jobs.TryWait()) // the wake of the other case was not consumed
	// Output:
	// 0 <nil>
	// true
}

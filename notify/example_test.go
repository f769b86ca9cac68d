package notify_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/vigil-go/vigil/notify"
)

// A queue with room for two items, on two Notifys: one for those who wait for
// an item, one for those who wait for room. A permit tells that there may be
// some; who took one and leaves some tells the next.
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

// try does what is possible, and passes the permit on if it still is.
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

// Check, Listen, check, Wait: no change is missed, whoever makes it and when.
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

// A Listener in a select statement, beside other things to wait for.
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
				flush.NotifyOne() // somebody asks for it
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
	n.NotifyOne() // nobody waits: the permit is kept
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
	n.NotifyLast() // whoever came last has the warmest cache
	fmt.Println(longest.Ready(), newest.Ready())
	// Output: false true
}

func ExampleNotify_NotifyN() {
	var n notify.Notify
	first, second, third := n.Listen(), n.Listen(), n.Listen()
	fmt.Println(n.NotifyN(2))
	fmt.Println(first.Ready(), second.Ready(), third.Ready())
	fmt.Println(n.NotifyN(2), third.Ready())
	fmt.Println(n.NotifyN(2), n.TryWait()) // nobody waits: nothing is kept
	// Output:
	// 2
	// true true false
	// 1 true
	// 0 false
}

// A waiter that was picked and then leaves hands on what NotifyOne gave, to the
// next waiter. What NotifyN gave is gone.
func ExampleListener_Stop_handsOn() {
	var n notify.Notify

	leaves, next := n.Listen(), n.Listen()
	n.NotifyN(1)                    // picks leaves
	fmt.Println(leaves.Stop())      // too late to prevent the wake
	fmt.Println("N:", next.Ready()) // and it is gone
	fmt.Println("N:", n.TryWait())  // it is no permit, either
	fmt.Println("N:", next.Stop())  // next was not picked

	leaves, next = n.Listen(), n.Listen()
	n.NotifyOne()                     // picks leaves
	fmt.Println(leaves.Stop())        // too late to prevent the wake
	fmt.Println("One:", next.Ready()) // which has it now
	// Output:
	// false
	// N: false
	// N: false
	// N: true
	// false
	// One: true
}

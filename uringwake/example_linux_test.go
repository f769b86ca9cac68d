package uringwake_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// A task waits for a key that a goroutine stores, by the same call as a goroutine
// would.
func ExampleLoop_Go() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close(context.Background())

	var m waitmap.Map[string, int]
	var done waitgroup.Group
	done.Add(1)
	l.Go(context.Background(), func(ctx context.Context) {
		defer done.Done()
		v, err := m.Wait(ctx, "answer")
		fmt.Println(v, err)
	})
	m.Store("answer", 42)
	done.Wait(context.Background())
	// Output: 42 <nil>
}

// A task starts another one, which goes on when the first has returned.
func ExampleTask_Spawn() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close(context.Background())

	var m waitmap.Map[string, int]
	var done waitgroup.Group
	done.Add(1)
	l.Go(context.Background(), func(ctx context.Context) {
		task := uringwake.TaskFrom(ctx)
		task.Spawn(ctx, func(ctx context.Context) { // wake.Go does this
			defer done.Done()
			v, err := m.Wait(ctx, "answer")
			fmt.Println(v, err)
		})
	})
	m.Store("answer", 42)
	done.Wait(context.Background())
	// Output: 42 <nil>
}

// A task cleans up for a while when its own context has ended.
func ExampleTask_Sleep() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close(context.Background())

	ctx, cancel := context.WithCancel(context.Background())
	var done waitgroup.Group
	done.Add(1)
	l.Go(ctx, func(ctx context.Context) {
		defer done.Done()
		task := uringwake.TaskFrom(ctx)
		fmt.Println(task.Sleep(ctx, time.Hour))
		fmt.Println(task.Sleep(context.Background(), time.Millisecond))
	})
	cancel()
	done.Wait(context.Background())
	// Output:
	// context canceled
	// <nil>
}

// A task reads from a pipe until a deadline. The buffer is the caller's again when Read
// returns.
func ExampleRead_timeout() {
	r, err := uringwake.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close(context.Background()) // a program would leave it running
	var fds [2]int
	unix.Pipe2(fds[:], unix.O_CLOEXEC)

	var done waitgroup.Group
	done.Add(1)
	r.Go(context.Background(), func(ctx context.Context) {
		defer done.Done()
		defer uringwake.Close(ctx, fds[0])
		defer uringwake.Close(ctx, fds[1])

		ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		_, err := uringwake.Read(ctx, fds[0], make([]byte, 100), -1)
		fmt.Println(errors.Is(err, context.DeadlineExceeded))
	})
	done.Wait(context.Background())
	// Output: true
}

// A function that blocks its thread runs in a goroutine, while the loop runs its other
// tasks.
func ExampleBlocking() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close(context.Background())

	results := make(chan string) // a task must not receive from a channel itself
	go func() { results <- "computed elsewhere" }()

	var done waitgroup.Group
	done.Add(1)
	l.Go(context.Background(), func(ctx context.Context) {
		defer done.Done()
		var s string
		uringwake.Blocking(ctx, func() { s = <-results })
		fmt.Println(s)
	})
	done.Wait(context.Background())
	// Output: computed elsewhere
}

// A store in a map becomes a completion in a ring of another event loop.
func ExampleNewMsgRing() {
	r, err := ring.Setup(8, nil) // an event loop's
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	w, err := uringwake.NewMsgRing(r.FD(), 7, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()

	var m waitmap.Map[string, int]
	f := m.Register("key", w)
	m.Store("key", 42)

	r.SQ().SubmitAndWait(1)
	c := r.CQ().Peek()
	v, _, _ := f.Result()
	fmt.Println(c.UserData, c.Res, v)
	fmt.Println(w.Err())
	// Output:
	// 7 1 42
	// <nil>
}

// A notification wakes an event loop that polls file descriptors.
func ExampleNewEventFD() {
	e, err := uringwake.NewEventFD()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()

	var n notify.Notify
	l := n.Register(e)
	go n.NotifyOne()

	unix.Poll([]unix.PollFd{{Fd: int32(e.FD()), Events: unix.POLLIN}}, -1) // as an event loop does
	fmt.Println(l.Ready())
	// Output: true
}

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

// A task waits for a key that a goroutine stores: the same line as in a
// goroutine.
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

// Read from a pipe until a deadline, on the process's own runtime. The buffer
// is free again when Read returns.
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

// Work that blocks its thread goes to a goroutine; the loop's other tasks run
// on.
func ExampleBlocking() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close(context.Background())

	results := make(chan string) // a channel: not for a task to wait on
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

// A store in the map becomes a completion in a ring that is not ours.
func ExampleNewMsgRing() {
	r, err := ring.Setup(8, nil) // somebody's event loop
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
	// Output: 7 1 42
}

// A notification ends the sleep of an event loop that polls file descriptors.
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

	unix.Poll([]unix.PollFd{{Fd: int32(e.FD()), Events: unix.POLLIN}}, -1) // an event loop of another make
	fmt.Println(l.Ready())
	// Output: true
}

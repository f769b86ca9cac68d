package uringwake_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
)

// Find out what this kernel has before using it. Here loops work; a feature that is
// missing is logged with the reason.
func ExampleSupported() {
	fmt.Println(uringwake.Supported())
	for name, have := range map[string]func() error{
		"messages between rings":           uringwake.HaveMsgRing,
		"messages from threads":            uringwake.HaveSendMsgRing,
		"FutexWait in tasks and elsewhere": uringwake.HaveFutex,
	} {
		if err := have(); errors.Is(err, errors.ErrUnsupported) {
			log.Printf("no %s: %v", name, err)
		}
	}
	// Output: <nil>
}

// A goroutine writes into a pipe and reads it again. Operations need no loop there.
func ExampleWrite() {
	ctx := context.Background()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, fds[0])
	defer uringwake.Close(ctx, fds[1])

	n, err := uringwake.Write(ctx, fds[1], []byte("hello"), -1)
	fmt.Println(n, err)
	p := make([]byte, 100)
	n, err = uringwake.Read(ctx, fds[0], p, -1)
	fmt.Println(string(p[:n]), err)
	// Output:
	// 5 <nil>
	// hello <nil>
}

// Sleep until a deadline ends it.
func ExampleSleep() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(uringwake.Sleep(context.Background(), time.Millisecond))
	fmt.Println(uringwake.Sleep(ctx, time.Hour))
	// Output:
	// <nil>
	// context deadline exceeded
}

// Wait until a pipe has something to read, without reading it.
func ExamplePollFD() {
	ctx := context.Background()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, fds[0])
	defer uringwake.Close(ctx, fds[1])

	go uringwake.Write(ctx, fds[1], []byte("x"), -1)
	ready, err := uringwake.PollFD(ctx, fds[0], unix.POLLIN)
	fmt.Println(ready&unix.POLLIN != 0, err)
	// Output: true <nil>
}

// A descriptor that is closed cannot be closed again.
func ExampleClose() {
	ctx := context.Background()
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(uringwake.Close(ctx, fd))
	fmt.Println(errors.Is(uringwake.Close(ctx, -1), unix.EBADF))
	// Output:
	// <nil>
	// true
}

// Nop tells whether operations complete at all.
func ExampleNop() {
	fmt.Println(uringwake.Nop(context.Background()))
	// Output: <nil>
}

// One goroutine waits for a word in memory to change, and another one changes it. The
// word may also lie in memory that processes share.
func ExampleFutexWait() {
	ctx := context.Background()
	var word atomic.Uint32
	go func() {
		word.Store(1)
		uringwake.FutexWake(ctx, &word, 1)
	}()
	for word.Load() == 0 {
		if err := uringwake.FutexWait(ctx, &word, 0); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(word.Load())
	// Output: 1
}

// Nothing waits for the word, so nothing is woken.
func ExampleFutexWake() {
	var word atomic.Uint32
	fmt.Println(uringwake.FutexWake(context.Background(), &word, 1))
	// Output: 0 <nil>
}

// Two loops share the work, and have their own counters.
func ExampleNewRuntime() {
	r, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	var done waitgroup.Group
	var sum atomic.Int64
	for i := range 10 {
		done.Add(1)
		r.Go(context.Background(), func(ctx context.Context) {
			defer done.Done()
			sum.Add(int64(i))
		})
	}
	done.Wait(context.Background())
	fmt.Println(len(r.Loops()), sum.Load(), r.Close(context.Background()))
	// Output: 2 45 <nil>
}

// A library runs a task without asking its user for a loop.
func ExampleDefault() {
	r, err := uringwake.Default()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close(context.Background()) // a program would leave it running

	var done waitgroup.Group
	done.Add(1)
	r.Go(context.Background(), func(ctx context.Context) {
		defer done.Done()
		fmt.Println(uringwake.TaskFrom(ctx) != nil)
	})
	done.Wait(context.Background())
	fmt.Println(uringwake.TaskFrom(context.Background()) != nil)
	// Output:
	// true
	// false
}

// Functions that are posted run on the loop, in order.
func ExampleLoop_Post() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 3 {
		l.Post(func() { fmt.Println(i) })
	}
	l.Close(context.Background())
	fmt.Println(l.Post(func() {}))
	// Output:
	// 0
	// 1
	// 2
	// uringwake: loop is closed
}

// See what a loop has done, here after its end.
func ExampleLoop_Stats() {
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{Doorbell: uringwake.DoorbellEventFD})
	if err != nil {
		fmt.Println(err)
		return
	}
	var done waitgroup.Group
	for range 3 {
		done.Add(1)
		l.Go(context.Background(), func(ctx context.Context) {
			defer done.Done()
			uringwake.Nop(ctx)
		})
	}
	done.Wait(context.Background())
	l.Close(context.Background())
	s := l.Stats()
	fmt.Println(s.Tasks, s.InFlight, s.Submitted >= 3)
	fmt.Println(l.Doorbell() == uringwake.DoorbellEventFD)
	// Output:
	// 0 0 true
	// true
}

// Close ends what tasks wait for.
func ExampleLoop_Close() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	l.Go(context.Background(), func(ctx context.Context) {
		err := uringwake.Sleep(ctx, time.Hour)
		fmt.Println(errors.Is(err, uringwake.ErrClosed))
	})
	fmt.Println(l.Close(context.Background()))
	// Output:
	// true
	// <nil>
}

// A task waits for a condition of the program's own. A goroutine makes it true, then wakes
// the task, which looks at the condition after each Park.
func ExampleTask_Park() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close(context.Background())

	var ready atomic.Bool
	var done waitgroup.Group
	done.Add(1)
	started := make(chan *uringwake.Task, 1) // has room, so that the task does not block
	l.Go(context.Background(), func(ctx context.Context) {
		defer done.Done()
		t := uringwake.TaskFrom(ctx)
		started <- t
		for !ready.Load() {
			if err := t.Park(ctx); err != nil {
				fmt.Println(err)
				return
			}
		}
		fmt.Println("ready")
	})
	t := <-started
	fmt.Println(t.ID() != 0, t.Loop() == l)
	ready.Store(true)
	t.Wake()
	done.Wait(context.Background())
	// Output:
	// true true
	// ready
}

// Two tasks of one loop run in turns.
func ExampleTask_Yield() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close(context.Background())
	var done waitgroup.Group
	done.Add(2)
	count := func(name string) func(context.Context) {
		return func(ctx context.Context) {
			defer done.Done()
			for i := range 2 {
				fmt.Println(name, i)
				uringwake.TaskFrom(ctx).Yield()
			}
		}
	}
	l.Post(func() { // so that both are there before either runs
		l.Go(context.Background(), count("a"))
		l.Go(context.Background(), count("b"))
	})
	done.Wait(context.Background())
	// Output:
	// a 0
	// b 0
	// a 1
	// b 1
}

// An EventFD counts the wakes since the last Wait.
func ExampleEventFD_Wait() {
	e, err := uringwake.NewEventFD()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer e.Close()
	e.Wake()
	e.Wake()
	fmt.Println(e.Wait(context.Background()))
	// Output: 2 <nil>
}

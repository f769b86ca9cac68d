package waitmap_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// Wait for a value that somebody else will store.
func ExampleMap_Wait() {
	var m waitmap.Map[string, int]
	go m.Store("answer", 42)

	v, err := m.Wait(context.Background(), "answer")
	fmt.Println(v, err)
	// Output: 42 <nil>
}

// A wait ends with its context, and leaves no trace.
func ExampleMap_Wait_timeout() {
	var m waitmap.Map[string, int]
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()

	_, err := m.Wait(ctx, "answer")
	fmt.Println(errors.Is(err, context.DeadlineExceeded), m.Waiters("answer"), m.Len())
	// Output: true 0 0
}

// Follow a value as it changes.
func ExampleMap_WaitNext() {
	var m waitmap.Map[string, string]
	m.Store("leader", "alice")

	var wg sync.WaitGroup
	wg.Go(func() {
		v, _ := m.WaitNext(context.Background(), "leader")
		fmt.Println("new leader:", v)
	})
	for m.Waiters("leader") == 0 { // only so that the output is certain
		runtime.Gosched()
	}
	m.Store("leader", "bob")
	wg.Wait()
	// Output: new leader: bob
}

// Wait until a value has some property.
func ExampleMap_WaitFor() {
	var progress waitmap.Map[string, int]
	go func() {
		for percent := 0; percent <= 100; percent += 10 {
			progress.Store("upload", percent)
		}
	}()

	done := func(percent int) bool { return percent == 100 }
	v, err := progress.WaitFor(context.Background(), "upload", done)
	fmt.Println(v, err)
	// Output: 100 <nil>
}

// Wait for a value and change it in place.
func ExampleMap_WaitCompute() {
	var m waitmap.Map[string, int]
	go m.Store("balance", 100)

	v, err := m.WaitCompute(context.Background(), "balance", func(old int) (int, waitmap.Op) {
		return old - 30, waitmap.Set
	})
	fmt.Println(v, err)
	// Output: 70 <nil>
}

// A key is a queue of one: of many takers exactly one gets each value.
func ExampleMap_Take() {
	var jobs waitmap.Map[string, int]
	var wg sync.WaitGroup
	results := make([]int, 3)
	for i := range results {
		wg.Go(func() { results[i], _ = jobs.Take(context.Background(), "job") })
	}
	for n := 1; n <= len(results); {
		if _, busy := jobs.LoadOrStore("job", n*n); !busy {
			n++
		}
	}
	wg.Wait()
	slices.Sort(results)
	fmt.Println(results, jobs.Len())
	// Output: [1 4 9] 0
}

// Be in line before the request is sent: the answer cannot come too early.
func ExampleMap_Register() {
	var answers waitmap.Map[int, string]
	send := func(id int) { answers.Store(id, fmt.Sprintf("answer to %d", id)) }

	f := answers.Register(7, nil)
	defer f.Stop()
	send(7)

	v, err := f.Wait(context.Background())
	fmt.Println(v, err)
	// Output: answer to 7 <nil>
}

// A channel as the waker: a map in a select statement.
func ExampleMap_Register_select() {
	var m waitmap.Map[string, int]
	ready := make(wake.Chan, 1)
	f := m.Register("answer", ready)
	defer f.Stop()
	go m.Store("answer", 42)

	select {
	case <-ready:
		v, _, err := f.Result()
		fmt.Println(v, err)
	case <-time.After(time.Minute):
		fmt.Println("too late")
	}
	// Output: 42 <nil>
}

// Compute a value once, however many ask for it.
func ExampleMap_LoadOrCompute() {
	var m waitmap.Map[string, int]
	for range 3 {
		v, loaded, err := m.LoadOrCompute("key", func() (int, error) {
			fmt.Println("computing")
			return 42, nil
		})
		fmt.Println(v, loaded, err)
	}
	// Output:
	// computing
	// 42 false <nil>
	// 42 true <nil>
	// 42 true <nil>
}

// Count words.
func ExampleMap_Compute() {
	var count waitmap.Map[string, int]
	for _, word := range []string{"to", "be", "or", "not", "to", "be"} {
		count.Compute(word, func(n int, _ bool) (int, waitmap.Op) { return n + 1, waitmap.Set })
	}
	v, _ := count.Load("to")
	fmt.Println(v, count.Len())
	// Output: 2 4
}

// Tell those who wait why nothing will come.
func ExampleMap_CancelCause() {
	var m waitmap.Map[string, int]
	f := m.Register("answer", nil)
	down := errors.New("server is down")
	fmt.Println(m.CancelCause("answer", down))

	_, err := f.Wait(context.Background())
	fmt.Println(errors.Is(err, waitmap.ErrCanceled), errors.Is(err, down))
	// Output:
	// 1
	// true true
}

// End all waiting, now and later.
func ExampleMap_Close() {
	var m waitmap.Map[string, int]
	m.Store("there", 1)
	m.Close()

	_, err := m.Wait(context.Background(), "absent")
	fmt.Println(errors.Is(err, waitmap.ErrClosed))
	fmt.Println(m.Wait(context.Background(), "there"))
	// Output:
	// true
	// 1 <nil>
}

// See who waits on what.
func ExampleMap_Waiting() {
	var m waitmap.Map[string, int]
	defer m.CancelAll()
	m.Register("a", nil)
	m.Register("a", nil)
	for key, info := range m.Waiting() {
		fmt.Println(key, info.Waiters, time.Since(info.Oldest) < time.Hour)
	}
	// Output: a 2 true
}

// Many requests over one connection; answers come in any order.
func Example_requestResponse() {
	type request struct {
		id   int
		text string
	}
	var answers waitmap.Map[int, string]
	wire := make(chan request)
	go func() { // the server
		for r := range wire {
			go answers.Store(r.id, "echo "+r.text)
		}
	}()

	call := func(ctx context.Context, r request) (string, error) {
		f := answers.Register(r.id, nil) // in line before the request
		defer f.Stop()
		wire <- r
		defer answers.Delete(r.id)
		return f.Wait(ctx)
	}

	var wg sync.WaitGroup
	got := make([]string, 3)
	for id := range got {
		wg.Go(func() { got[id], _ = call(context.Background(), request{id, fmt.Sprint("hello ", id)}) })
	}
	wg.Wait()
	close(wire)
	for _, s := range got {
		fmt.Println(s)
	}
	// Output:
	// echo hello 0
	// echo hello 1
	// echo hello 2
}

package waitmap_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// Wait for a value that another goroutine stores.
func ExampleMap_Wait() {
	var m waitmap.Map[string, int]
	go m.Store("answer", 42)

	v, err := m.Wait(context.Background(), "answer")
	fmt.Println(v, err)
	// Output: 42 <nil>
}

// A wait ends with its context, and leaves nothing in the map.
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
	for m.Waiters("leader") == 0 { // to make the output certain
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
		return old - 30, waitmap.StoreOp
	})
	fmt.Println(v, err)
	// Output: 70 <nil>
}

// Hand each value to exactly one of many takers.
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

// The first of several answers.
func ExampleMap_WaitAny() {
	var answers waitmap.Map[string, int]
	go answers.Store("mirror", 42)

	from, v, err := answers.WaitAny(context.Background(), "primary", "mirror")
	fmt.Println(from, v, err)
	// Output: mirror 42 <nil>
}

// The answers to several requests, in whatever order they come.
func ExampleMap_WaitAll() {
	var answers waitmap.Map[string, int]
	for i, id := range []string{"a", "b", "c"} {
		go answers.Store(id, i)
	}

	all, err := answers.WaitAll(context.Background(), "a", "b", "c")
	fmt.Println(all, err)
	// Output: map[a:0 b:1 c:2] <nil>
}

// Follow a value. The loop sees the latest one, even if it is slower than the stores.
func ExampleMap_Watch() {
	var settings waitmap.Map[string, int]
	settings.Store("limit", 1)

	for limit, err := range settings.Watch(context.Background(), "limit") {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println("limit", limit)
		if limit < 3 {
			settings.Store("limit", limit+1)
		} else {
			settings.Close()
		}
	}
	// Output:
	// limit 1
	// limit 2
	// limit 3
	// waitmap: map closed
}

// Get in line before the request is sent, so that the answer cannot come too early.
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

// Compute a value once for all callers.
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
		count.Compute(word, func(n int, _ bool) (int, waitmap.Op) { return n + 1, waitmap.StoreOp })
	}
	v, _ := count.Load("to")
	fmt.Println(v, count.Len())
	// Output: 2 4
}

// Cancel ends the waits for a key, and returns how many there were.
func ExampleMap_Cancel() {
	var m waitmap.Map[string, int]
	f := m.Register("answer", nil)
	fmt.Println(m.Cancel("answer"), m.Cancel("answer"))

	_, err := f.Wait(context.Background())
	fmt.Println(errors.Is(err, waitmap.ErrCanceled))
	// Output:
	// 1 0
	// true
}

// CancelAll ends all waits, and the map can still be used.
func ExampleMap_CancelAll() {
	var m waitmap.Map[string, int]
	m.Register("a", nil)
	m.Register("b", nil)
	fmt.Println(m.CancelAll())

	m.Store("a", 1)
	fmt.Println(m.Wait(context.Background(), "a"))
	// Output:
	// 2
	// 1 <nil>
}

// End waits with a cause.
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

// End all waits, now and later.
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

// Print the awaited keys.
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

// Wait until other goroutines are in line.
func ExampleMap_Waiters() {
	var m waitmap.Map[string, int]
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { m.Wait(context.Background(), "start") })
	}
	for m.Waiters("start") < 3 {
		runtime.Gosched()
	}
	m.Store("start", 1)
	wg.Wait()
	fmt.Println(m.Waiters("start"))
	// Output: 0
}

// Result does not block.
func ExampleFuture_Result() {
	var m waitmap.Map[string, int]
	f := m.Register("answer", nil)
	fmt.Println(f.Result())
	m.Store("answer", 42)
	fmt.Println(f.Result())
	// Output:
	// 0 false <nil>
	// 42 true <nil>
}

// A Wait that failed leaves the Future in line, so it can be called again.
func ExampleFuture_Wait() {
	var m waitmap.Map[string, int]
	f := m.Register("answer", nil)
	defer f.Stop()

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	fmt.Println(f.Wait(ctx))
	m.Store("answer", 42)
	fmt.Println(f.Wait(ctx))
	// Output:
	// 0 context canceled
	// 42 <nil>
}

// Stop reports whether it came before the value.
func ExampleFuture_Stop() {
	var m waitmap.Map[string, int]
	early, late := m.Register("answer", nil), m.Register("answer", nil)
	fmt.Println(early.Stop())
	m.Store("answer", 42)
	fmt.Println(late.Stop())
	fmt.Println(late.Result())
	// Output:
	// true
	// false
	// 42 true <nil>
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

// Wait for a value, but use another one if there is none soon.
func ExampleMap_OnStore() {
	var settings waitmap.Map[string, string]

	color := "red"
	chosen, err := await.Select(context.Background(), settings.OnStore("color", &color), await.After(time.Millisecond))
	fmt.Println(chosen, color, err)
	// Output: 1 red <nil>
}

// Take from whichever of two keys has a value, and leave the other alone.
func ExampleMap_OnTake() {
	var jobs waitmap.Map[string, int]
	jobs.Store("urgent", 1)
	jobs.Store("normal", 2)

	var job int
	chosen, err := await.Select(context.Background(), jobs.OnTake("urgent", &job), jobs.OnTake("normal", &job))
	fmt.Println(chosen, job, err, jobs.Len())
	// Output: 0 1 <nil> 1
}

package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// Requests for the same page share one call.
func ExampleGroup_Do_coalesceRequests() {
	var g dedup.Group[string, string]
	ready := make(chan struct{})
	fetch := func(ctx context.Context) (string, error) {
		fmt.Println("fetching")
		<-ready
		return "the page", nil
	}

	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			page, shared, err := g.Do(context.Background(), "/index.html", fetch)
			fmt.Println(page, shared, err)
		})
	}
	for waiting := 0; waiting < 3; { // wait for all callers, so that the output is certain
		for _, info := range g.InFlight() {
			waiting = info.Waiters
		}
	}
	close(ready)
	wg.Wait()
	// Output:
	// fetching
	// the page true <nil>
	// the page true <nil>
	// the page true <nil>
}

// A caller leaves when its context ends. The load continues for the other callers, and is
// canceled when there are none left.
func ExampleGroup_Do_giveUp() {
	var g dedup.Group[string, int]
	ended := make(chan error)
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, _, err := g.Do(ctx, "key", func(ctx context.Context) (int, error) {
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return 0, ctx.Err()
	})
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	fmt.Println(<-ended)
	// Output:
	// true
	// vigil: no caller waits for the function any more
}

// After Forget, a caller starts a new call while the old one continues for its callers.
func ExampleGroup_Forget() {
	var g dedup.Group[string, string]
	began, end := make(chan struct{}), make(chan struct{})
	old := make(chan string)
	go func() {
		v, _, _ := g.Do(context.Background(), "key", func(context.Context) (string, error) {
			close(began)
			<-end
			return "old", nil
		})
		old <- v
	}()
	<-began
	g.Forget("key")
	v, shared, err := g.Do(context.Background(), "key", func(context.Context) (string, error) {
		return "new", nil
	})
	fmt.Println(v, shared, err)
	close(end)
	fmt.Println(<-old)
	// Output:
	// new false <nil>
	// old
}

// Wait for a call, or do something else first.
func ExampleGroup_DoChan() {
	var g dedup.Group[string, string]
	page := g.DoChan(context.Background(), "/", func(context.Context) (string, error) { return "the page", nil })
	select {
	case r := <-page:
		fmt.Println(r.Value, r.Shared, r.Err)
	case <-time.After(time.Minute):
		fmt.Println("it takes long")
	}
	// Output: the page false <nil>
}

// Forget a call, but not if somebody else waits for it too.
func ExampleGroup_ForgetUnshared() {
	var g dedup.Group[string, int]
	end := make(chan struct{})
	f := func(context.Context) (int, error) { <-end; return 1, nil }
	first := g.DoChan(context.Background(), "key", f)
	second := g.DoChan(context.Background(), "key", f)
	fmt.Println(g.ForgetUnshared("key"))
	close(end)
	fmt.Println(<-first, <-second)
	fmt.Println(g.ForgetUnshared("key")) // no call is in flight
	// Output:
	// false
	// {1 true <nil>} {1 true <nil>}
	// true
}

// See what is in flight, here from within a call.
func ExampleGroup_InFlight() {
	var g dedup.Group[string, int]
	_, _, _ = g.Do(context.Background(), "key", func(context.Context) (int, error) {
		for key, info := range g.InFlight() {
			fmt.Println(key, info.Waiters, time.Since(info.Started) < time.Hour)
		}
		return 0, nil
	})
	// Output: key 1 true
}

// A panic reaches each caller as an error.
func ExamplePanicError() {
	var g dedup.Group[string, int]
	_, _, err := g.Do(context.Background(), "key", func(context.Context) (int, error) {
		panic("out of range")
	})
	if p, ok := errors.AsType[*dedup.PanicError](err); ok {
		fmt.Println(p.Value)
	}
	// Output: out of range
}

// double loads a number's double, and prints that it does.
func double(ctx context.Context, n int) (int, error) {
	fmt.Println("loading", n)
	return 2 * n, nil
}

// newDoubles returns a Cache of doubles with at most a thousand entries.
func newDoubles() *dedup.Cache[int, int] {
	c, err := dedup.NewCache(double, &dedup.CacheOptions[int, int]{MaxEntries: 1000})
	if err != nil {
		panic(err) // the options are invalid
	}
	return c
}

// Load each value once, and keep it for a minute.
func ExampleNewCache() {
	squares, err := dedup.NewCache(func(ctx context.Context, n int) (int, error) {
		fmt.Println("loading", n)
		return n * n, nil
	}, &dedup.CacheOptions[int, int]{MaxEntries: 1000, TTL: time.Minute})
	if err != nil {
		panic(err)
	}
	defer squares.Close()

	fmt.Println(squares.Get(context.Background(), 3))
	fmt.Println(squares.Get(context.Background(), 3))
	// Output:
	// loading 3
	// 9 <nil>
	// 9 <nil>
}

// Every invalid option is reported.
func ExampleNewCache_invalidOptions() {
	_, err := dedup.NewCache(double, &dedup.CacheOptions[int, int]{TTL: -1, Jitter: 2})
	fmt.Println(err)
	// Output:
	// dedup: CacheOptions: TTL is -1ns, must not be negative
	// dedup: CacheOptions: Jitter is 2, must be from 0 to 1
}

// A value that is put need not be loaded.
func ExampleCache_Put() {
	c := newDoubles()
	defer c.Close()

	c.Put(1, 100)
	fmt.Println(c.Get(context.Background(), 1))
	// Output: 100 <nil>
}

// Peek does not load.
func ExampleCache_Peek() {
	c := newDoubles()
	defer c.Close()

	fmt.Println(c.Peek(1))
	c.Put(1, 100)
	fmt.Println(c.Peek(1))
	// Output:
	// 0 false
	// 100 true
}

// Load a key again though its value is still fresh.
func ExampleCache_Refresh() {
	version := 0
	pages, err := dedup.NewCache(func(context.Context, string) (int, error) {
		version++
		return version, nil
	}, nil)
	if err != nil {
		panic(err)
	}
	defer pages.Close()

	fmt.Println(pages.Get(context.Background(), "/"))
	fmt.Println(pages.Refresh(context.Background(), "/"))
	fmt.Println(pages.Get(context.Background(), "/"))
	// Output:
	// 1 <nil>
	// <nil>
	// 2 <nil>
}

// Remove a value that has changed at its origin. The next caller loads it.
func ExampleCache_Invalidate() {
	c := newDoubles()
	defer c.Close()

	fmt.Println(c.Get(context.Background(), 1))
	c.Invalidate(1)
	fmt.Println(c.Get(context.Background(), 1))
	// Output:
	// loading 1
	// 2 <nil>
	// loading 1
	// 2 <nil>
}

// Remove all values.
func ExampleCache_InvalidateAll() {
	c := newDoubles()
	defer c.Close()

	c.Put(1, 100)
	c.Put(2, 200)
	c.InvalidateAll()
	fmt.Println(c.Peek(1))
	fmt.Println(c.Stats().Entries)
	// Output:
	// 0 false
	// 0
}

// See what is being loaded, here from within a load.
func ExampleCache_InFlight() {
	var c *dedup.Cache[string, int]
	c, err := dedup.NewCache(func(context.Context, string) (int, error) {
		for key, info := range c.InFlight() {
			fmt.Println(key, info.Waiters)
		}
		return 0, nil
	}, nil)
	if err != nil {
		panic(err)
	}
	defer c.Close()

	_, _ = c.Get(context.Background(), "key")
	// Output: key 1
}

// Count hits and misses.
func ExampleCache_Stats() {
	c := newDoubles()
	defer c.Close()

	for range 3 {
		_, _ = c.Get(context.Background(), 1)
	}
	s := c.Stats()
	fmt.Println(s.Hits, s.Misses, s.Loads, s.Entries)
	// Output:
	// loading 1
	// 2 1 1 1
}

// A closed Cache returns an error.
func ExampleCache_Close() {
	c := newDoubles()
	fmt.Println(c.Close())
	_, err := c.Get(context.Background(), 1)
	fmt.Println(errors.Is(err, dedup.ErrClosed))
	// Output:
	// <nil>
	// true
}

// Keep loaded values, and for a shorter time also the error of a missing one.
func ExampleCache_negativeEntries() {
	errNoUser := errors.New("no such user")
	load := func(ctx context.Context, id int) (string, error) {
		fmt.Println("loading", id)
		if id < 0 {
			return "", errNoUser
		}
		return fmt.Sprint("user ", id), nil
	}
	users, err := dedup.NewCache(load, &dedup.CacheOptions[int, string]{
		MaxEntries: 10_000,
		TTL:        time.Minute,
		Jitter:     0.1,
		ErrorTTLOf: func(_ int, err error) time.Duration {
			if errors.Is(err, errNoUser) {
				return time.Second
			}
			return 0 // other errors are not kept
		},
	})
	if err != nil {
		panic(err)
	}
	defer users.Close()

	for _, id := range []int{1, -1, 1, -1} {
		fmt.Println(users.Get(context.Background(), id))
	}
	// Output:
	// loading 1
	// user 1 <nil>
	// loading -1
	//  no such user
	// user 1 <nil>
	//  no such user
}

// Load many keys in one call, and find out which of them failed.
func ExampleCache_GetMany_batch() {
	prices, err := dedup.NewCache(
		func(ctx context.Context, item string) (int, error) { return 0, errors.New("not used here") },
		&dedup.CacheOptions[string, int]{
			LoadMany: func(ctx context.Context, items []string) (map[string]int, error) {
				fmt.Println("one call for", items)
				return map[string]int{"apple": 2, "pear": 3}, nil
			},
		})
	if err != nil {
		panic(err)
	}
	defer prices.Close()
	prices.Put("plum", 1)

	got, err := prices.GetMany(context.Background(), []string{"apple", "plum", "pear", "nothing", "apple"})
	fmt.Println(got)
	if missing, ok := errors.AsType[*dedup.KeyError[string]](err); ok {
		fmt.Println(missing.Key, "-", missing)
	}
	// Output:
	// one call for [apple pear nothing]
	// map[apple:2 pear:3 plum:1]
	// nothing - dedup: LoadMany returned no value for this key
}

// Fill a Cache before the first request.
func ExampleCache_GetMany_warmUp() {
	squares, err := dedup.NewCache(
		func(ctx context.Context, n int) (int, error) { return n * n, nil },
		&dedup.CacheOptions[int, int]{MaxLoads: 4})
	if err != nil {
		panic(err)
	}
	defer squares.Close()

	_, err = squares.GetMany(context.Background(), []int{1, 2, 3, 4, 5})
	fmt.Println(err, squares.Stats().Entries)
	// Output: <nil> 5
}

// Serve an old value at once while a new one is loaded, or if it cannot be loaded.
func ExampleCache_serveStale() {
	version, renewed := 0, make(chan struct{}, 2)
	page, err := dedup.NewCache(
		func(ctx context.Context, _ string) (int, error) { version++; return version, nil },
		&dedup.CacheOptions[string, int]{
			TTL:                  time.Millisecond,
			StaleWhileRevalidate: time.Hour,
			StaleIfError:         24 * time.Hour,
			OnLoad:               func(dedup.LoadInfo[string]) { renewed <- struct{}{} },
		})
	if err != nil {
		panic(err)
	}
	defer page.Close()

	fmt.Println(page.Get(context.Background(), "/"))
	<-renewed
	time.Sleep(2 * time.Millisecond)
	fmt.Println(page.Get(context.Background(), "/")) // old, at once
	<-renewed
	v, _ := page.Get(context.Background(), "/")
	fmt.Println(v > 1)
	// Output:
	// 1 <nil>
	// 1 <nil>
	// true
}

// A load that needs another key of its Cache passes its context on. It lends its slot of
// MaxLoads to the load of that key. A cycle is an error.
func ExampleCache_loadsThatNeedLoads() {
	var pages *dedup.Cache[string, string]
	load := func(ctx context.Context, name string) (string, error) {
		switch name {
		case "page":
			layout, err := pages.Get(ctx, "layout") // with ctx, not another one
			return "page in " + layout, err
		case "mirror":
			return pages.Get(ctx, "mirror")
		default:
			return name, nil
		}
	}
	var err error
	pages, err = dedup.NewCache(load, &dedup.CacheOptions[string, string]{MaxLoads: 1})
	if err != nil {
		panic(err)
	}
	defer pages.Close()

	fmt.Println(pages.Get(context.Background(), "page"))
	_, err = pages.Get(context.Background(), "mirror")
	fmt.Println(errors.Is(err, dedup.ErrCycle))
	// Output:
	// page in layout <nil>
	// true
}

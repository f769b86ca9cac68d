package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// Let requests for the same thing share one call.
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
	for waiting := 0; waiting < 3; { // only so that the output is certain
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

// Give up waiting; the load goes on for the others, and is canceled when nobody
// is left.
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
	// dedup: nobody waits for this load any more
}

// Keep what was loaded, and for a shorter time also that there is nothing.
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

// Load many keys with one call, and find out which failed.
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

// Fill a cache before the first request comes.
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

// Serve what is old at once while it is renewed, and when it cannot be.
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

// A load that needs another key of its Cache passes its context on. It lends its
// slot of MaxLoads to that key's load, and a circle is an error.
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

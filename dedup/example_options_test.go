package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// Load what many goroutines ask for one by one with few calls.
func ExampleNewCache_batch() {
	users, err := dedup.NewCache(double, &dedup.CacheOptions[int, int]{
		MaxBatch:   3,
		BatchDelay: time.Hour, // usually a few milliseconds
		LoadMany: func(ctx context.Context, ids []int) (map[int]int, error) {
			slices.Sort(ids)
			fmt.Println("one call for", ids)
			return map[int]int{1: 10, 2: 20, 3: 30}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	defer users.Close()

	var wg sync.WaitGroup
	var got [3]int
	for i := range got {
		wg.Go(func() { got[i], _ = users.Get(context.Background(), i+1) })
	}
	wg.Wait()
	fmt.Println(got)
	// Output:
	// one call for [1 2 3]
	// [10 20 30]
}

// Keep sessions for a day, but not those that nobody has used for an hour.
func ExampleNewCache_idle() {
	sessions, err := dedup.NewCache(double, &dedup.CacheOptions[int, int]{TTL: 24 * time.Hour, IdleTTL: time.Hour})
	if err != nil {
		panic(err)
	}
	defer sessions.Close()

	sessions.Put(1, 100)
	e, _ := sessions.Entry(1)
	fmt.Println(e.FreshUntil.Sub(e.Stored).Round(time.Minute), e.KeptUntil.Sub(e.Stored))
	_, _ = sessions.Get(context.Background(), 1)
	later, _ := sessions.Entry(1)
	fmt.Println(later.KeptUntil.Before(e.KeptUntil))
	// Output:
	// 24h0m0s 1h0m0s
	// false
}

// Ask an origin that is down less often: after a minute, then after two, and at last once
// in an hour.
func ExampleNewCache_backoff() {
	loads := 0
	pages, err := dedup.NewCache(
		func(ctx context.Context, path string) (string, error) {
			loads++
			return "", errors.New("the origin is down")
		},
		&dedup.CacheOptions[string, string]{
			TTL: time.Nanosecond, StaleIfError: 24 * time.Hour, ErrorTTL: time.Minute, MaxBackoff: time.Hour,
		})
	if err != nil {
		panic(err)
	}
	defer pages.Close()

	pages.Put("/", "welcome")
	time.Sleep(time.Millisecond)
	for range 3 {
		fmt.Println(pages.Get(context.Background(), "/"))
	}
	fmt.Println("loads:", loads)
	// Output:
	// welcome <nil>
	// welcome <nil>
	// welcome <nil>
	// loads: 1
}

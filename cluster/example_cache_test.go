package cluster_test

import (
	"context"
	"fmt"
	"time"

	"github.com/vigil-go/vigil/cluster"
)

// Load what is expensive once for all machines, and keep it.
func ExampleCache() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	load := func(ctx context.Context, id string) (string, error) { // one query, on one machine
		fmt.Println("loading", id)
		return "Ada", nil
	}
	users, err := cluster.NewCache(bucket, load, &cluster.CacheOptions[string]{
		Name: "users", TTL: time.Hour, MaxEntries: 10_000,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		fmt.Println(users.Get(ctx, "7"))
	}
	// Output:
	// loading 7
	// Ada <nil>
	// Ada <nil>
	// Ada <nil>
}

// Change a value at its origin, and then in the caches of all machines.
func ExampleCache_Store() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	origin := map[string]string{"7": "Ada"}
	users, err := cluster.NewCache(bucket, func(ctx context.Context, id string) (string, error) { return origin[id], nil }, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(users.Get(ctx, "7"))
	origin["7"] = "Grace"
	fmt.Println(users.Store(ctx, "7", "Grace"))
	fmt.Println(users.Get(ctx, "7")) // on another machine after a Sync of its Bucket
	// Output:
	// Ada <nil>
	// <nil>
	// Grace <nil>
}

// Have all machines load anew what has changed at its origin.
func ExampleCache_Invalidate() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	price := 10
	prices, err := cluster.NewCache(bucket, func(context.Context, string) (int, error) { return price, nil }, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(prices.Get(ctx, "tea"))
	price = 12
	fmt.Println(prices.Invalidate(ctx, "tea"))
	fmt.Println(prices.Get(ctx, "tea"))
	// Output:
	// 10 <nil>
	// <nil>
	// 12 <nil>
}

// See how often the copies of this process were enough.
func ExampleCache_Stats() {
	ctx := context.Background()
	bucket, closeAll := openExample()
	defer closeAll()
	users, err := cluster.NewCache(bucket, func(context.Context, string) (string, error) { return "Ada", nil }, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 4 {
		users.Get(ctx, "7")
	}
	s := users.Stats()
	fmt.Println(s.Loads, s.Misses, s.Hits) // the second miss decodes what the bucket has
	// Output: 1 2 2
}

package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// See all values that are kept and fresh.
func ExampleCache_All() {
	c := newDoubles()
	defer c.Close()

	c.Put(1, 100)
	c.Put(2, 200)
	sum := 0
	for _, v := range c.All() {
		sum += v
	}
	fmt.Println(sum)
	// Output: 300
}

// See how long a value is kept.
func ExampleCache_Entry() {
	users, err := dedup.NewCache(
		func(ctx context.Context, id int) (string, error) { return fmt.Sprint("user ", id), nil },
		&dedup.CacheOptions[int, string]{TTL: time.Minute, StaleIfError: time.Hour})
	if err != nil {
		panic(err)
	}
	defer users.Close()

	users.Put(7, "Ada")
	e, ok := users.Entry(7)
	fmt.Println(e.Value, ok)
	fmt.Println(e.FreshUntil.Sub(e.Stored).Round(time.Second), e.KeptUntil.Sub(e.FreshUntil))
	_, ok = users.Entry(8)
	fmt.Println(ok)
	// Output:
	// Ada true
	// 1m0s 1h0m0s
	// false
}

// Tell the reader that a value is old because it could not be renewed.
func ExampleCache_GetEntry_staleValue() {
	down := errors.New("the origin is down")
	pages, err := dedup.NewCache(
		func(ctx context.Context, path string) (string, error) { return "", down },
		&dedup.CacheOptions[string, string]{TTL: time.Nanosecond, StaleIfError: time.Hour})
	if err != nil {
		panic(err)
	}
	defer pages.Close()

	pages.Put("/", "welcome")
	time.Sleep(time.Millisecond)
	e, err := pages.GetEntry(context.Background(), "/")
	fmt.Println(e.Value, err)
	fmt.Println(e.Stale, e.Err)
	// Output:
	// welcome <nil>
	// true the origin is down
}

// Remove all values that something has in common.
func ExampleCache_InvalidateFunc_byPrefix() {
	pages, err := dedup.NewCache(
		func(ctx context.Context, path string) (string, error) { return "page " + path, nil }, nil)
	if err != nil {
		panic(err)
	}
	defer pages.Close()

	_, err = pages.GetMany(context.Background(), []string{"/blog/1", "/blog/2", "/about"})
	fmt.Println(err)
	fmt.Println(pages.InvalidateFunc(func(path, _ string) bool { return strings.HasPrefix(path, "/blog/") }))
	for path := range pages.All() {
		fmt.Println(path)
	}
	// Output:
	// <nil>
	// 2
	// /about
}

// Learn of each value that is not kept any more, for example to release what it holds.
func ExampleRemoveCause_onRemove() {
	c, err := dedup.NewCache(double, &dedup.CacheOptions[int, int]{
		OnRemove: func(n, v int, cause dedup.RemoveCause) { fmt.Println(n, v, cause.String()) },
	})
	if err != nil {
		panic(err)
	}

	c.Put(1, 100)
	c.Put(1, 101)
	c.Invalidate(1)
	c.Put(2, 200)
	_ = c.Close()
	// Output:
	// 1 100 replaced
	// 1 101 invalidated
	// 2 200 invalidated
}

// Load several keys again in one call, and learn that one of them has no value any more.
func ExampleCache_RefreshMany_goneKey() {
	prices, err := dedup.NewCache(double, &dedup.CacheOptions[int, int]{
		LoadMany: func(ctx context.Context, items []int) (map[int]int, error) {
			fmt.Println("one call for", items)
			return map[int]int{1: 11}, dedup.KeyErrors[int]{2: dedup.ErrGone}
		},
	})
	if err != nil {
		panic(err)
	}
	defer prices.Close()

	prices.Put(1, 10)
	prices.Put(2, 20)
	err = prices.RefreshMany(context.Background(), []int{1, 2})
	fmt.Println(err)
	fmt.Println(prices.Peek(1))
	fmt.Println(prices.Peek(2))
	// Output:
	// one call for [1 2]
	// dedup: gone
	// 11 true
	// 0 false
}

// Load a value again by the one that is there, as an HTTP client does with an ETag.
func ExampleNewCache_reload() {
	type page struct{ etag, text string }
	pages, err := dedup.NewCache(
		func(ctx context.Context, path string) (page, error) { return page{"v1", "welcome"}, nil },
		&dedup.CacheOptions[string, page]{
			ReloadWith: func(ctx context.Context, path string, old page) (page, error) {
				fmt.Println("GET", path, "If-None-Match:", old.etag)
				return old, nil // 304 Not Modified
			},
		})
	if err != nil {
		panic(err)
	}
	defer pages.Close()

	p, _ := pages.Get(context.Background(), "/")
	fmt.Println(p.text)
	fmt.Println(pages.Refresh(context.Background(), "/"))
	// Output:
	// welcome
	// GET / If-None-Match: v1
	// <nil>
}

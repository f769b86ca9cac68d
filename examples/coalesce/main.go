// Command coalesce has a hundred callers ask a dedup.Cache for one page at the
// same time. The page is loaded once: the callers share the load, or find what it
// has stored. It is loaded again when it has been invalidated.
//
//	go run ./examples/coalesce
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"sync"

	"github.com/vigil-go/vigil/dedup"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(w io.Writer) error {
	pages, err := dedup.NewCache(load, &dedup.CacheOptions[string, string]{MaxEntries: 1000})
	if err != nil {
		return err
	}
	defer pages.Close()
	for range 2 {
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				if _, err := pages.Get(context.Background(), "/index.html"); err != nil {
					log.Fatal(err)
				}
			})
		}
		callers.Wait()
		s := pages.Stats()
		fmt.Fprintf(w, "loads: %d, callers served: %d\n", s.Loads, s.Hits+s.Misses)
		pages.Invalidate("/index.html")
	}
	return nil
}

// load stands for a query or a request that takes time.
func load(ctx context.Context, path string) (string, error) {
	return "the page " + path, nil
}

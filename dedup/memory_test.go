package dedup_test

import (
	"context"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// TestLargeKeysThatAreGone: a Group keeps no key after its calls, a Cache without bounds
// none after Invalidate, and a bounded one not many more than its bound.
func TestLargeKeysThatAreGone(t *testing.T) {
	const n, size, bound = 1000, 64 << 10, 10
	load := func(context.Context) (int, error) { return 1, nil }
	var g dedup.Group[string, int]
	loader := func(ctx context.Context, _ string) (int, error) { return load(ctx) }
	open, bounded := newCache(t, loader, nil), newCache(t, loader, &options{MaxEntries: bound})
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	for name, c := range map[string]struct {
		use  func(key string)
		most int
	}{
		"Group":             {func(key string) { _, _, _ = g.Do(bg, key, load) }, 0},
		"Group, cancelable": {func(key string) { _, _, _ = g.Do(ctx, key, load) }, 0},
		"Cache":             {func(key string) { _, _ = open.Get(bg, key); open.Invalidate(key) }, 0},
		"bounded Cache":     {func(key string) { _, _ = bounded.Get(bg, key); bounded.Invalidate(key) }, bound},
	} {
		var keys [n]weak.Pointer[byte]
		for i := range keys {
			key := strings.Repeat("x", size) + strconv.Itoa(i)
			keys[i] = weak.Make(unsafe.StringData(key))
			c.use(key)
		}
		left := n
		for range 1000 { // a load's goroutine may still be on its way out
			runtime.GC()
			left = 0
			for _, p := range keys {
				if p.Value() != nil {
					left++
				}
			}
			if left <= c.most {
				break
			}
		}
		t.Logf("%s: of %d keys %d are left", name, n, left)
		require.LessOrEqual(t, left, c.most, name)
	}
	runtime.KeepAlive(&g)
}

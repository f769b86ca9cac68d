package waitmap_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// bigKey is a key of n bytes of its own, with a way to see the end of it.
func bigKey(i, n int) (string, weak.Pointer[byte]) {
	key := strings.Repeat("x", n) + strconv.Itoa(i)
	return key, weak.Make(unsafe.StringData(key))
}

// keysLeft counts the keys of so many bytes that use leaves behind, of 5000 that
// are used once and gone.
func keysLeft(bytes int, use func(key string)) (left int) {
	ps := make([]weak.Pointer[byte], 5000)
	for i := range ps {
		func() {
			var key string
			key, ps[i] = bigKey(i, bytes)
			use(key)
		}()
	}
	runtime.GC()
	for _, p := range ps {
		if p.Value() != nil {
			left++
		}
	}
	return left
}

// useOnce are ways in which a key comes and goes.
var useOnce = map[string]func(m *waitmap.Map[string, int], key string){
	"Take":          func(m *waitmap.Map[string, int], key string) { m.Store(key, 1); m.Take(context.Background(), key) },
	"Delete":        func(m *waitmap.Map[string, int], key string) { m.Store(key, 1); m.Delete(key) },
	"LoadAndDelete": func(m *waitmap.Map[string, int], key string) { m.Swap(key, 1); m.LoadAndDelete(key) },
	"Compute": func(m *waitmap.Map[string, int], key string) {
		m.LoadOrCompute(key, func() (int, error) { return 1, nil })
		m.Compute(key, func(int, bool) (int, waitmap.Op) { return 0, waitmap.DeleteOp })
	},
}

// TestGoneKeys: of many strings that were used once and are gone, an empty map
// keeps less than what a small table takes, for each of its parts.
func TestGoneKeys(t *testing.T) {
	const shards, table = 16, 7 * 192
	for name, use := range useOnce {
		for _, bytes := range []int{100, 1 << 10, 64 << 10} {
			m := waitmap.New[string, int](&waitmap.Options[string]{Shards: shards})
			left := keysLeft(bytes, func(key string) { use(m, key) })
			t.Logf("%s: of 5000 keys of %d bytes %d are left, in %d parts", name, bytes, left, shards)
			require.LessOrEqual(t, left, shards*table/bytes, name)
			runtime.KeepAlive(m)
		}
	}
}

// TestGoneKeysOfUnknownSize: of other keys that hold memory less than a quarter of
// a small table's slots are kept.
func TestGoneKeysOfUnknownSize(t *testing.T) {
	type wrapped struct{ s string }
	const shards, most = 16, 7 * 7 / 4
	m := waitmap.New[wrapped, int](&waitmap.Options[wrapped]{Shards: shards})
	left := keysLeft(1<<10, func(key string) {
		m.Store(wrapped{key}, 1)
		m.Delete(wrapped{key})
	})
	t.Logf("of 5000 keys %d are left, in %d parts", left, shards)
	require.LessOrEqual(t, left, shards*most)
	runtime.KeepAlive(m)
}

// TestOneKeyAlternates: a key that comes and goes costs no tables.
func TestOneKeyAlternates(t *testing.T) {
	var m waitmap.Map[string, int]
	require.Zero(t, testing.AllocsPerRun(1000, func() { m.Store("a", 1); m.Delete("a") }))
}

// TestStressDroppedTables: keys come and go, are waited for, computed and
// taken while tables are dropped and made again; nothing is lost.
func TestStressDroppedTables(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		defer shaken(11)()
		m := newMap()
		n := testkit.Scale(600, 120)
		long := strings.Repeat("x", 500) // so that three keys are as much as a table
		var all sync.WaitGroup
		for g := range 2 {
			all.Go(func() { // hands over, by keys that are used once
				for i := range n {
					key := long + strconv.Itoa(g) + "/" + strconv.Itoa(i)
					var w <-chan result[int]
					if i%2 == 0 {
						w = async(func() (int, error) { return m.Take(bg, key) })
					} else {
						f := m.Register(key, nil)
						w = async(func() (int, error) { return f.Wait(bg) })
					}
					m.Store(key, i)
					requireValue(t, i, w)
					m.Delete(key)
				}
			})
		}
		all.Go(func() { // empties the map again and again
			for i := range n {
				key := long + strconv.Itoa(rand.IntN(1000))
				m.Store(key, i)
				if v, ok := m.LoadAndDelete(key); !ok || v != i {
					t.Errorf("%s: %d, %t instead of %d", key, v, ok, i)
				}
				m.Compute(key, func(int, bool) (int, waitmap.Op) { return 0, waitmap.DeleteOp })
			}
		})
		all.Wait()
		requireContents(t, map[string]int{}, m)
		requireIdle(t, m)
	})
}

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

	"github.com/vigil-go/vigil/waitmap"
)

// bigKey is a key of n bytes of its own, with a way to see the end of it.
func bigKey(i, n int) (string, weak.Pointer[byte]) {
	key := strings.Repeat("x", n) + strconv.Itoa(i)
	return key, weak.Make(unsafe.StringData(key))
}

// keysLeft counts the keys that use leaves behind, each used and gone.
func keysLeft(n int, use func(key string)) (left int) {
	ps := make([]weak.Pointer[byte], n)
	for i := range ps {
		func() {
			var key string
			key, ps[i] = bigKey(i, 1<<10)
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

// TestGoneKeys: of many keys that were used once and are gone, the map keeps
// less than a quarter of its smallest table's slots, for each of its parts.
func TestGoneKeys(t *testing.T) {
	uses := map[string]func(m *waitmap.Map[string, int], key string){
		"Take":          func(m *waitmap.Map[string, int], key string) { m.Store(key, 1); m.Take(context.Background(), key) },
		"Delete":        func(m *waitmap.Map[string, int], key string) { m.Store(key, 1); m.Delete(key) },
		"LoadAndDelete": func(m *waitmap.Map[string, int], key string) { m.Swap(key, 1); m.LoadAndDelete(key) },
		"Compute": func(m *waitmap.Map[string, int], key string) {
			m.LoadOrCompute(key, func() (int, error) { return 1, nil })
			m.Compute(key, func(int, bool) (int, waitmap.Op) { return 0, waitmap.Remove })
		},
	}
	const shards, most = 16, 7 * 7 / 4
	for name, use := range uses {
		m := waitmap.New[string, int](&waitmap.Options[string]{Shards: shards})
		left := keysLeft(5000, func(key string) { use(m, key) })
		t.Logf("%s: %d of 5000 keys are left, in %d parts", name, left, shards)
		require.LessOrEqual(t, left, shards*most, name)
		runtime.KeepAlive(m)
	}
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
		n := scale(600, 120)
		var all sync.WaitGroup
		for g := range 2 {
			all.Go(func() { // hands over, by keys that are used once
				for i := range n {
					key := strconv.Itoa(g) + "/" + strconv.Itoa(i)
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
				key := strconv.Itoa(rand.IntN(1000))
				m.Store(key, i)
				if v, ok := m.LoadAndDelete(key); !ok || v != i {
					t.Errorf("%s: %d, %t instead of %d", key, v, ok, i)
				}
				m.Compute(key, func(int, bool) (int, waitmap.Op) { return 0, waitmap.Remove })
			}
		})
		all.Wait()
		requireContents(t, map[string]int{}, m)
		requireIdle(t, m)
	})
}

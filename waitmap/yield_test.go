//go:build vigil_yield

package waitmap_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/waitmap"
)

// loadWhile is Load, which has read the key's cell when f is called, if there
// is one.
func loadWhile[K comparable, V any](m *waitmap.Map[K, V], key K, f func()) (V, bool) {
	called := false
	release := yield.Hold(yield.MapRead, func() {
		if !called {
			called = true // f may pass here, too
			f()
		}
	})
	defer func() {
		release()
		if !called {
			f()
		}
	}()
	return m.Load(key)
}

// TestLoadLooksTwice: between the look at the tags and the one at the cell the
// key goes, and is about to come back: the cell has its next value already,
// which nobody else can see yet.
func TestLoadLooksTwice(t *testing.T) {
	looksTwice(t, 1, 2)                                // words
	looksTwice(t, "a key of text", 2)                  // hashed another way
	looksTwice(t, [3]int{1, 2, 3}, 2)                  // looked up by the slow path
	looksTwice(t, 1, new(int))                         // pointers
	looksTwice(t, [3]int{1, 2, 3}, new(int))           //
	looksTwice(t, "a key of text", "a value in a box") //
	looksTwice(t, [3]int{1, 2, 3}, "a value in a box") //
}

func looksTwice[K comparable, V any](t *testing.T, key K, v V) {
	t.Run(fmt.Sprintf("%T to %T", key, v), func(t *testing.T) {
		var m waitmap.Map[K, V]
		m.Store(key, v)
		written, loaded, stored := make(chan struct{}), make(chan struct{}), make(chan struct{})
		passed := 0
		release := func() {}
		defer yield.Hold(yield.MapFound, func() {
			if passed++; passed == 1 {
				m.Delete(key)
				release = yield.Hold(yield.MapWritten, func() { close(written); <-loaded })
				go func() { m.Store(key, v); close(stored) }()
				<-written
			}
		})()
		got, ok := m.Load(key)
		release()
		close(loaded)
		<-stored
		require.NotZero(t, passed)
		require.False(t, ok, "Load gave a value that was stored after it")
		require.Zero(t, got, "Load gave a value that was stored after it")
		_, ok = m.Load(key)
		require.True(t, ok)
	})
}

// TestHoldEndsBeforeTheWait: the computation that holds the key is over before
// who found it gets in line for its end.
func TestHoldEndsBeforeTheWait(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		begun, finish, computed := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(computed)
			m.Compute(1, func(int, bool) (int, waitmap.Op) { close(begun); <-finish; return 1, waitmap.Set })
		}()
		<-begun
		release := yield.Hold(yield.MapHeld, func() { close(finish); <-computed })
		m.Store(1, 2)
		release()
		requireContents(t, map[int]int{1: 2}, m)
	})
}

//go:build vigil_schedpoint

package waitmap_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/waitmap"
)

// loadWhile is Load, which has read the key's cell when f is called, if there
// is one.
func loadWhile[K comparable, V any](m *waitmap.Map[K, V], key K, f func()) (V, bool) {
	called := false
	release := schedpoint.Hold(schedpoint.MapRead, func() {
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
// which no other goroutine can see yet.
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
		defer schedpoint.Hold(schedpoint.MapFound, func() {
			if passed++; passed == 1 {
				m.Delete(key)
				release = schedpoint.Hold(schedpoint.MapWritten, func() { close(written); <-loaded })
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

// TestHoldEndsBeforeTheWait: the computation that holds the key ends before a
// waiter that found it gets in line for its end.
func TestHoldEndsBeforeTheWait(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		m := newMap()
		begun, finish, computed := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(computed)
			m.Compute(1, func(int, bool) (int, waitmap.Op) { close(begun); <-finish; return 1, waitmap.StoreOp })
		}()
		<-begun
		release := schedpoint.Hold(schedpoint.MapHeld, func() { close(finish); <-computed })
		m.Store(1, 2)
		release()
		requireContents(t, map[int]int{1: 2}, m)
	})
}

// TestLoadSeesWhatRangeSaw: a store is about to release its key. If Range sees the value,
// Load sees it too, also if the home group was full and the entry is in a later one.
func TestLoadSeesWhatRangeSaw(t *testing.T) {
	m := waitmap.New[int, int](&waitmap.Options[int]{Hash: func(int, uint64) uint64 { return 0 }})
	passed := 0
	defer schedpoint.Hold(schedpoint.MapWritten, func() {
		passed++
		for k, v := range m.All() {
			got, ok := m.Load(k)
			require.True(t, ok, "key %d", k)
			require.Equal(t, v, got)
		}
	})()
	for k := range 100 {
		m.Store(k, k)
	}
	require.NotZero(t, passed)
}

// heldUp holds up every change, before it is published, for as long as a goroutine that
// has been served needs to run on; and every claim of a Select's waiter.
func heldUp() (release func()) {
	yield := func() {
		for range 50 {
			runtime.Gosched()
		}
	}
	written, claimed := schedpoint.Hold(schedpoint.MapWritten, yield), schedpoint.Hold(schedpoint.SelectClaimed, yield)
	return func() { written(); claimed() }
}

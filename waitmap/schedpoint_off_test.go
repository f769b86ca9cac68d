//go:build !vigil_schedpoint

package waitmap_test

import "github.com/vigil-go/vigil/waitmap"

// loadWhile calls f before Load, which cannot be held up in this build.
func loadWhile[K comparable, V any](m *waitmap.Map[K, V], key K, f func()) (V, bool) {
	f()
	return m.Load(key)
}

// heldUp does nothing: this build has no points.
func heldUp() (release func()) { return func() {} }

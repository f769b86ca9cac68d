//go:build !vigil_yield

package waitmap_test

import "github.com/vigil-go/vigil/waitmap"

// loadWhile calls f before Load, which nobody can hold up in this build.
func loadWhile[K comparable, V any](m *waitmap.Map[K, V], key K, f func()) (V, bool) {
	f()
	return m.Load(key)
}

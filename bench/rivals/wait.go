package rivals

import (
	"context"

	"github.com/vigil-go/vigil/waitmap"
)

// LoadAll loads n keys drawn by w.
func LoadAll[K Key, V any](m *waitmap.Map[K, V], w *Worker[K, V], n int) {
	for range n {
		key, _ := w.next()
		if _, ok := m.Load(key); ok {
			w.Hits++
		}
	}
}

// WaitAll is LoadAll with Wait. Every key must be present.
func WaitAll[K Key, V any](ctx context.Context, m *waitmap.Map[K, V], w *Worker[K, V], n int) {
	for range n {
		key, _ := w.next()
		if _, err := m.Wait(ctx, key); err == nil {
			w.Hits++
		}
	}
}

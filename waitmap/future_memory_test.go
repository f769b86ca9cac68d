package waitmap_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// TestFutureLetsGoOfItsMap: a Future that is done or stopped refers to nothing of the map
// but its value.
func TestFutureLetsGoOfItsMap(t *testing.T) {
	ends := map[string]func(m *waitmap.Map[int, *obj], f *waitmap.Future[*obj]){
		"Store":     func(m *waitmap.Map[int, *obj], _ *waitmap.Future[*obj]) { m.Store(1, nil) },
		"Compute":   func(m *waitmap.Map[int, *obj], _ *waitmap.Future[*obj]) { m.Compute(1, setNil) },
		"Cancel":    func(m *waitmap.Map[int, *obj], _ *waitmap.Future[*obj]) { m.Cancel(1) },
		"CancelAll": func(m *waitmap.Map[int, *obj], _ *waitmap.Future[*obj]) { m.CancelAll() },
		"Close":     func(m *waitmap.Map[int, *obj], _ *waitmap.Future[*obj]) { m.Close() },
		"Stop":      func(_ *waitmap.Map[int, *obj], f *waitmap.Future[*obj]) { f.Stop() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			over(t, func(t *testing.T, newMap maker[int, *obj]) {
				f, other := endFuture(newMap(), end)
				requireFreed(t, other, "the value of another key")
				_, done, _ := f.Result()
				require.True(t, done)
				require.False(t, f.Stop())
				runtime.KeepAlive(f)
			})
		})
	}
}

func setNil(*obj, bool) (*obj, waitmap.Op) { return nil, waitmap.StoreOp }

//go:noinline
func endFuture(m *waitmap.Map[int, *obj], end func(*waitmap.Map[int, *obj], *waitmap.Future[*obj])) (*waitmap.Future[*obj], weak.Pointer[obj]) {
	o, p := newObj()
	m.Store(2, o)
	first := m.Register(1, nil) // whose line it is
	f := m.Register(1, nil)
	joined, cancel := context.WithCancel(bg)
	cancel()
	f.Wait(joined)
	end(m, f)
	first.Stop()
	return f, p
}

// TestStressFutureLetsGo: goroutines join, leave and stop a Future that is
// about to be done, and a late one finds what became of it.
func TestStressFutureLetsGo(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		defer shaken(3)()
		m := newMap()
		for i := range testkit.Scale(300, 60) {
			f := m.Register(1, nil)
			var all sync.WaitGroup
			for g := range 3 {
				all.Go(func() {
					ctx, cancel := context.WithCancel(bg)
					defer cancel()
					if g == 0 {
						go cancel()
					}
					v, err := f.Wait(ctx)
					if err == nil && v != i || err != nil && v != 0 {
						t.Errorf("%d, %v", v, err)
					}
				})
			}
			all.Go(func() {
				if i%3 == 0 {
					f.Stop()
				}
			})
			m.Store(1, i)
			all.Wait()
			f.Stop()
			m.Delete(1)
		}
		requireIdle(t, m)
	})
}

package race_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/waitgroup"
)

// removed checks that OnRemove is told once of each value that was kept, whatever several
// goroutines do to the same few keys, and of all when the Cache is closed. A value is the
// number of its load or Put. One that was returned by a hit was kept.
func (l *loading) removed(w *worker) {
	var last atomic.Int64
	var told sync.Map // value: the cause
	o := &dedup.CacheOptions[int, int64]{
		MaxEntries: 4 * w.r.IntN(2), MaxLoads: w.r.IntN(3), ErrorTTL: time.Hour * time.Duration(w.r.IntN(2)),
		OnRemove: func(key int, v int64, cause dedup.RemoveCause) {
			if before, twice := told.LoadOrStore(v, cause); twice {
				w.t.Errorf("value %d of key %d was removed twice: %v, %v", v, key, before, cause)
			}
			if v%8 == 1 {
				wild(v%16 == 1)
			}
		},
	}
	if w.r.IntN(2) == 0 {
		o.TTL, o.StaleIfError = time.Microsecond, time.Hour
	}
	c := newCache(w, func(context.Context, int) (int64, error) {
		runtime.Gosched()
		if v := last.Add(1); v%4 != 0 {
			return v, nil
		}
		return 0, errLoad
	}, o)
	var beside waitgroup.Group
	var seen sync.Map
	for range 4 {
		beside.Add(1)
		a := w.apart()
		w.aside(func() {
			defer beside.Done()
			for range 50 {
				a.leavesOnce(c, &last, &seen)
			}
		})
	}
	w.must(beside.Wait(w.ctx))
	w.await(func() bool { return c.Stats().InFlight == 0 })
	for _, v := range c.All() {
		seen.Store(v, true)
	}
	w.must(c.Close())
	for v := range seen.Range {
		w.await(func() bool { _, ok := told.Load(v); return ok })
	}
}

// leavesOnce makes one call, and notes what it has seen in the Cache. Calls after which a
// value leaves may end the goroutine.
func (w *worker) leavesOnce(c *dedup.Cache[int, int64], last *atomic.Int64, seen *sync.Map) {
	key := w.r.IntN(8)
	w.rashly(func() {
		switch w.r.IntN(10) {
		case 0:
			c.Put(key, last.Add(1))
		case 1:
			c.Invalidate(key)
		case 2:
			c.InvalidateFunc(func(k int, v int64) bool { return v%3 == 0 })
		case 3:
			if w.r.IntN(8) == 0 {
				c.InvalidateAll()
			}
		case 4, 5:
			_ = c.Refresh(w.ctx, key)
		default:
			_, _ = c.Get(w.ctx, key)
		}
	})
	if v, ok := c.Peek(key); ok {
		seen.Store(v, true)
	}
}

package race_test

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// A faulty Map has user functions that now and then panic or exit, until calm is
// set.
type faulty struct {
	m    *waitmap.Map[int, any]
	calm atomic.Bool
	n    atomic.Uint32
	odds uint32
}

func newFaulty(r *rand.Rand) *faulty {
	f := &faulty{odds: 2 + r.Uint32N(20)}
	seed := maphash.MakeSeed()
	f.m = waitmap.New[int, any](&waitmap.Options[int]{Shards: 1, Hash: func(key int, _ uint64) uint64 {
		f.strike()
		return maphash.Comparable(seed, key)
	}})
	return f
}

func (f *faulty) strike() {
	n := f.n.Add(1)
	if n%f.odds == 0 && !f.calm.Load() {
		_ = (misbehave.Panic + misbehave.Strike(n/f.odds%2)).Do()
	}
}

// back calls the map from one of its functions, with another key.
func (f *faulty) back(r *rand.Rand, key int) {
	f.strike()
	switch key++; r.IntN(6) {
	case 0:
		f.m.Store(key, r.IntN(3))
	case 1:
		f.m.Delete(key)
	case 2:
		f.m.Compute(key+100, func(any, bool) (any, waitmap.Op) { f.strike(); return 1, waitmap.StoreOp })
	case 3:
		f.m.Cancel(key)
	case 4:
		f.m.Load(key)
	}
}

// call makes one of all calls; its functions call back and misbehave.
func (f *faulty) call(ctx context.Context, r *rand.Rand) error {
	key := r.IntN(40) // enough for tables to be replaced
	compute := func(any, bool) (any, waitmap.Op) {
		f.back(r, key)
		return r.IntN(3), waitmap.Op(r.IntN(3))
	}
	switch r.IntN(11) {
	case 0:
		f.m.Store(key, []int{1}) // cannot be compared
	case 1:
		f.m.Swap(key, r.IntN(3))
	case 2:
		f.m.Compute(key, compute)
	case 3:
		_, _, err := f.m.LoadOrCompute(key, func() (any, error) { v, _ := compute(nil, false); return v, nil })
		return err
	case 4:
		f.m.Range(func(key int, _ any) bool { f.back(r, key); return true })
	case 5:
		for key := range f.m.Waiting() {
			f.back(r, key)
		}
	case 6:
		_, err := f.m.WaitFor(ctx, key, func(any) bool { f.back(r, key); return r.IntN(4) == 0 })
		return err
	case 7:
		_, err := f.m.WaitCompute(ctx, key, func(old any) (any, waitmap.Op) { return compute(old, true) })
		return err
	case 8:
		f.compare(key, r)
	case 9:
		_, err := f.m.Take(ctx, key)
		return err
	case 10:
		f.m.Clear()
	}
	return nil
}

// compare panics as == does if it finds a value that cannot be compared.
func (f *faulty) compare(key int, r *rand.Rand) {
	defer func() {
		if v := recover(); v == misbehave.ErrPanic {
			panic(v)
		}
	}()
	if r.IntN(2) == 0 {
		waitmap.CompareAndSwap(f.m, key, any([]int{1}), any(2))
	} else {
		waitmap.CompareAndDelete(f.m, key, any([]int{1}))
	}
}

// functions checks that nothing stays locked, in line or on hold if a user's
// functions misbehave.
func (u *unrulies) functions(w *worker) {
	f := newFaulty(w.r)
	var beside waitgroup.Group
	for range 3 {
		beside.Add(1)
		a := w.apart()
		w.aside(func() {
			defer beside.Done()
			for range 30 {
				ctx := a.soon()
				a.rashly(func() {
					if err := f.call(ctx, a.r); err != nil && !errors.Is(err, errEnd) && !errors.Is(err, waitmap.ErrCanceled) {
						a.t.Errorf("functions: %v", err)
					}
				})
			}
		})
	}
	w.must(beside.Wait(w.ctx))
	f.calm.Store(true)
	for key := range f.m.Waiting() {
		w.t.Errorf("a waiter is left for key %d", key)
	}
	for key := range 40 {
		f.m.Store(key, key)
		v, err := f.m.Take(w.ctx, key)
		if v != key || err != nil {
			w.t.Errorf("Take after all gave %v, %v", v, err)
		}
	}
}

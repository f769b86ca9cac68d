package race_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/misbehave"
)

// A misbehavior is what one of a Cache's functions does wrong for one key.
type misbehavior struct {
	where  int // one of OnLoad, TTLOf, Weigh, ErrorTTLOf
	key    int
	strike misbehave.Strike // None: the function calls back
	over   atomic.Bool
	told   atomic.Int32 // calls of OnLoad
	c      *dedup.Cache[int, int]
}

const (
	inOnLoad = iota
	inTTLOf
	inWeigh
	inErrorTTLOf
	places
)

const batchOf = 4

// at misbehaves if the function and the key are the chosen ones. A function that
// calls back gets the next key, which may be in the same batch, and changes another
// one.
func (m *misbehavior) at(where, key int) {
	if where != m.where || key != m.key || m.over.Load() {
		return
	}
	_ = m.strike.Do()
	_, _ = m.c.Get(context.Background(), key+1)
	m.c.Peek(key - 1)
	m.c.Invalidate(key - 1)
}

// batch checks that a function that panics, exits or calls back affects at most its
// own key: the other keys are stored, OnLoad is called for each, and each can be
// got afterwards.
func (l *loading) batch(w *worker) {
	m := &misbehavior{where: w.r.IntN(places), key: 1 + w.r.IntN(batchOf-1), strike: misbehave.Strike(w.r.IntN(3))}
	missing := batchOf
	if m.where == inErrorTTLOf {
		missing = m.key
	}
	m.c = newCache(w, func(_ context.Context, key int) (int, error) { return key, nil }, &dedup.CacheOptions[int, int]{
		MaxLoads: w.r.IntN(2),
		LoadMany: func(_ context.Context, want []int) (map[int]int, error) {
			vs := make(map[int]int)
			for _, key := range want {
				if key != missing {
					vs[key] = key
				}
			}
			return vs, nil
		},
		OnLoad:     func(i dedup.LoadInfo[int]) { m.told.Add(1); m.at(inOnLoad, i.Key) },
		TTLOf:      func(key, _ int) time.Duration { m.at(inTTLOf, key); return time.Hour },
		MaxWeight:  1000,
		Weigh:      func(key, _ int) uint32 { m.at(inWeigh, key); return 1 },
		ErrorTTLOf: func(key int, _ error) time.Duration { m.at(inErrorTTLOf, key); return 0 },
	})
	want := []int{0, 1, 2, 3}
	vs, err := m.c.GetMany(w.ctx, want)
	for _, key := range want {
		v, ok := vs[key]
		costs := key == m.key && (m.where == inErrorTTLOf || m.where != inOnLoad && m.strike != misbehave.None)
		if ok == costs || ok && v != key {
			w.t.Errorf("strike %d at place %d, key %d: GetMany gave %v, %v", m.strike, m.where, m.key, vs, err)
		}
	}
	if _, joined := err.(interface{ Unwrap() []error }); err != nil && !joined {
		w.t.Errorf("GetMany: %v", err)
	}
	w.await(func() bool { return m.told.Load() >= batchOf })
	for _, key := range want {
		v, ok := m.c.Peek(key)
		if own := key == m.key && m.where != inOnLoad; m.strike != misbehave.None && ok == own || !ok && v != 0 || ok && v != key {
			w.t.Errorf("strike %d at place %d, key %d: of key %d there is %d, %v", m.strike, m.where, m.key, key, v, ok)
		}
	}
	m.over.Store(true)
	for _, key := range want {
		v, err := m.c.Get(w.ctx, key)
		w.got(key, v, err)
	}
	w.must(m.c.Close())
}

// slowOnLoad checks that a caller that waits for a batch does not wait for OnLoad.
func (l *loading) slowOnLoad(w *worker) {
	back := make(chan struct{})
	told := make(chan struct{}, batchOf)
	c := newCache(w, func(_ context.Context, key int) (int, error) { return key, nil }, &dedup.CacheOptions[int, int]{
		LoadMany: func(_ context.Context, want []int) (map[int]int, error) {
			return map[int]int{0: 0, 1: 1, 2: 2}, errLoad
		},
		OnLoad: func(dedup.LoadInfo[int]) { <-back; told <- struct{}{} },
	})
	vs, err := c.GetMany(w.ctx, []int{0, 1, 2, 3})
	if len(vs) != batchOf-1 || !errors.Is(err, errLoad) {
		w.t.Errorf("GetMany gave %v, %v", vs, err)
	}
	close(back)
	w.await(func() bool { return len(told) == batchOf })
	w.must(c.Close())
}

package race_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/hostile"
)

// A misdeed is what one of a Cache's functions does about one key.
type misdeed struct {
	where  int // one of OnLoad, TTLOf, Weigh, ErrorTTLOf
	key    int
	strike hostile.Strike // None: it calls back
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

// at does it, if this is the place. It gets the key after its own, which may
// be in the same batch, and changes another.
func (m *misdeed) at(where, key int) {
	if where != m.where || key != m.key || m.over.Load() {
		return
	}
	_ = m.strike.Do()
	_, _ = m.c.Get(context.Background(), key+1)
	m.c.Peek(key - 1)
	m.c.Invalidate(key - 1)
}

// batch: a function that panics, exits or calls back costs its own key at most:
// the others are stored, OnLoad is called for each, and each can be got after.
func (l *loading) batch(w *worker) {
	m := &misdeed{where: w.r.IntN(places), key: 1 + w.r.IntN(batchOf-1), strike: hostile.Strike(w.r.IntN(3))}
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
		costs := key == m.key && (m.where == inErrorTTLOf || m.where != inOnLoad && m.strike != hostile.None)
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
		if own := key == m.key && m.where != inOnLoad; m.strike != hostile.None && ok == own || !ok && v != 0 || ok && v != key {
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

// slowOnLoad: who waits for a batch does not wait for OnLoad.
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

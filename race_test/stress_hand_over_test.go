package race_test

import (
	"errors"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// handOvers checks that the one value of each key is either in the map or with one
// goroutine, and is never lost when waiters unwind.
func handOvers(s *round, b *book) (check func()) {
	t := &taking{round: s, b: b}
	for key := range keys {
		t.m.Store(key, handOver(key))
		b.sent.Add(1)
	}
	s.team("handOver").start(6, 100,
		operation{"Take", t.take}, operation{"Take, misbehaving", t.takeBadly}, operation{"Load", t.look},
		operation{"LoadAndDelete", t.grab}, operation{"WaitCompute", t.compute})
	return t.check
}

type taking struct {
	*round
	m waitmap.Map[int, int]
	b *book
}

func handOver(key int) int { return 100 + key }

// back stores the one value again.
func (t *taking) back(w *worker, key, v int, err error) {
	if w.canceled(err) {
		if v != 0 {
			w.t.Errorf("%s failed and gave %d", *w.doing.Load(), v)
		}
		return
	}
	if v != handOver(key) {
		w.t.Errorf("%s gave %d", *w.doing.Load(), v)
	}
	if w.r.IntN(2) == 0 {
		w.pause()
	}
	if _, there := t.m.LoadOrStore(key, v); there {
		w.t.Errorf("the one value of key %d is there twice", key)
	}
}

func (t *taking) take(w *worker) {
	ctx, done := w.until()
	defer done()
	key := w.r.IntN(keys)
	v, err := t.m.Take(ctx, key)
	t.back(w, key, v, err)
}

// takeBadly unwinds, or its Park fails. If it was handed the value when it unwinds,
// the value counts as not taken.
func (t *taking) takeBadly(w *worker) {
	ctx, done := w.until()
	key, p, w := w.r.IntN(keys), misbehave.DrawParker(w.r), w.apart()
	w.aside(func() {
		defer done()
		v, err := t.m.Take(wake.WithParker(ctx, p), key)
		if errors.Is(err, misbehave.ErrOwn) {
			err = errEnd
		}
		t.back(w, key, v, err)
	})
}

func (t *taking) look(w *worker) {
	key := w.r.IntN(keys)
	for range 200 {
		if v, ok := t.m.Load(key); ok && v != handOver(key) || !ok && v != 0 {
			w.t.Errorf("Load gave %d, %v", v, ok)
			return
		}
	}
}

func (t *taking) grab(w *worker) {
	key := w.r.IntN(keys)
	if v, ok := t.m.LoadAndDelete(key); ok {
		t.back(w, key, v, nil)
	} else if v != 0 {
		w.t.Errorf("LoadAndDelete gave %d, false", v)
	}
}

func (t *taking) compute(w *worker) {
	ctx, done := w.until()
	defer done()
	key := w.r.IntN(keys)
	v, err := t.m.WaitCompute(ctx, key, func(old int) (int, waitmap.Op) { return old, waitmap.DeleteOp })
	t.back(w, key, v, err)
}

func (t *taking) check() {
	for key := range keys {
		v, ok := t.m.Load(key)
		if !ok || v != handOver(key) {
			t.round.t.Errorf("the one value of key %d is lost: %d, %v", key, v, ok)
			continue
		}
		t.b.received.Add(1)
	}
	noneWait(t.round, &t.m)
}

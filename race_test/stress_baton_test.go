package race_test

import (
	"errors"

	"github.com/vigil-go/vigil/internal/hostile"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// batons: each key has one value, which is there, or somebody has it. It is
// never lost, however those unwind who wait for it.
func batons(s *storm, b *book) (check func()) {
	t := &taking{storm: s, b: b}
	for key := range keys {
		t.m.Store(key, baton(key))
		b.sent.Add(1)
	}
	s.crew("baton").hire(6, 100,
		deed{"Take", t.take}, deed{"Take, hostile", t.takeBadly}, deed{"Load", t.look},
		deed{"LoadAndDelete", t.grab}, deed{"WaitCompute", t.compute})
	return t.check
}

type taking struct {
	*storm
	m waitmap.Map[int, int]
	b *book
}

func baton(key int) int { return 100 + key }

// back gives the one value back.
func (t *taking) back(w *worker, key, v int, err error) {
	if w.canceled(err) {
		if v != 0 {
			w.t.Errorf("%s failed and gave %d", *w.doing.Load(), v)
		}
		return
	}
	if v != baton(key) {
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

// takeBadly unwinds, perhaps with the value, which is not taken then; or its
// Park fails.
func (t *taking) takeBadly(w *worker) {
	ctx, done := w.until()
	key, p, w := w.r.IntN(keys), hostile.DrawParker(w.r), w.apart()
	w.aside(func() {
		defer done()
		v, err := t.m.Take(wake.WithParker(ctx, p), key)
		if errors.Is(err, hostile.ErrOwn) {
			err = errEnd
		}
		t.back(w, key, v, err)
	})
}

func (t *taking) look(w *worker) {
	key := w.r.IntN(keys)
	for range 200 {
		if v, ok := t.m.Load(key); ok && v != baton(key) || !ok && v != 0 {
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
	v, err := t.m.WaitCompute(ctx, key, func(old int) (int, waitmap.Op) { return old, waitmap.Remove })
	t.back(w, key, v, err)
}

func (t *taking) check() {
	for key := range keys {
		v, ok := t.m.Load(key)
		if !ok || v != baton(key) {
			t.storm.t.Errorf("the one value of key %d is lost: %d, %v", key, v, ok)
			continue
		}
		t.b.received.Add(1)
	}
	noneWait(t.storm, &t.m)
}

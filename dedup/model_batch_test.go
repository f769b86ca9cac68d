package dedup_test

import (
	"context"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

const modelDelay = 1500 * time.Millisecond

// A modelBatch is a call of LoadMany, or the loads that are gathered for one. It lasts
// until the call has ended.
type modelBatch struct {
	loads   []*modelLoad
	gathers bool
	due     time.Time // when it begins
	call    *modelCallOfMany
	changed map[string]bool // keys put or invalidated since it began
}

// A modelCallOfMany is a call of LoadMany.
type modelCallOfMany struct {
	ctx  context.Context
	keys []string
	gate chan modelResultOfMany
}

type modelResultOfMany struct {
	vs   map[string]int
	errs error
}

func (m *model) loadMany(ctx context.Context, keys []string) (map[string]int, error) {
	c := &modelCallOfMany{ctx, keys, make(chan modelResultOfMany, 1)}
	m.asked <- c
	r := <-c.gate // whatever ctx says
	return r.vs, r.errs
}

// canceled reports whether nobody waits for a load.
func (l *modelLoad) canceled() bool { return l.callers == 0 && !l.pinned }

// canceled reports whether nobody waits for any load.
func (b *modelBatch) canceled() bool {
	return !slices.ContainsFunc(b.loads, func(l *modelLoad) bool { return !l.canceled() })
}

// gather adds a load to the batch that gathers, or to one of its own.
func (m *model) gather(l *modelLoad, alone bool) {
	var b *modelBatch
	if i := slices.IndexFunc(m.batches, func(b *modelBatch) bool { return b.gathers }); i >= 0 && !alone {
		b = m.batches[i]
	} else {
		b = &modelBatch{gathers: !alone, due: time.Now(), changed: make(map[string]bool)}
		if !alone {
			b.due = b.due.Add(m.o.BatchDelay)
		}
		m.batches = append(m.batches, b)
	}
	l.batch = b
	if b.loads = append(b.loads, l); len(b.loads) == m.o.MaxBatch {
		b.gathers, b.due = false, time.Now()
	}
}

// leaveBatch ends a batch that gathers if nobody waits for it any more. A caller has left,
// or a load in the background is not needed.
func (m *model) leaveBatch(b *modelBatch) {
	if b != nil && b.gathers && b.canceled() {
		m.dropBatch(b)
	}
}

func (m *model) dropBatch(b *modelBatch) {
	i := slices.Index(m.batches, b)
	m.batches = slices.Delete(m.batches, i, i+1)
}

// beginBatches requires that the batches have begun that are due, with the keys that
// somebody waits for, and no others.
func (m *model) beginBatches() {
	for _, b := range slices.Clone(m.batches) {
		if b.call != nil || time.Now().Before(b.due) {
			continue
		}
		b.gathers = false
		b.loads = slices.DeleteFunc(b.loads, (*modelLoad).canceled)
		if len(b.loads) == 0 {
			m.dropBatch(b)
			continue
		}
		var keys []string
		for _, l := range b.loads {
			if !slices.Contains(keys, l.key) {
				keys = append(keys, l.key)
			}
		}
		require.NotEmpty(m.t, m.asked, "LoadMany has not been called: %v", m)
		b.call = <-m.asked
		require.Equal(m.t, keys, b.call.keys, "%v", m)
		require.LessOrEqual(m.t, len(keys), m.o.MaxBatch, "%v", m)
	}
	require.Empty(m.t, m.asked, "a call of LoadMany too many: %v", m)
}

// noteChange notes that a key was put or invalidated. For an empty key that is all keys.
func (m *model) noteChange(key string) {
	for _, b := range m.batches {
		if b.call != nil {
			b.changed[key] = true
		}
	}
}

// endBatch ends a call of LoadMany as the bits of a step say: with values, and errors of
// some keys, and maybe with a value for a key that it was not asked for.
func (m *model) endBatch(b *modelBatch, how byte) {
	if b.call == nil {
		return
	}
	m.dropBatch(b)
	results := make(map[string]result)
	for i, key := range b.call.keys {
		results[key] = m.resultOf(b, key, int(how)>>(3+2*i)&3, how&7 == 7)
	}
	vs, errs := make(map[string]int), make(dedup.KeyErrors[string])
	for key, r := range results {
		if r.err == nil {
			vs[key] = r.v
		} else if r.err != dedup.ErrNotLoaded {
			vs[key], errs[key] = -1000, r.err
		}
	}
	extra := how&0x40 != 0 && len(b.call.keys) == 1
	if extra {
		m.puts--
		vs[other(b.call.keys[0])] = m.puts
		errs["another"] = errLoad // of a key that was not asked for
	}
	r := modelResultOfMany{vs: vs}
	if how&7 == 7 {
		r.errs = fmt.Errorf("some: %w", errs)
	}
	b.call.gate <- r
	synctest.Wait()
	for _, l := range b.loads {
		m.ended(l, results[l.key])
	}
	if extra {
		m.storeExtra(b, other(b.call.keys[0]), m.puts)
	}
}

func other(key string) string { return map[string]string{"a": "b", "b": "a"}[key] }

// resultOf returns what LoadMany returns for a key: the number of its last load, or an
// error.
func (m *model) resultOf(b *modelBatch, key string, kind int, mayFail bool) result {
	if mayFail && kind < 3 {
		return result{err: []error{errLoad, dedup.ErrGone, dedup.ErrNotLoaded}[kind]}
	}
	for _, l := range slices.Backward(b.loads) {
		if l.key == key {
			return result{v: l.number}
		}
	}
	panic("not in the batch")
}

// storeExtra stores a key that LoadMany was not asked for, unless it has a fresh value or a
// load, or has changed.
func (m *model) storeExtra(b *modelBatch, key string, v int) {
	k := m.key(key)
	r, ok, stale, _ := m.answer(k.entry)
	if k.flight != nil || b.changed[key] || b.changed[""] || ok && !stale && r.err == nil {
		return
	}
	m.leave(k.entry, dedup.RemoveReplaced)
	k.entry = &modelEntry{has: true, v: v, stored: time.Now(), used: time.Now()}
}

// endBatches ends all batches, also those that gather.
func (m *model) endBatches() {
	time.Sleep(modelDelay)
	synctest.Wait()
	m.beginBatches()
	for len(m.batches) > 0 {
		m.endBatch(m.batches[0], 6)
	}
}

// checkBatches requires that a call is canceled when nobody waits for any of its loads.
func (m *model) checkBatches() {
	for _, b := range m.batches {
		if b.call != nil {
			require.Equal(m.t, b.canceled(), b.call.ctx.Err() != nil, "%v: %v", b.call.keys, m)
		}
	}
}

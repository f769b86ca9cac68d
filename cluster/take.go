package cluster

import (
	"context"
	"errors"
	"sync"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/waitmap"
)

// Take waits until there is a value for key, removes it and returns it. Of all takers in all
// processes, exactly one gets each value; which one is left open, but those of
// one process take turns, the longest waiting first. Until a value is taken, reads and other
// waits find it.
//
// If ctx has ended before the call, Take returns an error and takes nothing. Its errors are
// those of [Map.Wait] and [Map.Store]. If the error matches [ErrUnknown], the value may have
// been taken, and Take returns it together with the error, so that it is not lost: nobody
// else gets it, or it is still there.
func (m *Map[V]) Take(ctx context.Context, key string) (value V, err error) {
	mustContext(ctx)
	if ctx.Err() != nil {
		return value, engine.ContextError(ctx)
	}
	if err := m.takers.enter(ctx, key); err != nil {
		return value, err
	}
	defer m.takers.leave(key)
	for {
		m.b.gate.pass()
		e, err := m.local.Wait(ctx, key)
		if err != nil {
			return value, err
		}
		_, err = m.b.write(ctx, engine.Write{Key: m.prefix + key, Delete: true, Expected: e.Revision})
		switch {
		case err == nil || errors.Is(err, ErrUnknown):
			return e.Value, err
		case !errors.Is(err, engine.ErrConflict):
			return value, err
		}
		if now, ok := m.LoadEntry(key); ok && now.Revision == e.Revision { // the history is another one
			if err := m.b.Sync(ctx); err != nil {
				return value, err
			}
		}
	}
}

// Takers lets the takers of a key in this process take turns. Otherwise each value
// would make all of them send a write.
type takers struct {
	mu    sync.Mutex
	count map[string]int // takers of a key, of which one has its turn
	turns waitmap.Map[string, struct{}]
}

// enter waits for the turn.
func (t *takers) enter(ctx context.Context, key string) error {
	t.mu.Lock()
	if t.count == nil {
		t.count = make(map[string]int)
	}
	t.count[key]++
	first := t.count[key] == 1
	t.mu.Unlock()
	if first {
		return nil
	}
	entered := false
	defer func() {
		if !entered {
			t.drop(key)
		}
	}()
	_, err := t.turns.Take(ctx, key)
	entered = err == nil
	return err
}

// leave gives the turn to the next taker.
func (t *takers) leave(key string) {
	if t.drop(key) {
		return
	}
	t.turns.Store(key, struct{}{})
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count[key] == 0 { // the next has given up meanwhile
		t.turns.Delete(key)
	}
}

// drop counts a taker out, and reports whether it was the last one.
func (t *takers) drop(key string) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count[key]--
	if t.count[key] > 0 {
		return false
	}
	delete(t.count, key)
	t.turns.Delete(key)
	return true
}

func (t *takers) cancel(key string) int { return t.turns.Cancel(key) }

func (t *takers) close() { t.turns.Close() }

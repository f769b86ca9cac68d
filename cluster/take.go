package cluster

import (
	"context"
	"errors"
	"fmt"
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
	line, err := m.takers.enter(ctx, key)
	if err != nil {
		return value, err
	}
	taken := false
	defer m.b.orUndo(func() { m.takers.leave(key) }, func() {
		if taken {
			m.putBack(key, value)
		}
	})
	for {
		e, err := m.waitInLine(ctx, key, line)
		if err != nil {
			return value, err
		}
		if v, done, err := m.takeEntry(ctx, key, e); done {
			taken = err == nil
			return v, err
		}
	}
}

// putBack stores a value that was taken, also while the Bucket is being closed, unless there is a
// newer one, which would have replaced it.
func (m *Map[V]) putBack(key string, value V) {
	var err error
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p) // of Encode
		}
		if err != nil && !errors.Is(err, engine.ErrConflict) {
			m.b.log.Error("vigil cluster: a value that was taken may be lost", "map", m.name, "key", key, "error", err)
		}
	}()
	var data []byte
	if data, err = m.codec.Encode(value); err == nil {
		_, err = m.b.writeAlways(context.Background(), engine.Write{Key: m.prefix + key, Value: data})
	}
}

// takeEntry asks the engine to remove the entry of key. It reports false if the engine has
// another one, or none; then this process has seen that.
func (m *Map[V]) takeEntry(ctx context.Context, key string, e Entry[V]) (value V, done bool, err error) {
	err = m.b.take(ctx, m.prefix+key, e.Revision, func(err error) {
		if err == nil {
			m.putBack(key, e.Value)
		}
	})
	switch {
	case err == nil || errors.Is(err, ErrUnknown):
		return e.Value, true, err
	case !errors.Is(err, engine.ErrConflict):
		return value, true, err
	}
	if now, ok := m.LoadEntry(key); ok && now.Revision == e.Revision { // the history is another one
		err = m.b.Sync(ctx)
		return value, err != nil, err
	}
	return value, false, nil
}

// waitInLine is Wait of a taker that has its turn. A Cancel that came when it was between
// the two lines has not found it there.
func (m *Map[V]) waitInLine(ctx context.Context, key string, line taking) (e Entry[V], err error) {
	if e, ok := m.LoadEntry(key); ok {
		return e, nil
	}
	f := m.local.Register(key, nil)
	defer f.Stop()
	if m.takers.canceled(line) { // the second look: a Cancel from now on finds f
		return e, ErrCanceled
	}
	return f.Wait(ctx)
}

// Takers lets the takers of a key in this process take turns. Otherwise each value
// would make all of them send a write.
type takers struct {
	mu    sync.Mutex
	lines map[string]*takeLine
	turns waitmap.Map[string, struct{}]
}

// A takeLine has the takers of a key. It is there as long as there are any.
type takeLine struct {
	takers  int // of which one has its turn
	cancels int // calls of Cancel
}

// A taking is a call of Take: its line, and the calls of Cancel before it.
type taking struct {
	*takeLine
	before int
}

// enter waits for the turn.
func (t *takers) enter(ctx context.Context, key string) (c taking, err error) {
	c, first := t.add(key)
	if first {
		return c, nil
	}
	entered := false
	defer func() {
		if !entered {
			t.drop(key)
		}
	}()
	_, err = t.turns.Take(ctx, key)
	entered = err == nil
	return c, err
}

func (t *takers) add(key string) (c taking, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[key]
	if l == nil {
		l = new(takeLine)
		if t.lines == nil {
			t.lines = make(map[string]*takeLine)
		}
		t.lines[key] = l
	}
	l.takers++
	return taking{l, l.cancels}, l.takers == 1
}

// leave gives the turn to the next taker.
func (t *takers) leave(key string) {
	if t.drop(key) {
		return
	}
	t.turns.Store(key, struct{}{})
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines[key] == nil { // the next has given up meanwhile
		t.turns.Delete(key)
	}
}

// drop counts a taker out, and reports whether it was the last one.
func (t *takers) drop(key string) (last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[key]
	if l.takers--; l.takers > 0 {
		return false
	}
	delete(t.lines, key)
	t.turns.Delete(key)
	return true
}

func (t *takers) canceled(c taking) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.cancels != c.before
}

// cancel ends the waits for a turn. Map.Cancel then ends that of the taker whose turn it is.
func (t *takers) cancel(key string) int {
	t.mu.Lock()
	if l := t.lines[key]; l != nil {
		l.cancels++
	}
	t.mu.Unlock()
	return t.turns.Cancel(key)
}

func (t *takers) close() { t.turns.Close() }

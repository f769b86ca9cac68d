package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/vigil-go/vigil/cluster/engine"
)

// cancelTTL is how long the engine keeps that the waits for a key were canceled.
const cancelTTL = time.Minute

// Store sets the value for key and returns its revision. When it returns without an error,
// the value is stored as safely as the engine can, and this process has seen it. The waiters of
// all machines return a value that is at least as new.
//
// If ctx ends first, the error matches ctx.Err() and context.Cause(ctx); if the Bucket is
// closed, [ErrClosed]. If it also matches [ErrUnknown], the value may have been
// stored, and otherwise it was not. Store panics if ctx is nil.
func (m *Map[V]) Store(ctx context.Context, key string, value V) (revision uint64, err error) {
	return m.put(ctx, engine.Write{Key: key, Unconditional: true}, value)
}

// put makes a write of a value.
func (m *Map[V]) put(ctx context.Context, w engine.Write, value V) (uint64, error) {
	mustContext(ctx)
	data, err := m.codec.Encode(value)
	if err != nil {
		return 0, err
	}
	w.Key, w.Value = m.prefix+w.Key, data
	return m.b.write(ctx, w)
}

// LoadOrStore returns the existing value for key if there is one, as the engine knows it.
// Otherwise it stores value and returns it. The loaded result is true if the value was
// loaded, false if it was stored. Of all machines that call it for an absent key, one
// stores. The errors are those of [Map.Store], and [ErrDecode].
func (m *Map[V]) LoadOrStore(ctx context.Context, key string, value V) (actual V, loaded bool, err error) {
	var zero V
	for {
		_, err := m.put(ctx, engine.Write{Key: key}, value)
		if err == nil {
			return value, false, nil
		}
		if !errors.Is(err, engine.ErrConflict) {
			return zero, false, err
		}
		if e, ok := m.LoadEntry(key); ok {
			return e.Value, true, nil
		}
		if err := m.badError(key); err != nil {
			return zero, false, err
		}
		if err := m.b.Sync(ctx); err != nil { // deleted since, or the history is another one
			return zero, false, err
		}
	}
}

// CompareAndSwap stores value for key if the revision of its value is old, and reports
// whether it did. Then it returns the new revision. Zero means that the key must be
// absent. The errors are those of [Map.Store].
func (m *Map[V]) CompareAndSwap(ctx context.Context, key string, old uint64, value V) (revision uint64, swapped bool, err error) {
	revision, err = m.put(ctx, engine.Write{Key: key, Expected: old}, value)
	if errors.Is(err, engine.ErrConflict) {
		return 0, false, nil
	}
	return revision, err == nil, err
}

// CompareAndDelete deletes the value for key if its revision is old, and reports whether it
// did. The errors are those of [Map.Store].
func (m *Map[V]) CompareAndDelete(ctx context.Context, key string, old uint64) (deleted bool, err error) {
	mustContext(ctx)
	if old == 0 { // no value has it
		return false, nil
	}
	_, err = m.b.write(ctx, engine.Write{Key: m.prefix + key, Delete: true, Expected: old})
	if errors.Is(err, engine.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Delete deletes the value for key, if there is one. The errors are those of [Map.Store].
func (m *Map[V]) Delete(ctx context.Context, key string) error {
	_, err := m.b.write(ctx, engine.Write{Key: m.prefix + key, Delete: true, Unconditional: true})
	return err
}

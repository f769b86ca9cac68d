package cluster

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// A Map is a map of strings to values that all processes with the same bucket share, and
// whose keys can be awaited. [NewMap] returns one. Its methods may be called from any
// goroutine, and those that take a context also from a task of an event loop.
//
// Keys are any strings that the engine can have; NATS can have at least 600 bytes. Writes take
// a context, and go to the engine. Reads and waits use what this process has
// seen, as the documentation of the package describes. They wait for each other only while
// changes are applied that must be seen at once.
//
// If a call fails, its other results are zero values, with one exception: see Take.
type Map[V any] struct {
	b      *Bucket
	name   string
	prefix string
	codec  Codec
	local  *waitmap.Map[string, Entry[V]]
	takers takers
	offers offers

	mu       sync.Mutex          // guards what follows; may be locked while the Bucket's is
	bad      map[string]badValue // keys of values that cannot be decoded
	loading  bool                // NewMap puts in what was there
	unloaded bool                // a Codec has ended NewMap
	missed   []missed            // changes while loading
}

// An Entry is a value and the revision of the write that stored it.
type Entry[V any] struct {
	Value    V
	Revision uint64
}

// A badValue is a value that cannot be decoded.
type badValue struct {
	revision uint64
	err      error
}

// A missed change came while NewMap put in what was there.
type missed struct {
	change
	commit func()
}

// MapOptions configure a [Map].
type MapOptions struct {
	// Name is the name of the Map in its bucket. Processes that use the same name share
	// the Map. It may be any string without NUL.
	Name string

	// Codec turns values into bytes and back. Nil means JSON.
	Codec Codec
}

// NewMap returns the Map of that name. Its values are there when NewMap returns. A Bucket has
// one Map of each name; another call for the name fails.
func NewMap[V any](b *Bucket, o *MapOptions) (*Map[V], error) {
	if o == nil {
		o = new(MapOptions)
	}
	m := &Map[V]{b: b, name: o.Name, codec: o.Codec, local: waitmap.New[string, Entry[V]](nil), bad: make(map[string]badValue), loading: true}
	if m.codec == nil {
		m.codec = JSON
	}
	prefix, there, err := b.attach(kindMap, o.Name, m)
	if err != nil {
		return nil, err
	}
	m.prefix = prefix
	m.load(there)
	return m, nil
}

// load puts in what was there, and then what has come meanwhile. If a Codec ends the
// goroutine, the Bucket has everything as before.
func (m *Map[V]) load(there map[string]change) {
	loaded := false
	defer func() {
		if !loaded {
			m.unload(there)
		}
	}()
	for _, c := range there {
		m.commit(c)()
	}
	for m.loadMissed() {
	}
	loaded = true
}

// loadMissed puts in a missed change. It reports false if there is none, and then changes
// are applied as they come.
func (m *Map[V]) loadMissed() bool {
	m.mu.Lock()
	if len(m.missed) == 0 {
		m.loading, m.missed = false, nil
		m.mu.Unlock()
		return false
	}
	commit := m.missed[0].commit
	m.missed = m.missed[1:]
	m.mu.Unlock()
	commit()
	return true
}

// unload undoes attach.
func (m *Map[V]) unload(there map[string]change) {
	m.b.detach(m.prefix, there, func() (changes []change) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.unloaded = true
		for _, c := range m.missed {
			changes = append(changes, c.change)
		}
		return changes
	})
}

// prepare decodes the value of a change. If the Codec calls runtime.Goexit, the value is a bad one.
func (m *Map[V]) prepare(c change) func() {
	prepared := false
	defer func() {
		if !prepared {
			m.apply(c, m.withoutValue(c, ErrDecode))
		}
	}()
	commit := m.commit(c)
	prepared = true
	return func() { m.apply(c, commit) }
}

// apply calls commit, or leaves that to NewMap if it is not done. If NewMap has given up since the
// change was prepared, the Bucket keeps the change.
func (m *Map[V]) apply(c change, commit func()) {
	m.mu.Lock()
	loading, unloaded := m.loading, m.unloaded
	if loading && !unloaded {
		m.missed = append(m.missed, missed{c, commit})
	}
	m.mu.Unlock()
	switch {
	case unloaded:
		m.b.keep(m.prefix, c)
	case !loading:
		commit()
	}
}

// withoutValue returns a function that applies a change whose value cannot be decoded.
func (m *Map[V]) withoutValue(c change, err error) func() {
	return func() {
		m.setBad(c.key, &badValue{c.revision, err})
		m.local.Delete(c.key)
	}
}

// commit decodes the value of a change, and returns a function that applies it.
func (m *Map[V]) commit(c change) func() {
	if !c.put {
		return func() { m.setBad(c.key, nil); m.local.Delete(c.key) }
	}
	if old, ok := m.local.Load(c.key); ok && old.Revision == c.revision && !c.newHistory {
		return func() {}
	}
	v, err := m.decode(c)
	if err != nil {
		return m.withoutValue(c, err)
	}
	return func() {
		m.setBad(c.key, nil)
		defer m.offer(c.key) // also if a waker panics
		m.local.Store(c.key, Entry[V]{v, c.revision})
	}
}

// decode decodes a value.
func (m *Map[V]) decode(c change) (v V, err error) {
	v, err = decode[V](m.codec, c.value)
	if err != nil {
		m.b.log.Error("vigil cluster: a value cannot be decoded", "map", m.name, "key", c.key, "revision", c.revision, "error", err)
	}
	return v, err
}

func (m *Map[V]) setBad(key string, bad *badValue) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if bad == nil {
		delete(m.bad, key)
	} else {
		m.bad[key] = *bad
	}
}

// badError returns the error of a value that cannot be decoded, or nil.
func (m *Map[V]) badError(key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bad[key].err
}

func (m *Map[V]) keys(f func(key string)) {
	for key := range m.local.Keys() {
		f(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.bad {
		f(key)
	}
}

func (m *Map[V]) cancel(key string) { m.Cancel(key) }

func (m *Map[V]) end() { m.Close() }

// Load returns the value for key, or the zero value and false if there is none.
func (m *Map[V]) Load(key string) (value V, ok bool) {
	e, ok := m.LoadEntry(key)
	return e.Value, ok
}

// LoadEntry is Load, and also returns the revision of the value, with which
// [Map.CompareAndSwap] can replace it.
func (m *Map[V]) LoadEntry(key string) (e Entry[V], ok bool) {
	m.b.gate.pass()
	return m.local.Load(key)
}

// Len returns the number of keys.
func (m *Map[V]) Len() int {
	m.b.gate.pass()
	return m.local.Len()
}

// All returns an iterator over the keys and values. It does not iterate over a snapshot: it
// visits no key twice, and a value was that of its key at some moment of the iteration. The
// body of the loop may use the Map; nothing is held while it runs.
func (m *Map[V]) All() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		m.b.gate.pass()
		for key, e := range m.local.All() {
			if !yield(key, e.Value) {
				return
			}
		}
	}
}

// Wait returns the value for key. If there is none, it waits until one is stored, on any
// machine, and returns that value even if the key is overwritten or deleted the next
// moment. It sends nothing, and needs no goroutine.
//
// If the wait fails, the error matches ctx.Err() and context.Cause(ctx) if ctx has ended,
// [ErrCanceled] if Cancel or CancelEverywhere ended the wait, and [ErrClosed] after
// Close. If the key is there, Wait returns the value even if ctx has ended. Wait panics if
// ctx is nil.
func (m *Map[V]) Wait(ctx context.Context, key string) (V, error) {
	m.b.gate.pass()
	e, err := m.local.Wait(ctx, key)
	return e.Value, err
}

// WaitNext waits for the next store of key that this process sees, and returns its value,
// even if the key has a value now. A value that is read anew after the history was lost
// counts as a store if it is another one. The errors are those of [Map.Wait].
func (m *Map[V]) WaitNext(ctx context.Context, key string) (V, error) {
	m.b.gate.pass()
	e, err := m.local.WaitNext(ctx, key)
	return e.Value, err
}

// WaitFor waits until key has a value that satisfies ok, and returns it. It may skip values
// that were overwritten before ok saw them, but not the last one. ok may be called twice for
// one value. Nothing is held while it runs. The errors are those of [Map.Wait].
func (m *Map[V]) WaitFor(ctx context.Context, key string, ok func(V) bool) (V, error) {
	m.b.gate.pass()
	e, err := m.local.WaitFor(ctx, key, func(e Entry[V]) bool { return ok(e.Value) })
	return e.Value, err
}

// WaitAny waits until one of the keys has a value, and returns that key and its value. If
// several have one, it returns the earliest of them in keys. Without keys it waits for the
// end of ctx. The errors are those of [Map.Wait].
func (m *Map[V]) WaitAny(ctx context.Context, keys ...string) (string, V, error) {
	m.b.gate.pass()
	key, e, err := m.local.WaitAny(ctx, keys...)
	return key, e.Value, err
}

// Watch returns an iterator over the values of key: the one that is there, then each newer
// one that this process sees. It may skip values that were overwritten, but not the last
// one, and it repeats none. A deletion is not shown.
//
// The iteration ends with a pair of the zero value and an error, which is one of those of
// [Map.Wait]. Nothing is held while the body runs. Watch panics if ctx is nil.
func (m *Map[V]) Watch(ctx context.Context, key string) iter.Seq2[V, error] {
	values := m.local.Watch(ctx, key)
	return func(yield func(V, error) bool) {
		m.b.gate.pass()
		for e, err := range values {
			if !yield(e.Value, err) {
				return
			}
		}
	}
}

// A Future is a wait that is already in line. [Map.Register] returns one.
type Future[V any] struct{ f *waitmap.Future[Entry[V]] }

// Result returns the value or the error of the Future, and true, if it is done. Otherwise
// it returns zero values and false.
func (f *Future[V]) Result() (v V, done bool, err error) {
	e, done, err := f.f.Result()
	return e.Value, done, err
}

// Wait waits until the Future is done, and returns its value or its error. If ctx ends
// first, it returns an error that matches ctx.Err() and context.Cause(ctx), and the Future
// stays in line.
func (f *Future[V]) Wait(ctx context.Context) (V, error) {
	e, err := f.f.Wait(ctx)
	return e.Value, err
}

// Stop takes the Future out of line, and reports whether it prevented the wake.
func (f *Future[V]) Stop() bool { return f.f.Stop() }

// Register is the first half of a Wait: when it returns, the Future is in line, and the next
// store of key that this process sees reaches it. If key has a value, or the Map is closed,
// the Future is done.
//
// The Waker w may be nil. Otherwise it is called once when the Future becomes done, in the
// goroutine that applies the history, or in one that calls Register, Cancel or Close.
// Nothing is locked, but it must not block.
func (m *Map[V]) Register(key string, w wake.Waker) *Future[V] {
	m.b.gate.pass()
	if w != nil {
		user := w
		w = wake.Func(func() { m.b.gate.call(user.Wake) })
	}
	return &Future[V]{m.local.Register(key, w)}
}

// Cancel ends the waits for key in this process with [ErrCanceled], and returns their
// number. It does not change the value. A [Map.Take] that has found a value goes on.
func (m *Map[V]) Cancel(key string) (n int) {
	callAll([]func(){
		func() { n += m.takers.cancel(key) }, // first, or else one of them would get its turn meanwhile
		func() { n += m.offers.turns.Cancel(key) },
		func() { n += m.local.Cancel(key) },
	})
	return n
}

// CancelEverywhere ends the waits for key in all processes with [ErrCanceled]: those that
// are in line when a process sees the call. When it returns, this process has seen it. The
// errors are those of [Map.Store].
func (m *Map[V]) CancelEverywhere(ctx context.Context, key string) error {
	w := engine.Write{Key: string(kindCancel) + m.prefix[1:] + key, Unconditional: true, TTL: cancelTTL}
	_, err := m.b.write(ctx, w)
	if errors.Is(err, engine.ErrNoTTL) {
		w.TTL = 0
		_, err = m.b.write(ctx, w)
	}
	return err
}

// Waiters returns the number of waits for key in this process, those in Take included.
func (m *Map[V]) Waiters(key string) int {
	return m.local.Waiters(key) + m.takers.turns.Waiters(key) + m.offers.turns.Waiters(key)
}

// Close ends all waits in this process, and all later ones that would sleep, with
// [ErrClosed]. The values stay, and all operations that do not wait still work.
// [Bucket.Close] closes all Maps. Close returns nil.
func (m *Map[V]) Close() error {
	callAll([]func(){m.takers.close, func() { m.offers.turns.Close() }, func() { m.local.Close() }})
	return nil
}

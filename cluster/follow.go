package cluster

import (
	"cmp"
	"context"
	"slices"

	"github.com/vigil-go/vigil/cluster/engine"
)

// A follower is what the goroutine that follows the history knows. User code may end that
// goroutine at any time; then another one goes on with it. So everything is noted before
// user code runs.
type follower struct {
	at        engine.Position // everything up to it was applied, or is in batch
	histories uint64          // that there were
	batch     *batch          // nil: changes are applied as they come
}

// A batch has changes that must be seen at once: from Reset or Skipped to Synced.
type batch struct {
	whole      bool   // keys that are not in it are gone
	newHistory bool   // revisions of before mean nothing
	since      uint64 // newer revisions were not told before
	latest     map[string]engine.Event

	complete bool           // Synced was told, and what follows is used
	todo     []engine.Event // not prepared, in the order of revisions
	commits  []func()       // not done
}

// A change is a put or a deletion of a key in a space.
type change struct {
	key        string
	value      []byte
	put        bool
	revision   uint64
	newHistory bool // the revision may be that of an older value by accident
	old        bool // told anew: not a write that has just happened
}

// A space has the keys of one Map, or of something else. Before somebody uses it, the
// Bucket keeps its values as they are.
type space struct {
	raw  map[string]change
	sink sink // nil: nobody uses the space
}

// A sink is what uses a space. Its methods are called by the goroutine that follows the
// history; end may be called by any.
type sink interface {
	// prepare runs user code that a change needs. It returns a function that applies
	// the change, and calls no user code but wakers.
	prepare(c change) (commit func())
	// keys calls f with each key that is there.
	keys(f func(key string))
	// cancel ends the waits for a key.
	cancel(key string)
	// end ends all waits.
	end()

	// size, leases and waiting tell what Stats, Leases and Waiting show. Any goroutine may
	// call them.
	size() int
	leases() []Lease
	waiting() waits
}

// follow applies the history until ctx ends or the engine is closed.
func (b *Bucket) follow(ctx context.Context) {
	returned := false
	defer func() {
		if !returned { // user code has called runtime.Goexit
			go b.follow(ctx)
			return
		}
		defer close(b.done)
		b.end()
	}()
	b.goOn()
	err := b.engine.Watch(ctx, b.at, b.tell)
	returned = true
	if !b.isClosed() {
		b.log.Error("vigil cluster: the watch of a bucket has ended", "error", err)
	}
}

// goOn does what an event began, and tells waiters how far the history was applied.
func (b *Bucket) goOn() {
	if b.batch != nil {
		if !b.batch.complete {
			return
		}
		b.apply()
	}
	if b.histories > 0 {
		b.seen.advance(instant{b.histories, b.at.Revision}, b.at.History)
	}
}

// tell is called with each event.
func (b *Bucket) tell(event engine.Event) {
	switch event.Kind {
	case engine.Reset:
		b.reset(event.History)
		return
	case engine.Skipped:
		b.batch = &batch{since: b.at.Revision, latest: make(map[string]engine.Event)}
		return
	case engine.Synced:
		if b.batch != nil {
			b.complete(event.Revision)
		}
		b.at.Revision = event.Revision
	default:
		b.at.Revision = event.Revision
		if b.batch != nil {
			b.batch.latest[event.Key] = event
			return
		}
		b.prepare(event, &batch{})()
	}
	b.goOn()
}

func (b *Bucket) reset(history string) {
	n := &batch{whole: true, since: b.at.Revision, latest: make(map[string]engine.Event)}
	if b.batch != nil {
		n.since = b.batch.since
		n.newHistory = b.batch.newHistory
	}
	if history != b.at.History {
		n.newHistory, n.since = true, 0
		b.histories++
	}
	b.at = engine.Position{History: history}
	b.batch = n
}

// complete puts the changes of the batch in order. Those of keys that are gone come
// first.
func (b *Bucket) complete(revision uint64) {
	n := b.batch
	for _, event := range n.latest {
		n.todo = append(n.todo, event)
	}
	if n.whole {
		for _, key := range b.gone(n) {
			n.todo = append(n.todo, engine.Event{Kind: engine.Delete, Key: key})
		}
	}
	slices.SortFunc(n.todo, func(x, y engine.Event) int { return cmp.Compare(x.Revision, y.Revision) })
	n.latest, n.complete = nil, true
}

// gone returns the keys that are there and not in the batch.
func (b *Bucket) gone(n *batch) (keys []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for prefix, s := range b.spaces {
		add := func(key string) {
			if _, ok := n.latest[prefix+key]; !ok {
				keys = append(keys, prefix+key)
			}
		}
		for key := range s.raw {
			add(key)
		}
		if s.sink != nil {
			s.sink.keys(add)
		}
	}
	return keys
}

// apply applies the batch. User code runs before the gate is closed or after it is
// opened.
func (b *Bucket) apply() {
	n := b.batch
	for len(n.todo) > 0 {
		event := n.todo[0]
		n.todo = n.todo[1:]
		n.commits = append(n.commits, b.prepare(event, n))
	}
	b.gate.close()
	for len(n.commits) > 0 {
		commit := n.commits[0]
		n.commits = n.commits[1:]
		commit()
	}
	b.batch = nil
	b.gate.open()
}

// prepare returns a function that applies an event.
func (b *Bucket) prepare(event engine.Event, n *batch) func() {
	kind, prefix, key := split(event.Key)
	c := change{
		key: key, value: event.Value, put: event.Kind == engine.Put, revision: event.Revision,
		newHistory: n.newHistory, old: n.whole && event.Revision <= n.since || n.newHistory,
	}
	switch kind {
	case kindMap, kindGroup, kindCache, kindMutex, kindSemaphore, kindNotify:
		if s := b.sink(prefix); s != nil {
			return s.prepare(c)
		}
		return func() { b.keep(prefix, c) }
	case kindCancel:
		return func() { b.cancelKey(prefix, c) }
	}
	return func() {} // of a later version
}

// sink returns what uses a space.
func (b *Bucket) sink(prefix string) sink {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.spaces[prefix]; s != nil {
		return s.sink
	}
	return nil
}

// keep keeps a change of a space that nobody uses.
func (b *Bucket) keep(prefix string, c change) {
	b.mu.Lock()
	s := b.spaces[prefix]
	if s == nil {
		s = &space{raw: make(map[string]change)}
		b.spaces[prefix] = s
	}
	user := s.sink
	if user == nil {
		s.keep(c)
	}
	b.mu.Unlock()
	if user != nil { // since the change was prepared
		user.prepare(c)()
	}
}

func (s *space) keep(c change) {
	if c.put {
		s.raw[c.key] = c
	} else {
		delete(s.raw, c.key)
	}
}

// cancelKey ends the waits for a key, as Map.CancelEverywhere asked for.
func (b *Bucket) cancelKey(prefix string, c change) {
	if !c.put || c.old {
		return
	}
	if s := b.sink(string(kindMap) + prefix[1:]); s != nil {
		s.cancel(c.key)
	}
}

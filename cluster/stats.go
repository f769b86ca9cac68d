package cluster

import (
	"context"
	"encoding/hex"
	"iter"
	"maps"
	"time"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/waitmap"
)

// Stats describes a bucket as one process sees it. [Bucket.Stats] returns it.
type Stats struct {
	// History is the identity of the history. This process has seen it up to Revision.
	History  string
	Revision uint64

	// Lag is the number of revisions that the bucket had when the engine was asked and this
	// process has not seen. It is zero if the engine has not answered: then Err says why.
	Lag uint64
	Err error

	// LastEvent is when this process last saw a new revision. If it is long ago, the process is
	// cut off, or nothing was written; a Sync may write, too.
	LastEvent time.Time

	Keys int // in the whole bucket, also of what this process does not use

	// The numbers of those that this process uses.
	Maps, Groups, Caches, Mutexes, Semaphores, Notifies int
}

// Stats returns the state of b. It asks the engine for its newest revision, and waits for the
// answer until ctx ends. If several servers have the bucket, that may cost a write, as a
// [Bucket.Sync] does. What Stats returns otherwise is known without an answer, also after Close.
// It panics if ctx is nil.
func (b *Bucket) Stats(ctx context.Context) Stats {
	mustContext(ctx)
	p, err := offload(ctx, b.engine.Position)
	s := b.seen.stats()
	switch {
	case err != nil:
		s.Err = asClosed(err)
	case p.History != s.History:
		s.Lag = p.Revision
	case p.Revision > s.Revision:
		s.Lag = p.Revision - s.Revision
	}
	for prefix, sp := range b.snapshot() {
		s.count(prefix[0], sp)
	}
	return s
}

func (s *Stats) count(kind byte, sp spaceView) {
	if sp.sink == nil {
		s.Keys += sp.kept
		return
	}
	s.Keys += sp.sink.size()
	switch kind {
	case kindMap:
		s.Maps++
	case kindGroup:
		s.Groups++
	case kindCache:
		s.Caches++
	case kindMutex:
		s.Mutexes++
	case kindSemaphore:
		s.Semaphores++
	case kindNotify:
		s.Notifies++
	}
}

// stats returns what is known of the history.
func (r *revisions) stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{History: r.name, Revision: r.now.revision, LastEvent: r.told}
}

// A spaceView is what can be read of a space when the Bucket is not locked any more.
type spaceView struct {
	sink sink
	kept int // keys, if nobody uses the space
}

// snapshot returns the spaces by their prefixes.
func (b *Bucket) snapshot() map[string]spaceView {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]spaceView, len(b.spaces))
	for prefix, s := range b.spaces {
		all[prefix] = spaceView{s.sink, len(s.raw)}
	}
	return all
}

// A Lease is held by a load of a [Group] or [Cache], or by the holder of a [Mutex] or a [Permit].
type Lease struct {
	Kind string // "Group", "Cache", "Mutex" or "Semaphore"
	Name string // of that
	Key  string // of a Group or Cache, or the number of a permit

	// Holder identifies the Group, or what Kind says, of the process that has the lease. It is
	// made at random, so it is another one after a restart. Ours means that it is this process.
	Holder string
	Ours   bool

	Fence uint64

	// Since is when this process first saw the lease. It is the zero time if that is not known:
	// the lease is older than the Group, or what Kind says, in this process, or there is none.
	Since time.Time
}

// Leases returns an iterator over the leases that this process has seen, also those of Groups,
// Mutexes and so on that it does not use. A lease that has ended is there until this process has
// seen its end. The iterator takes time in proportion to the number of keys of all but Maps.
// Nothing is held while the body of the loop runs.
func (b *Bucket) Leases() iter.Seq[Lease] {
	return func(yield func(Lease) bool) {
		for prefix, sp := range b.snapshot() {
			for _, l := range b.leasesOf(prefix, sp.sink) {
				l.Kind, l.Name = kindNames[prefix[0]], nameOf(prefix)
				if !yield(l) {
					return
				}
			}
		}
	}
}

// leasesOf returns the leases of a space, which s uses unless it is nil.
func (b *Bucket) leasesOf(prefix string, s sink) (all []Lease) {
	if s != nil {
		return s.leases()
	}
	if prefix[0] == kindMap {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, c := range b.spaces[prefix].raw {
		if r := c.record(0); r.state == leased {
			all = append(all, r.lease(key))
		}
	}
	return all
}

func (m *Map[V]) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.local.Len() + len(m.bad)
}

func (r *records) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.there)
}

func (m *Map[V]) leases() []Lease { return nil }

func (r *records) leases() (all []Lease) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, n := range r.there {
		if n.state == leased {
			l := n.lease(key)
			l.Ours = n.holder == r.holder
			all = append(all, l)
		}
	}
	return all
}

// lease describes a record that is one.
func (r record) lease(key string) Lease {
	fence := r.fence
	if fence == 0 { // it was not renewed
		fence = r.at.revision
	}
	return Lease{Key: key, Holder: hex.EncodeToString(r.holder[:4]), Fence: fence, Since: r.since}
}

// A Wait describes the waiters of a key in this process.
type Wait struct {
	Kind string // "Map", "Group", "Cache", "Mutex", "Semaphore" or "Notify"
	Name string // of that
	Key  string // of a Map, Group or Cache

	// WaitInfo is that of the waiters. For a Group or Cache they are the callers of Do or Get, of
	// which one may load; calls of Get may count as one. For a Mutex, Semaphore or Notify, Oldest
	// is the zero time: it is not known.
	waitmap.WaitInfo
}

// Waiting returns an iterator over the keys that have waiters in this process. It does not
// iterate over a snapshot. Nothing is held while the body of the loop runs.
func (b *Bucket) Waiting() iter.Seq[Wait] {
	return func(yield func(Wait) bool) {
		for prefix, sp := range b.snapshot() {
			if sp.sink == nil {
				continue
			}
			for key, info := range sp.sink.waiting() {
				if !yield(Wait{kindNames[prefix[0]], nameOf(prefix), key, info}) {
					return
				}
			}
		}
	}
}

// waits are keys that have waiters.
type waits = iter.Seq2[string, waitmap.WaitInfo]

// waiting adds up those that wait for a value, and those that wait for their turn to take
// one.
func (m *Map[V]) waiting() waits {
	return func(yield func(string, waitmap.WaitInfo) bool) {
		all := maps.Collect(m.local.Waiting())
		for _, turns := range []waits{m.takers.turns.Waiting(), m.offers.turns.Waiting()} {
			for key, info := range turns {
				all[key] = together(all[key], info)
			}
		}
		for key, info := range all {
			if !yield(key, info) {
				return
			}
		}
	}
}

// together adds waiters to those of the same key, if there are any.
func together(all, more waitmap.WaitInfo) waitmap.WaitInfo {
	if all.Waiters == 0 || more.Oldest.Before(all.Oldest) {
		all.Oldest = more.Oldest
	}
	all.Waiters += more.Waiters
	return all
}

// waiting returns what the user of the records says.
func (r *records) waiting() waits {
	if r.waits == nil {
		return func(func(string, waitmap.WaitInfo) bool) {}
	}
	return r.waits
}

// calls are those of Do.
func (g *Group[V]) calls(yield func(string, waitmap.WaitInfo) bool) {
	waitsOf(g.local.InFlight())(yield)
}

// calls are those of Get that wait for a load. A fetch that several calls share counts once.
func (c *Cache[V]) calls(yield func(string, waitmap.WaitInfo) bool) {
	waitsOf(c.flights.InFlight())(yield)
}

// waitsOf returns the waits for loads.
func waitsOf(loads iter.Seq2[string, dedup.FlightInfo]) waits {
	return func(yield func(string, waitmap.WaitInfo) bool) {
		for key, info := range loads {
			if !yield(key, waitmap.WaitInfo{Waiters: info.Waiters, Oldest: info.Started}) {
				return
			}
		}
	}
}

// calls are those of Lock that wait: in line, and one for the lease.
func (m *Mutex) calls(yield func(string, waitmap.WaitInfo) bool) {
	m.mu.Lock()
	n := m.local.Waiters()
	if m.held == nil && m.local.Locked() {
		n++
	}
	m.mu.Unlock()
	waitsInLine(n)(yield)
}

// calls are those of Acquire or Wait.
func (s *slots) calls(yield func(string, waitmap.WaitInfo) bool) { waitsInLine(s.waiters())(yield) }

// waitsInLine returns the waits of a number of calls for one thing.
func waitsInLine(waiters int) waits {
	return func(yield func(string, waitmap.WaitInfo) bool) {
		if waiters > 0 {
			yield("", waitmap.WaitInfo{Waiters: waiters})
		}
	}
}

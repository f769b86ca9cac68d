package cluster

import (
	"iter"
	"math/rand/v2"
	"strconv"

	"github.com/vigil-go/vigil/await"
)

// Slots are the keys of permits. Of this process, one call at a time uses a key: otherwise each
// change of a key would make all calls send a write.
type slots struct {
	records
	claimed map[string]bool       // in use; guarded by mu
	changes await.Value[struct{}] // of keys that are not leased now, or not in use any more
	line    await.Mutex           // of the calls that found no key, of which the first waits for changes
}

// open attaches s to its space of the bucket.
func (s *slots) open(b *Bucket, kind byte, name string) error {
	s.claimed = make(map[string]bool)
	if s.changed == nil {
		s.changed = s.noteChange
	}
	s.waits = s.calls
	return s.records.open(b, kind, name)
}

func (s *slots) noteChange(_ string, _, now record) {
	if now.state != leased {
		s.changes.Store(struct{}{})
	}
}

// numbered returns an iterator over n keys, from any of them on, so that processes do not all
// try the same one.
func numbered(prefix string, n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		first := rand.IntN(n)
		for i := range n {
			if !yield(prefix + strconv.Itoa((first+i)%n)) {
				return
			}
		}
	}
}

// claim returns the first of the keys that is not in use and whose record, as this process
// sees it, fits. The caller uses it until unclaim. keys is iterated over while mu is locked.
func (s *slots) claim(keys iter.Seq[string], fits func(key string, r record) bool) (key string, r record, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range keys {
		if r := s.there[key]; !s.claimed[key] && fits(key, r) {
			s.claimed[key] = true
			return key, r, true
		}
	}
	return "", r, false
}

func (s *slots) unclaim(key string) {
	s.mu.Lock()
	delete(s.claimed, key)
	s.mu.Unlock()
	s.changes.Store(struct{}{})
}

// waiters returns the number of calls that wait: in line, and the first one.
func (s *slots) waiters() int {
	if waiters := s.line.Waiters(); waiters > 0 || s.line.Locked() {
		return waiters + 1
	}
	return 0
}

package httpcache

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"sync"
	"time"
)

// A backlog is what the saver must do, or else what is stored would be used though it
// does not hold any more:
//
//	drops  delete the record of a key. Until then, it is not loaded.
//	marks  replace the mark of a page. Until then, the ticks of writes keep what
//	       is older from being used.
//	sweep  have purges reach the Store. Until then, what is loaded has not seen them.
//	wipe   delete everything, because there were too many of these. Until then,
//	       nothing is loaded.
//
// What fails is tried again.
type backlog struct {
	due chan struct{} // has room for one

	mu    sync.Mutex
	drops map[string]struct{}
	marks map[string]struct{}
	sweep int // purges that have not reached the Store
	wipe  bool
}

const (
	maxBacklog = 1 << 12
	nextTrial  = time.Second // after a failure
)

func newBacklog() backlog {
	return backlog{due: make(chan struct{}, 1), drops: map[string]struct{}{}, marks: map[string]struct{}{}}
}

func (b *backlog) drop(key string) { b.add(b.drops, key) }
func (b *backlog) mark(uri string) { b.add(b.marks, uri) }

// purged notes a purge. It returns true if the saver need not see it.
func (b *backlog) purged() bool {
	b.mu.Lock()
	defer b.remind()
	defer b.mu.Unlock()
	if b.sweep++; b.sweep > maxBacklog {
		b.sweep, b.wipe = 0, true
	}
	return b.wipe
}

func (b *backlog) add(to map[string]struct{}, what string) {
	b.mu.Lock()
	to[what] = struct{}{}
	if len(b.drops)+len(b.marks) > maxBacklog {
		clear(b.drops)
		clear(b.marks)
		b.wipe = true
	}
	b.mu.Unlock()
	b.remind()
}

func (b *backlog) remind() {
	select {
	case b.due <- struct{}{}:
	default:
	}
}

// holds reports whether the record of key is not to be loaded.
func (b *backlog) holds(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.drops[key]
	return ok || b.wipe
}

// first returns what to do next, which stays until it is done. All of them are zero if
// there is nothing.
func (b *backlog) first() (drop, mark string, wipe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wipe {
		return "", "", true
	}
	for drop = range b.drops {
		return drop, "", false
	}
	for mark = range b.marks {
		return "", mark, false
	}
	return "", "", false
}

// finished removes what is done. Only the saver saves, so what was added again meanwhile is
// done as well.
func (b *backlog) finished(drop, mark string, wipe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.drops, drop)
	delete(b.marks, mark)
	if wipe {
		b.wipe = false
	}
}

func (b *backlog) swept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep = 0
}

// doBacklog does what is in the backlog, and has purges reach the Store. It fails with the
// first failure.
func (s *storage) doBacklog() error {
	for {
		drop, mark, wipe := s.backlog.first()
		var err error
		switch {
		case wipe:
			err = s.call(s.wipe)
		case drop != "":
			err = s.call(func() error { return s.Store.Delete(drop) })
		case mark != "":
			err = s.call(func() error { return s.put(&record{Key: markOf(mark), Mark: rand.Text()}) })
		default:
			return s.sweep()
		}
		if err != nil {
			return err
		}
		s.backlog.finished(drop, mark, wipe)
	}
}

// put saves a record without a body.
func (s *storage) put(h *record) error {
	p, err := h.encode()
	if err != nil {
		return err
	}
	return s.Store.Save(h.Key, p, bytes.NewReader(nil))
}

func (s *storage) wipe() error {
	for key := range s.Store.Heads() {
		if err := s.Store.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// sweep has all purges reach the Store that have not yet, at once.
func (s *storage) sweep() error {
	first := s.swept.Load().next.Load()
	if first == nil {
		return nil
	}
	last := first
	for p := first; p != nil; p = p.next.Load() {
		last = p
	}
	err := s.call(func() error {
		for key, p := range s.Store.Heads() {
			h, err := parseHead(key, p)
			if err != nil {
				s.backlog.drop(key)
				continue
			}
			if h.Status == 0 {
				continue // purges are about responses
			}
			if err := s.purge(h, first, last); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.backlog.swept()
		s.swept.Store(last)
	}
	return err
}

// purge has the purges from first to last hold for the record with the head h.
func (s *storage) purge(h *record, first, last *purge) error {
	e := &response{home: pageKey{uri: h.URI, host: h.Host}, tags: h.Tags}
	e.since.Store(h.Since)
	for p := first; ; p = p.next.Load() {
		if p.selects(e) {
			e.applyPurge(p)
		}
		if p == last {
			break
		}
	}
	switch since := e.since.Load(); since {
	case h.Since:
		return nil
	case removed:
		return s.Store.Delete(h.Key)
	default:
		return s.softly(h.Key, since)
	}
}

// softly makes the record of a key stale. It is written anew: it has one head.
func (s *storage) softly(key string, since int64) error {
	p, body, _, err := s.Store.Load(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	h, err := parseHead(key, p)
	if err != nil {
		return s.Store.Delete(key)
	}
	h.Since = since
	if p, err = h.encode(); err != nil {
		return err
	}
	return s.Store.Save(key, p, body)
}

// epochOf returns the epoch of a page.
func (s *storage) epochOf(ctx context.Context, uri string) string {
	if h := s.loadHead(ctx, markOf(uri)); h != nil {
		return h.Mark
	}
	return ""
}

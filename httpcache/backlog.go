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
	maxBacklog  = 1 << 12
	maxFailures = 8           // in a row of tasks: then, the rest would fail as well
	nextTrial   = time.Second // after a failure
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

// wipeAll has everything be deleted.
func (b *backlog) wipeAll() {
	b.mu.Lock()
	defer b.remind()
	defer b.mu.Unlock()
	b.wipe = true
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

// A task is one thing of a backlog.
type task struct {
	drop, mark string
	wipe       bool
}

// tasks returns what there is to do, which stays until it is done.
func (b *backlog) tasks() (all []task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wipe {
		return []task{{wipe: true}}
	}
	for key := range b.drops {
		all = append(all, task{drop: key})
	}
	for uri := range b.marks {
		all = append(all, task{mark: uri})
	}
	return all
}

// finished removes what is done. Only the saver saves responses, so what was added again
// meanwhile is done as well.
func (b *backlog) finished(t task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.drops, t.drop)
	delete(b.marks, t.mark)
	if t.wipe {
		b.wipe = false
	}
}

func (b *backlog) swept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep = 0
}

// doBacklog does what is in the backlog, and has purges reach the Store. What fails does not
// keep the rest from being done, unless much does.
func (s *storage) doBacklog() error {
	var failed []error
	for {
		tasks := s.backlog.tasks()
		for _, t := range tasks {
			if err := s.call(func() error { return s.do(t) }); err == nil {
				s.backlog.finished(t)
			} else if failed = append(failed, err); len(failed) == maxFailures {
				return errors.Join(failed...)
			}
		}
		if len(tasks) == 0 || len(failed) > 0 {
			return errors.Join(append(failed, s.sweep())...)
		}
	}
}

// do does a task. It is called within call.
func (s *storage) do(t task) error {
	switch {
	case t.wipe:
		return s.wipe()
	case t.drop != "":
		return s.Store.Delete(t.drop)
	}
	return s.mark(t.mark)
}

// mark replaces the mark of a page.
func (s *storage) mark(uri string) error {
	return s.put(&record{Key: markOf(uri), Mark: rand.Text()})
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
		if key == purgesKey {
			continue // until the others are gone
		}
		if err := s.Store.Delete(key); err != nil {
			return err
		}
	}
	return s.trimLog()
}

// sweep has all purges reach the Store that have not yet, at once.
func (s *storage) sweep() error {
	first := s.swept.Load().next.Load()
	if first == nil {
		return s.trim()
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
	if err != nil {
		return err
	}
	s.backlog.swept()
	s.swept.Store(last)
	s.log.stale.Store(true)
	return s.trim()
}

// trim has the log follow, if it has purges that have reached the Store.
func (s *storage) trim() error {
	if !s.log.stale.Load() {
		return nil
	}
	err := s.call(s.trimLog)
	s.log.stale.Store(err != nil)
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

// epochOf returns the epoch of a page, or "" if that is not known.
func (s *storage) epochOf(ctx context.Context, uri string) string {
	if h := s.loadHead(ctx, markOf(uri)); h != nil {
		return h.Mark
	}
	return ""
}

// written is told that pages were written to. It has their marks replaced, and waits for that:
// the next process knows of it then.
func (s *storage) written(ctx context.Context, uris []string) {
	err := s.soon(ctx, func() error {
		for _, uri := range uris {
			if err := s.mark(uri); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, uri := range uris {
			s.backlog.mark(uri)
		}
	}
}

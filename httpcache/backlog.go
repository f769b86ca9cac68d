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

// A backlog has the tasks of the saver that end the use of records:
//
//	drops  delete the record of a key. Until then, it is not loaded.
//	marks  replace the mark of a page. Until then, the ticks of writes end the use of
//	       its records.
//	sweep  apply purges to all records. Until then, a purge is applied to each response
//	       that is loaded.
//	wipe   delete all records, because there were too many of these tasks. Until then,
//	       nothing is loaded.
//
// A task that fails is tried again.
type backlog struct {
	due chan struct{} // wakes the saver; of capacity 1

	mu    sync.Mutex
	drops map[string]struct{}
	marks map[string]struct{}
	sweep int // how many purges have not been applied
	wipe  bool
}

const (
	maxBacklog  = 1 << 12
	maxFailures = 8           // after which no more tasks are tried for now
	nextTrial   = time.Second // the time after a failure until tasks are tried again
)

func newBacklog() backlog {
	return backlog{due: make(chan struct{}, 1), drops: map[string]struct{}{}, marks: map[string]struct{}{}}
}

func (b *backlog) drop(key string) { b.add(b.drops, key) }
func (b *backlog) mark(uri string) { b.add(b.marks, uri) }

// purged adds a purge. It returns true if it need not be applied, because all records will be
// deleted.
func (b *backlog) purged() bool {
	b.mu.Lock()
	defer b.remind()
	defer b.mu.Unlock()
	if b.sweep++; b.sweep > maxBacklog {
		b.sweep, b.wipe = 0, true
	}
	return b.wipe
}

// wipeAll adds the task to delete all records.
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

// blocks reports whether the record of key must not be loaded.
func (b *backlog) blocks(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.drops[key]
	return ok || b.wipe
}

// A task is one task of a backlog, other than sweep.
type task struct {
	drop, mark string
	wipe       bool
}

// tasks returns the tasks. They stay in the backlog until they are done.
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

// finished removes a task that is done. Only the saver saves responses, so if the task was
// added again meanwhile, that is done as well.
func (b *backlog) finished(t task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.drops, t.drop)
	delete(b.marks, t.mark)
	if t.wipe {
		b.wipe = false
	}
}

// swept removes the task sweep.
func (b *backlog) swept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep = 0
}

// doBacklog does all tasks of the backlog. A task that fails does not prevent the others,
// unless maxFailures of them fail.
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

// wipe deletes all records. It is called within call.
func (s *storage) wipe() error {
	for key := range s.Store.Heads() {
		if key == purgesKey {
			continue // it is trimmed after the others
		}
		if err := s.Store.Delete(key); err != nil {
			return err
		}
	}
	return s.trimLog()
}

// sweep applies all purges that have not been applied to all records, in one pass.
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

// trim is trimLog, unless the log has no purge that has been applied.
func (s *storage) trim() error {
	if !s.log.stale.Load() {
		return nil
	}
	err := s.call(s.trimLog)
	s.log.stale.Store(err != nil)
	return err
}

// purge applies the purges from first to last to the record with the head h.
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

// softly makes the record of a key stale. A Store cannot change a head, so the whole record is
// saved again.
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

// written replaces the marks of pages that were written to, so that the next process does not
// use their records. If that fails, or takes too long, the saver tries again.
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

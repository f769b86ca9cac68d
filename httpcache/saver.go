package httpcache

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A save is a response that waits to be saved.
type save struct {
	*response
	names []string // of the rule of its URL
}

// later queues e to be saved. It does not wait, and takes no reference to the body: if that is
// evicted first, e is not saved. If e is not saved, the record of another version is deleted.
func (s *storage) later(e *response) {
	if s == nil || e.home.method != http.MethodGet {
		return
	}
	j := save{response: e}
	if e.home.vary != "" {
		rule, ok := s.pages.Peek(e.home.url())
		if !ok || rule.rule == nil {
			s.lose(e)
			return
		}
		j.names = rule.rule.names
	}
	select {
	case s.saves <- j:
	default:
		s.lose(e)
	}
}

// lose counts e as not saved, and deletes the record at its place in the background.
func (s *storage) lose(e *response) {
	s.dropped.Add(1)
	s.backlog.drop(e.home.stored())
}

// forget deletes the record at a place in the background.
func (s *storage) forget(place pageKey) {
	if s != nil && place.method == http.MethodGet {
		s.backlog.drop(place.stored())
	}
}

// work is the goroutine of the saver.
func (s *storage) work() {
	defer close(s.done)
	again := time.NewTimer(0)
	defer again.Stop()
	s.readLog()
	close(s.ready)
	for {
		select {
		case <-s.closed:
			s.finish()
			return
		case j := <-s.saves:
			s.doBacklog() // a drop that came before j must not delete what is saved for j
			s.save(j)
		case <-s.backlog.due:
		case <-again.C:
		}
		if s.readLog() != nil || s.doBacklog() != nil {
			again.Reset(nextTrial)
		}
	}
}

// finish saves all that is queued, and does the backlog, until the time of close is over.
func (s *storage) finish() {
	for !s.isOver() {
		select {
		case j := <-s.saves:
			s.doBacklog()
			s.save(j)
		default:
			s.doBacklog()
			return
		}
	}
}

// save saves a response, unless it has been replaced or is not valid any more.
func (s *storage) save(j save) {
	e, kept := j.response, false
	if newer, ok := s.pages.Peek(e.home); e.replaced.Load() || ok && newer.asked > e.asked {
		return // the newer one is saved in its own turn
	}
	err := s.call(func() (err error) {
		if kept = e.body == nil || e.body.open(); !kept {
			return nil
		}
		if e.body != nil {
			defer e.body.release()
		}
		kept, err = s.write(j)
		return err
	})
	if err != nil || !kept {
		s.lose(e)
		return
	}
	s.saved.Add(1)
}

// holds reports whether e is still valid after writes, purges and time.
func (s *storage) holds(e *response, now time.Time) bool {
	return e.asked >= s.writes.last(e.home.uri) && !e.isRemoved() && !e.isFailure(now) && e.keptAt(e.home, now) > 0
}

// write saves a response whose body, if it has one, is open. It returns false if it
// is not to be saved.
func (s *storage) write(j save) (bool, error) {
	if !s.holds(j.response, time.Now()) {
		return false, nil
	}
	if len(j.names) > 0 {
		if err := s.writeRule(j); err != nil {
			return false, err
		}
	}
	mark, err := s.read(markOf(j.home.uri))
	if err == nil && mark.Mark == "" {
		mark = &record{Key: markOf(j.home.uri), Mark: rand.Text()}
		err = s.put(mark)
	}
	if err != nil || !s.holds(j.response, time.Now()) { // after the mark was read: it may be that of a write
		return false, err
	}
	p, err := s.headOf(j.response, mark.Mark).encode()
	if err != nil {
		return false, err
	}
	if j.body == nil {
		return true, s.Store.Save(j.home.stored(), p, bytes.NewReader(nil))
	}
	body := &saving{section: section{body: j.body}}
	defer body.end()
	return true, s.Store.Save(j.home.stored(), p, body)
}

// saving is a body that a Store reads, and may have kept.
type saving struct {
	mu      sync.Mutex
	ended   bool
	section section
}

func (s *saving) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, fs.ErrClosed
	}
	return s.section.Read(p)
}

func (s *saving) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// writeRule saves the rule of a URL, if it is not stored.
func (s *storage) writeRule(j save) error {
	url := j.home.url()
	old, err := s.read(url.stored())
	if err != nil || slices.Equal(old.Names, j.names) {
		return err
	}
	return s.put(ruleHead(url, j.names))
}

// read returns the head of a record. It is empty if there is no record, or the head is not
// valid. It is called within call.
func (s *storage) read(key string) (*record, error) {
	p, body, _, err := s.Store.Load(key)
	if errors.Is(err, fs.ErrNotExist) {
		return new(record), nil
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	h, err := parseHead(key, p)
	if err != nil {
		return new(record), nil
	}
	return h, nil
}

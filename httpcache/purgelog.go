package httpcache

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"
)

// A purge reaches the records that it selects one by one, some time after Purge has returned.
// Until then a record of its own, the log, has it, so that the next process goes on with it:
//
//	Purge     in the list of purges; written to the log; returns
//	saver     reaches the Store; removed from the log
//	restart   from the log to the list, before anything is loaded
//
// If the process ends between the last two, the purge holds a second time, for what was saved
// after it as well.
type purgeLog struct {
	read  atomic.Bool // what the process before has left is in the list
	stale atomic.Bool // it has what has reached the Store

	writing chan struct{} // has room for the one who writes it
	until   uint64        // the number of the last purge that is in it, or was
	all     bool          // it says that everything was purged: there were too many
	written bool          // it may be there
}

// purgesKey is the key of the log.
const purgesKey = "purges"

// maxLogged is how many purges are in the log. If there are more, it says that everything
// was purged, until they have reached the Store.
const maxLogged = 256

// A loggedPurge is a purge in the log. The zero value is one of everything.
type loggedPurge struct {
	URL, Host, Prefix, Tag string
	Soft                   bool
	At                     time.Time
}

// record has the Store keep a purge until that has reached it, and waits for that.
func (s *storage) record(p *purge) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	if s.isReady(ctx) {
		s.soon(ctx, func() error { return s.logPurge(p) })
	}
}

func (s *storage) logPurge(p *purge) error {
	s.log.writing <- struct{}{}
	defer func() { <-s.log.writing }()
	if s.log.all || p.number <= s.log.until {
		return nil
	}
	return s.writeLog()
}

// writeLog writes the log anew. The caller is the one who does.
func (s *storage) writeLog() error {
	var all []loggedPurge
	last := s.swept.Load()
	for p := last.next.Load(); p != nil; p = p.next.Load() {
		all = append(all, loggedPurge{p.URL, p.host, p.Prefix, p.Tag, p.Soft, p.at})
		last = p
	}
	if len(all) == 0 && !s.log.written {
		return nil
	}
	if len(all) == 0 {
		if err := s.Store.Delete(purgesKey); err != nil {
			return err
		}
		s.log.written, s.log.all = false, false
		return nil
	}
	if s.log.all = len(all) > maxLogged; s.log.all {
		all = []loggedPurge{{}}
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(all); err != nil {
		return err
	}
	s.log.written = true
	if err := s.put(&record{Key: purgesKey, Purges: b.Bytes()}); err != nil {
		s.log.all = false
		return err
	}
	s.log.until = last.number
	return nil
}

// trimLog removes from the log what has reached the Store.
func (s *storage) trimLog() error {
	s.log.writing <- struct{}{}
	defer func() { <-s.log.writing }()
	return s.writeLog()
}

// readLog does what the process before has not, and lets loads begin. Without success, nothing
// is loaded.
func (s *storage) readLog() error {
	if s.log.read.Load() {
		return nil
	}
	err := s.soon(context.Background(), func() error {
		p, body, _, err := s.Store.Load(purgesKey)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer body.Close()
		s.takeOver(p)
		return nil
	})
	if err == nil {
		s.log.read.Store(true)
	}
	return err
}

// takeOver puts purges of a log into the list. If the log makes no sense, everything is
// purged.
func (s *storage) takeOver(head []byte) {
	h, err := parseHead(purgesKey, head)
	var all []loggedPurge
	if err == nil {
		err = gob.NewDecoder(bytes.NewReader(h.Purges)).Decode(&all)
	}
	if err != nil {
		all = []loggedPurge{{}}
	}
	s.log.written = true // nobody writes it yet
	for _, p := range all {
		if p.URL == "" && p.Tag == "" && p.Prefix == "" {
			s.backlog.wipeAll()
			return
		}
		s.purges.addAt(Selection{URL: p.URL, host: p.Host, Prefix: p.Prefix, Tag: p.Tag, Soft: p.Soft}, p.At)
	}
}

// isReady waits until the log was looked for, and reports whether it was read.
func (s *storage) isReady(ctx context.Context) bool {
	select {
	case <-s.ready:
	case <-ctx.Done():
	}
	return s.log.read.Load()
}

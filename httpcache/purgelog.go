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

// A purge is applied to the records one by one, some time after Purge has returned. Until then
// it is in a record of its own, the log, so that the next process can apply it:
//
//	Purge    adds it to the list of purges, writes it to the log, and returns
//	saver    applies it to all records, and removes it from the log
//	restart  reads the log into the list, before anything is loaded
//
// If the process ends after a purge was applied, and before it is removed, the next process
// applies it once more, also to records that were saved after it.
type purgeLog struct {
	read  atomic.Bool // the log of the process before is in the list
	stale atomic.Bool // the log has purges that have been applied

	writing chan struct{} // of capacity 1: has an element while the log is being written
	until   uint64        // the number of the last purge that is in the log, or was
	all     bool          // the log says that everything was purged: there were too many
	written bool          // the log may be in the Store
}

// purgesKey is the key of the log.
const purgesKey = "purges"

// maxLogged is the maximum number of purges in the log. If there are more, it says that
// everything was purged, until they have been applied.
const maxLogged = 256

// A loggedPurge is a purge in the log. The zero value is one of everything.
type loggedPurge struct {
	URL, Host, Prefix, Tag string
	Soft                   bool
	At                     time.Time
}

// record writes p to the log. It returns after storeTime even if that is not done.
func (s *storage) record(p *purge) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	if s.isReady(ctx) {
		s.soon(ctx, func() error { return s.logPurge(p) })
	}
}

// logPurge writes p to the log, unless another call has. It is called within soon.
func (s *storage) logPurge(p *purge) error {
	s.log.writing <- struct{}{}
	defer func() { <-s.log.writing }()
	if s.log.all || p.number <= s.log.until {
		return nil
	}
	return s.writeLog()
}

// writeLog writes the purges that have not been applied to the log. The caller has an element in
// writing.
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

// trimLog removes the purges that have been applied from the log. It is called within call.
func (s *storage) trimLog() error {
	s.log.writing <- struct{}{}
	defer func() { <-s.log.writing }()
	return s.writeLog()
}

// readLog reads the log of the process before. Until that succeeds, nothing is loaded.
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

// takeOver adds the purges of a log to the list. If the log is not valid, everything is purged.
func (s *storage) takeOver(head []byte) {
	h, err := parseHead(purgesKey, head)
	var all []loggedPurge
	if err == nil {
		err = gob.NewDecoder(bytes.NewReader(h.Purges)).Decode(&all)
	}
	if err != nil {
		all = []loggedPurge{{}}
	}
	s.log.written = true // without an element in writing: the log is not written before it is read
	for _, p := range all {
		if p.URL == "" && p.Tag == "" && p.Prefix == "" {
			s.backlog.wipeAll()
			return
		}
		s.purges.addAt(Selection{URL: p.URL, host: p.Host, Prefix: p.Prefix, Tag: p.Tag, Soft: p.Soft}, p.At)
	}
}

// isReady waits for the first readLog to end, and reports whether the log has been read.
func (s *storage) isReady(ctx context.Context) bool {
	select {
	case <-s.ready:
	case <-ctx.Done():
	}
	return s.log.read.Load()
}

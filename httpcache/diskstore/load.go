//go:build !wasm

package diskstore

import (
	"fmt"
	"io"
	"io/fs"

	bolt "go.etcd.io/bbolt"
)

// Load returns what was saved under key last, after all of it was checked. The error matches
// fs.ErrNotExist if nothing is stored under key, or it is damaged. The caller reads the body,
// of size bytes, and closes it.
func (s *Store) Load(key string) (head []byte, body io.ReadCloser, size int64, err error) {
	if err := s.begin(); err != nil {
		return nil, nil, 0, err
	}
	defer s.busy.Done()
	e, r, err := s.look(key)
	if err != nil {
		s.release(e)
		s.changing.Lock() // during a change, the file and the entries differ
		e, r, err = s.look(key)
		s.changing.Unlock()
	}
	switch {
	case e == nil:
		return nil, nil, 0, absent(key)
	case err != nil:
		s.logger.Error("diskstore: a response is damaged, removed", "key", key, "error", err)
		s.remove(e)
		s.release(e)
		return nil, nil, 0, absent(key)
	}
	return r.head, &reader{store: s, entry: e, left: r.size}, r.size, nil
}

// look returns the entry of key, with one more reader, and checks it. The entry is nil if there
// is none.
func (s *Store) look(key string) (e *entry, r record, err error) {
	if e = s.hold(key); e != nil {
		r, err = s.check(e)
	}
	return e, r, err
}

func absent(key string) error { return fmt.Errorf("diskstore: %q: %w", key, fs.ErrNotExist) }

// hold returns the entry of key, used now and with one more reader, or nil.
func (s *Store) hold(key string) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e != nil {
		e.readers++
		s.used.MoveToFront(e.at)
	}
	return e
}

// release ends the use of e by a reader. The last reader of a doomed entry deletes its chunks.
func (s *Store) release(e *entry) {
	s.mu.Lock()
	e.readers--
	last := e.doomed && e.readers == 0
	s.mu.Unlock()
	if last && s.begin() == nil {
		defer s.busy.Done()
		s.update(func(tx *bolt.Tx) error {
			s.mu.Lock()
			gone := e.doomed && e.readers == 0
			s.mu.Unlock()
			if !gone { // it was restored
				return nil
			}
			return deleteChunks(tx, e.id)
		})
	}
}

// check reads all of e, and returns an error if it is damaged.
func (s *Store) check(e *entry) (r record, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		if r, err = parseRecord([]byte(e.key), tx.Bucket(heads).Get([]byte(e.key))); err != nil {
			return err
		}
		if r.id != e.id {
			return errDamaged
		}
		left := r.size
		for i := uint32(0); left > 0; i++ {
			p, err := getChunk(tx, e.id, i)
			if err != nil || len(p) == 0 {
				return errDamaged
			}
			left -= int64(len(p))
		}
		if left != 0 {
			return errDamaged
		}
		return nil
	})
	return r, err
}

func getChunk(tx *bolt.Tx, id uint64, index uint32) ([]byte, error) {
	key := chunkKey(id, index)
	return unseal(key, tx.Bucket(chunks).Get(key))
}

// A reader reads a body, a chunk at a time. It belongs to one goroutine.
type reader struct {
	store  *Store
	entry  *entry
	index  uint32
	buf    []byte // the part of chunk that was not read
	chunk  []byte
	left   int64 // bytes that were not read
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	switch {
	case r.closed:
		return 0, fs.ErrClosed
	case r.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if len(r.buf) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	r.left -= int64(n)
	return n, nil
}

// next copies the next chunk, because free pages of the file cannot be used again while a
// transaction is open.
func (r *reader) next() error {
	if err := r.store.begin(); err != nil {
		return err
	}
	defer r.store.busy.Done()
	return r.store.view(func(tx *bolt.Tx) error {
		p, err := getChunk(tx, r.entry.id, r.index)
		if err != nil || len(p) == 0 || int64(len(p)) > r.left {
			return fmt.Errorf("diskstore: %q: %w", r.entry.key, errDamaged)
		}
		r.chunk = append(r.chunk[:0], p...)
		r.buf = r.chunk
		r.index++
		return nil
	})
}

func (r *reader) Close() error {
	if !r.closed {
		r.closed = true
		r.store.release(r.entry)
	}
	return nil
}

//go:build !wasm

package diskstore

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// chunksAtOnce is how many chunks are written in one transaction.
const chunksAtOnce = 16

// Save puts head, and all of body, in the place of what is stored under key. If it
// fails, or the process ends meanwhile, what was there before remains. It fails if the
// response is larger than MaxBytes.
func (s *Store) Save(key string, head []byte, body io.Reader) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.busy.Done()
	if len(key) == 0 || len(key) > bolt.MaxKeySize {
		return fmt.Errorf("diskstore: a key has 1 to %d bytes, not %d", bolt.MaxKeySize, len(key))
	}
	s.mu.Lock()
	s.lastID++
	id := s.lastID
	s.mu.Unlock()
	saved := false
	defer func() { // whatever body does
		if !saved {
			s.update(func(tx *bolt.Tx) error { return deleteChunks(tx, id) })
		}
	}()
	size, err := s.write(id, body)
	if err != nil {
		return fmt.Errorf("diskstore: %w", err)
	}
	r := record{id: id, size: size, head: bytes.Clone(head)}
	if err := s.put(key, r); err != nil {
		return fmt.Errorf("diskstore: %w", err)
	}
	saved = true
	return nil
}

// buffers are of chunks that are being saved.
var buffers = sync.Pool{New: func() any { return new([4 + chunkSize]byte) }}

// write writes the chunks of a body and returns its size.
func (s *Store) write(id uint64, body io.Reader) (size int64, err error) {
	var full [][]byte
	var used []*[4 + chunkSize]byte
	defer func() {
		for _, b := range used {
			buffers.Put(b)
		}
	}()
	for index, ended := uint32(0), false; !ended; {
		if len(used) == len(full) {
			used = append(used, buffers.Get().(*[4 + chunkSize]byte))
		}
		chunk := used[len(full)][:]
		n, err := io.ReadFull(body, chunk[4:])
		ended = err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !ended {
			return 0, err
		}
		if n > 0 {
			full = append(full, chunk[:4+n])
		}
		if size += int64(n); size > s.max {
			return 0, fmt.Errorf("a body is larger than %d bytes, which is all there may be", s.max)
		}
		if len(full) == chunksAtOnce || ended && len(full) > 0 {
			if err := s.putChunks(id, index, full); err != nil {
				return 0, err
			}
			index += uint32(len(full))
			full = full[:0]
		}
	}
	return size, nil
}

func (s *Store) putChunks(id uint64, index uint32, full [][]byte) error {
	return s.update(func(tx *bolt.Tx) error {
		for i, chunk := range full {
			key := chunkKey(id, index+uint32(i))
			if err := tx.Bucket(chunks).Put(key, seal(key, chunk)); err != nil {
				return err
			}
		}
		return nil
	})
}

// put stores a record. In the same transaction it deletes the entry that the record replaces,
// and those that must make room for it.
func (s *Store) put(key string, r record) error {
	e := &entry{key: key, id: r.id, bytes: r.bytes(key)}
	if e.bytes > s.max {
		return fmt.Errorf("a response is larger than %d bytes, which is all there may be", s.max)
	}
	var gone []outgoing
	return s.change(func(tx *bolt.Tx) error {
		s.mu.Lock()
		gone = s.makeRoom(e)
		s.add(e)
		s.mu.Unlock()
		for _, old := range gone {
			if err := deleteEntry(tx, old); err != nil {
				return err
			}
		}
		return tx.Bucket(heads).Put([]byte(key), r.encode([]byte(key)))
	}, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.at != nil {
			s.doom(e)
		}
		for _, old := range slices.Backward(gone) {
			s.restore(old.entry)
		}
	})
}

// An outgoing entry is to be deleted: its record, and its chunks if it has no readers.
type outgoing struct {
	*entry
	chunks bool
}

// makeRoom dooms the entry that e replaces, and those that were not used for the longest time,
// until there is room for e. The caller holds mu.
func (s *Store) makeRoom(e *entry) (gone []outgoing) {
	if old := s.entries[e.key]; old != nil {
		gone = append(gone, outgoing{old, s.doom(old)})
	}
	for s.bytes+e.bytes > s.max {
		old := s.used.Back().Value.(*entry)
		gone = append(gone, outgoing{old, s.doom(old)})
	}
	return gone
}

func deleteEntry(tx *bolt.Tx, e outgoing) error {
	if err := tx.Bucket(heads).Delete([]byte(e.key)); err != nil || !e.chunks {
		return err
	}
	return deleteChunks(tx, e.id)
}

func deleteChunks(tx *bolt.Tx, id uint64) error {
	b := tx.Bucket(chunks)
	for i := uint32(0); b.Get(chunkKey(id, i)) != nil; i++ {
		if err := b.Delete(chunkKey(id, i)); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes what is stored under key, if there is anything. A body that is being
// read can still be read.
func (s *Store) Delete(key string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.busy.Done()
	s.mu.Lock()
	e := s.entries[key]
	s.mu.Unlock()
	if e == nil {
		return nil
	}
	return s.remove(e)
}

// remove deletes e, if it is still stored.
func (s *Store) remove(e *entry) error {
	out := outgoing{entry: e}
	stored := false
	return s.change(func(tx *bolt.Tx) error {
		s.mu.Lock()
		if stored = s.entries[e.key] == e; stored {
			out.chunks = s.doom(e)
		}
		s.mu.Unlock()
		if !stored {
			return nil
		}
		return deleteEntry(tx, out)
	}, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if stored {
			s.restore(e)
		}
	})
}

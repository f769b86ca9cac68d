//go:build !wasm

package diskstore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	heads  = []byte("heads")  // key to record
	chunks = []byte("chunks") // id and index to checksum and bytes
)

// fileName has the version of the format.
const fileName = "responses-1.bolt"

var (
	errInUse = errors.New("another process has the store open")
	errPanic = fmt.Errorf("%w: bbolt panicked", errDamaged)
)

// openIn opens the file in a directory. It replaces one that is damaged by a new one.
func (s *Store) openIn(dir string) error {
	path := filepath.Join(dir, fileName)
	err := s.open(path)
	if isDamage(err) {
		if err = s.renameDamaged(path, err); err == nil {
			err = s.open(path)
		}
	}
	return err
}

// renameDamaged renames the file, so that the next Open makes a new one.
func (s *Store) renameDamaged(path string, why error) error {
	s.logger.Error("diskstore: the file is damaged, and is renamed", "file", path, "error", why)
	return os.Rename(path, path+".damaged")
}

// open opens the file and reads which entries it has.
func (s *Store) open(path string) error {
	s.failed = nil
	err := guard(func() error { return verify(path) })
	if err == nil {
		err = s.openFile(path)
	}
	if err == nil {
		if err = s.scan(); err != nil {
			s.closeFile()
		}
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return errInUse
	}
	return err
}

// openFile opens the file, which has a list of its free pages, as verify has checked. Otherwise
// bbolt would make the list in a goroutine of its own, where damage ends the program.
func (s *Store) openFile(path string) error {
	err := guard(func() (err error) {
		s.db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: lockTime, NoSync: true, NoGrowSync: true, FreelistType: bolt.FreelistMapType,
			OpenFile: func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
				s.file, err = os.OpenFile(name, flag, mode)
				return s.file, err
			},
		})
		return err
	})
	if errors.Is(err, errPanic) && s.file != nil {
		s.file.Close()
	}
	return err
}

// closeFile closes the file. After a panic, bbolt may hold its own locks forever, so the mapping
// of the file, and with it the lock, remains. It does no harm, because the file was renamed.
func (s *Store) closeFile() error {
	if s.failed != nil {
		return s.file.Close()
	}
	return guard(s.db.Close)
}

// scan finds the entries. It deletes records that cannot be read, and chunks without a record,
// which remain if the process is killed during a Save. If there is no space for that, they stay.
func (s *Store) scan() error {
	var all []*entry
	var bad, lost [][]byte
	made := false
	err := s.view(func(tx *bolt.Tx) error {
		if made = tx.Bucket(heads) != nil && tx.Bucket(chunks) != nil; !made {
			return nil
		}
		all, bad = readRecords(tx.Bucket(heads))
		lost = lostChunks(tx.Bucket(chunks), all)
		return nil
	})
	if err != nil {
		return err
	}
	if !made || len(bad)+len(lost) > 0 {
		err = s.update(func(tx *bolt.Tx) error { return prepare(tx, bad, lost) })
	}
	if err != nil && (!made || isDamage(err)) {
		return err
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.id, b.id) })
	for _, e := range all {
		s.add(e)
	}
	return nil
}

// readRecords returns the entries whose records can be read, and the keys of the others.
func readRecords(b *bolt.Bucket) (all []*entry, bad [][]byte) {
	b.ForEach(func(key, value []byte) error {
		if r, err := parseRecord(key, value); err == nil {
			all = append(all, &entry{key: string(key), id: r.id, bytes: r.bytes(string(key))})
		} else {
			bad = append(bad, bytes.Clone(key))
		}
		return nil
	})
	return all, bad
}

// lostChunks returns the keys of chunks that belong to no entry.
func lostChunks(b *bolt.Bucket, all []*entry) (lost [][]byte) {
	ids := make(map[uint64]bool, len(all))
	for _, e := range all {
		ids[e.id] = true
	}
	b.ForEach(func(key, _ []byte) error {
		if len(key) != chunkKeySize || !ids[binary.BigEndian.Uint64(key)] {
			lost = append(lost, bytes.Clone(key))
		}
		return nil
	})
	return lost
}

// prepare makes the buckets, and deletes the keys bad and lost from them.
func prepare(tx *bolt.Tx, bad, lost [][]byte) error {
	for name, gone := range map[string][][]byte{string(heads): bad, string(chunks): lost} {
		b, err := tx.CreateBucketIfNotExists([]byte(name))
		if err != nil {
			return err
		}
		for _, key := range gone {
			if err := b.Delete(key); err != nil {
				return err
			}
		}
	}
	return nil
}

// view reads the file in a transaction. If the file is damaged, bbolt may panic or fault.
func (s *Store) view(f func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}

// update changes the file in a transaction. If it fails, the file stays as it was.
func (s *Store) update(f func(*bolt.Tx) error) error { return s.change(f, nil) }

// change is update with a function undo, which may be nil. It is called after a failure, before
// the next transaction. After a panic of bbolt all calls fail.
func (s *Store) change(f func(*bolt.Tx) error, undo func()) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.failure(); err != nil {
		return err
	}
	err := guard(func() error { return s.db.Update(f) })
	if err != nil && undo != nil {
		undo()
	}
	if errors.Is(err, errPanic) {
		s.renameDamaged(s.file.Name(), err)
		s.mu.Lock()
		s.failed = err
		s.mu.Unlock()
	}
	return err
}

// failure returns why the file is not used any more, or nil.
func (s *Store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// guard calls f. It returns a panic of f, or a fault in the memory that the file is mapped to,
// as an error that matches errPanic.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return f()
}

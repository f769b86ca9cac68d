//go:build !wasm

package diskstore

import (
	"container/list"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// Options are the options of a [Store]. The zero value of a field means its default.
type Options struct {
	// MaxBytes is the maximum size in bytes of all keys, heads and bodies. If it is
	// exceeded, the responses that were not used for the longest time are deleted. Those
	// not used since Open come first, in the order in which they were saved. The file is
	// larger by half, or, if most bodies are small, about twice as large. The default is
	// 10 GiB.
	MaxBytes int64

	// Logger gets the damage that is found. The default is slog.Default().
	Logger *slog.Logger
}

// A Store is an httpcache.Store in a directory. Its methods may be called from any goroutine at
// any time.
type Store struct {
	db     *bolt.DB
	file   *os.File // that db has open
	max    int64
	logger *slog.Logger

	changing sync.Mutex // held while the file is changed, before mu

	mu      sync.Mutex
	entries map[string]*entry
	used    *list.List // of *entry; the one used last is at the front
	bytes   int64
	lastID  uint64
	closed  bool
	failed  error          // why the file is not used any more
	busy    sync.WaitGroup // calls that use db
}

// An entry is one stored response. The chunks of its body, and its record, have
// its id, which no other entry ever had.
//
//	stored   in entries and used; a record and all chunks are in the file
//	doomed   in neither; its record is gone, its chunks stay until readers is 0
type entry struct {
	key     string
	id      uint64
	bytes   int64 // of head, key and body
	readers int
	doomed  bool
	at      *list.Element
}

// Open opens the store in a directory, which it makes if there is none. It fails if another
// process has the store open.
func Open(dir string, o *Options) (*Store, error) {
	s := &Store{max: 10 << 30, logger: slog.Default(), entries: map[string]*entry{}, used: list.New()}
	if o != nil && o.MaxBytes < 0 {
		return nil, fmt.Errorf("diskstore: MaxBytes is negative: %d", o.MaxBytes)
	}
	if o != nil && o.MaxBytes > 0 {
		s.max = o.MaxBytes
	}
	if o != nil && o.Logger != nil {
		s.logger = o.Logger
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("diskstore: %w", err)
	}
	if err := s.openIn(dir); err != nil {
		return nil, fmt.Errorf("diskstore: %w", err)
	}
	return s, nil
}

// add puts e at the front. The caller holds mu, or is alone.
func (s *Store) add(e *entry) {
	s.entries[e.key] = e
	e.at = s.used.PushFront(e)
	s.bytes += e.bytes
	s.lastID = max(s.lastID, e.id)
}

// doom removes e from entries and used. The caller holds mu, and then deletes the record. If now
// is true, it also deletes the chunks. Otherwise the last reader does.
func (s *Store) doom(e *entry) (now bool) {
	delete(s.entries, e.key)
	s.used.Remove(e.at)
	s.bytes -= e.bytes
	e.doomed = true
	return e.readers == 0
}

// restore undoes doom, if the file could not be changed. The caller holds mu.
func (s *Store) restore(e *entry) {
	s.entries[e.key] = e
	e.at = s.used.PushBack(e)
	s.bytes += e.bytes
	e.doomed = false
}

// begin begins a call that uses the file. If it returns nil, the caller must call s.busy.Done
// afterwards.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("diskstore: %w", fs.ErrClosed)
	}
	if s.failed != nil {
		return fmt.Errorf("diskstore: the store is to be opened anew: %w", s.failed)
	}
	s.busy.Add(1)
	return nil
}

// Close waits until all calls have returned, and closes the file. After that, bodies cannot be
// read any more. Close returns nil if it is called again.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.busy.Wait()
	return s.closeFile()
}

// Len returns how many responses are stored.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

// Bytes returns how many bytes the keys, heads and bodies of all responses have.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Heads returns an iterator over the keys and heads of all responses, in no particular order. A
// response that is saved or deleted meanwhile may be included or not.
func (s *Store) Heads() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, key := range s.keys() {
			if head, ok := s.head(key); ok && !yield(key, head) {
				return
			}
		}
	}
}

func (s *Store) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]string, 0, len(s.entries))
	for key := range s.entries {
		all = append(all, key)
	}
	return all
}

// head returns the head of the response that is stored under key. It deletes one that is
// damaged.
func (s *Store) head(key string) (head []byte, ok bool) {
	if s.begin() != nil {
		return nil, false
	}
	defer s.busy.Done()
	err := s.view(func(tx *bolt.Tx) error {
		r, err := parseRecord([]byte(key), tx.Bucket(heads).Get([]byte(key)))
		head = r.head
		return err
	})
	if err == nil {
		return head, true
	}
	if _, body, _, err := s.Load(key); err == nil {
		body.Close()
	}
	return nil, false
}

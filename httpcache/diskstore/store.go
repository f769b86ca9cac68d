package diskstore

import (
	"bytes"
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Options are the options of a [Store]. The zero value of each field stands for
// the default that it names.
type Options struct {
	// MaxBytes is how many bytes all bodies and heads may take. What was not
	// used for the longest time makes room. The default is 10 GiB.
	MaxBytes int64

	// Logger is told about damage. The default is slog.Default().
	Logger *slog.Logger
}

// A Store is a httpcache.Store in a directory. Its methods may be called by
// several goroutines at once.
type Store struct {
	db     *bolt.DB
	max    int64
	logger *slog.Logger

	mu      sync.Mutex
	entries map[string]*entry
	used    *list.List // of *entry; the one used last is at the front
	bytes   int64
	lastID  uint64
	closed  bool
	busy    sync.WaitGroup // calls that use db
}

// An entry is one stored response. The chunks of its body, and its record, have
// its id, which no other entry ever had.
//
//	stored   in entries and used; a record and all chunks are in the file
//	doomed   neither; its record is gone, its chunks stay until readers is 0
type entry struct {
	key     string
	id      uint64
	bytes   int64 // of head, key and body
	readers int
	doomed  bool
	at      *list.Element
}

var (
	heads  = []byte("heads")  // key to record
	chunks = []byte("chunks") // id and index to checksum and bytes
)

// fileName has the version of the format.
const fileName = "responses-1.bolt"

// Open opens the store in a directory, which it makes if need be. It fails if
// another process has it open.
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
	path := filepath.Join(dir, fileName)
	err := s.open(path)
	if err != nil && !errors.Is(err, errInUse) && !errors.Is(err, fs.ErrPermission) {
		s.logger.Error("diskstore: the file is damaged, put aside", "file", path, "error", err)
		if err = os.Rename(path, path+".damaged"); err == nil {
			err = s.open(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("diskstore: %w", err)
	}
	return s, nil
}

var errInUse = errors.New("another process has the store open")

// open opens the file and reads which entries it has. The file has the list of its free
// pages: bbolt would make it in a goroutine of its own, where damage ends the program.
func (s *Store) open(path string) error {
	err := guard(func() (err error) {
		s.db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: time.Second, NoSync: true, NoGrowSync: true, FreelistType: bolt.FreelistMapType,
		})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return errInUse
	}
	if err != nil {
		return err
	}
	if err = guard(func() error { return s.db.Update(s.scan) }); err != nil {
		guard(s.db.Close)
		clear(s.entries)
		s.used.Init()
		s.bytes = 0
	}
	return err
}

// scan finds the entries, and removes records that cannot be read and chunks
// that belong to none, as a Save leaves that was killed.
func (s *Store) scan(tx *bolt.Tx) error {
	for _, name := range [][]byte{heads, chunks} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	ids := map[uint64]bool{}
	err := prune(tx.Bucket(heads), func(key, value []byte) (keep bool) {
		r, err := parseRecord(value)
		if err == nil {
			ids[r.id] = true
			s.add(&entry{key: string(key), id: r.id, bytes: r.bytes(string(key))})
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return prune(tx.Bucket(chunks), func(key, _ []byte) (keep bool) {
		id := binary.BigEndian.Uint64(key)
		s.lastID = max(s.lastID, id)
		return ids[id]
	})
}

// prune deletes what is not to be kept. A cursor may skip what follows a key
// that it deletes, so all keys are looked at first.
func prune(b *bolt.Bucket, keep func(key, value []byte) bool) error {
	var gone [][]byte
	err := b.ForEach(func(key, value []byte) error {
		if !keep(key, value) {
			gone = append(gone, bytes.Clone(key))
		}
		return nil
	})
	for _, key := range gone {
		if err == nil {
			err = b.Delete(key)
		}
	}
	return err
}

// add puts e at the front. The caller holds mu, or is alone.
func (s *Store) add(e *entry) {
	s.entries[e.key] = e
	e.at = s.used.PushFront(e)
	s.bytes += e.bytes
	s.lastID = max(s.lastID, e.id)
}

// doom takes e out. The caller holds mu, and deletes the record; the chunks go
// now, if it returns true, or with the last reader.
func (s *Store) doom(e *entry) (now bool) {
	delete(s.entries, e.key)
	s.used.Remove(e.at)
	s.bytes -= e.bytes
	e.doomed = true
	return e.readers == 0
}

// begin lets a call use the file. Without an error, the caller calls
// s.busy.Done in the end.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("diskstore: %w", fs.ErrClosed)
	}
	s.busy.Add(1)
	return nil
}

// Close waits for calls that are under way and closes the file. Bodies that are
// being read fail. A second Close returns nil.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.busy.Wait()
	return guard(s.db.Close)
}

// Len returns how many responses are stored.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

// Bytes returns how many bytes they take: those of heads, keys and bodies.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Heads iterates over the keys and heads of what is stored, in no particular
// order. What is stored or deleted meanwhile may be seen or not.
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

func (s *Store) head(key string) (head []byte, ok bool) {
	if s.begin() != nil {
		return nil, false
	}
	defer s.busy.Done()
	err := s.view(func(tx *bolt.Tx) error {
		r, err := parseRecord(tx.Bucket(heads).Get([]byte(key)))
		head = r.head
		return err
	})
	return head, err == nil
}

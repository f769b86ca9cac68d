package diskstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime/debug"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// A record is the value of a key in the file:
//
//	checksum of the rest | id | size of the body | head
//	4 bytes                8    8                  the rest
//
// and a chunk is a checksum of 4 bytes and up to chunkSize bytes. Integers are
// big-endian.
type record struct {
	id   uint64
	size int64
	head []byte
}

// chunkSize is how many bytes of a body are written, read and checked at once.
const chunkSize = 256 << 10

var errDamaged = errors.New("damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bytes is what an entry counts as.
func (r record) bytes(key string) int64 { return int64(len(key)+len(r.head)) + r.size }

func (r record) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 4, 20+len(r.head)), r.id)
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	b = append(b, r.head...)
	return seal(b)
}

// parseRecord returns a record with a head of its own, or an error that matches
// errDamaged, also for no bytes at all.
func parseRecord(b []byte) (record, error) {
	b, err := unseal(b)
	if err != nil || len(b) < 16 {
		return record{}, errDamaged
	}
	return record{
		id:   binary.BigEndian.Uint64(b),
		size: int64(binary.BigEndian.Uint64(b[8:])),
		head: slices.Clone(b[16:]),
	}, nil
}

// seal writes the checksum of b[4:] to its first 4 bytes.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// unseal returns what seal was given, without the checksum.
func unseal(b []byte) ([]byte, error) {
	if len(b) < 4 || binary.BigEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return nil, errDamaged
	}
	return b[4:], nil
}

func chunkKey(id uint64, index uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, id), index)
}

// view reads the file. A damaged one makes bbolt panic, or fault.
func (s *Store) view(f func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.View(f) })
}

func (s *Store) update(f func(*bolt.Tx) error) error {
	return guard(func() error { return s.db.Update(f) })
}

// guard turns a panic of f, or a fault in the memory that the file is mapped to, into
// an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}

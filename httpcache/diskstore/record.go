//go:build !wasm

package diskstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
)

// A record is the value of a key in the file:
//
//	checksum | id | size of the body | head
//	4 bytes    8    8                  the rest
//
// and a chunk is a checksum of 4 bytes and up to chunkSize bytes. A checksum is of the key and
// of what comes after it. Integers are big-endian.
type record struct {
	id   uint64
	size int64
	head []byte
}

// chunkSize is how many bytes of a body are written, read and checked at once.
const chunkSize = 256 << 10

var errDamaged = errors.New("damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// bytes returns the size of an entry that counts for MaxBytes.
func (r record) bytes(key string) int64 { return int64(len(key)+len(r.head)) + r.size }

func (r record) encode(key []byte) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 4, 20+len(r.head)), r.id)
	b = binary.BigEndian.AppendUint64(b, uint64(r.size))
	b = append(b, r.head...)
	return seal(key, b)
}

// parseRecord returns the record of a key, with a copy of the head. The error matches errDamaged,
// also if b is empty.
func parseRecord(key, b []byte) (record, error) {
	b, err := unseal(key, b)
	if err != nil || len(b) < 16 {
		return record{}, errDamaged
	}
	return record{
		id:   binary.BigEndian.Uint64(b),
		size: int64(binary.BigEndian.Uint64(b[8:])),
		head: slices.Clone(b[16:]),
	}, nil
}

// seal writes the checksum of a key and of b[4:], its value, to the first 4 bytes of b.
func seal(key, b []byte) []byte {
	binary.BigEndian.PutUint32(b, checksum(key, b[4:]))
	return b
}

// unseal verifies the checksum of a key and its value, and returns the value.
func unseal(key, b []byte) ([]byte, error) {
	if len(b) < 4 || binary.BigEndian.Uint32(b) != checksum(key, b[4:]) {
		return nil, errDamaged
	}
	return b[4:], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// chunkKeySize is the length of the key of a chunk.
const chunkKeySize = 12

func chunkKey(id uint64, index uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, id), index)
}

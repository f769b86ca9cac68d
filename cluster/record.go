package cluster

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"time"
)

// A record is what a key of a [Group], [Cache], [Mutex], [Semaphore] or [Notify] has.
type record struct {
	state state
	// holder is the Group, Cache, Mutex or Semaphore that took the lease, and name the lease. Both
	// are random, so that no two are the same.
	holder, name id
	fence        uint64 // of a renewed lease, or of a result
	data         []byte // of a result, or the text of an error

	at    instant   // the revision of the record, or of its deletion
	seen  time.Time // when this process has seen it
	since time.Time // of a lease: when it was first seen; zero if that is not known
}

// A state says what a record is.
type state byte

const (
	none   state = iota // nothing
	leased              // somebody holds a lease
	loaded              // data is the encoded result
	failed              // data is the text of an error
	ended               // the Bucket is closed
	other               // what a later version or another program has written
)

func (r record) isResult() bool { return r.state == loaded || r.state == failed }

// isFree reports whether a Mutex or a permit is free for the holder: nobody has it, or only
// a lease of the holder's own was left.
func (r record) isFree(holder id) bool { return r.state != leased || r.holder == holder }

type id [16]byte

func newID() (n id) {
	rand.Read(n[:])
	return n
}

// An encoded record has a byte for its format, one for its state, the holder, the name and
// the fence. The data is the rest.
const (
	recordFormat = 1
	recordHead   = 2 + len(id{}) + len(id{}) + 8
)

func (r record) encode() []byte {
	b := make([]byte, 0, recordHead+len(r.data))
	b = append(b, recordFormat, byte(r.state))
	b = append(append(b, r.holder[:]...), r.name[:]...)
	b = binary.BigEndian.AppendUint64(b, r.fence)
	return append(b, r.data...)
}

// decodeRecord returns the record that b has, with the state other if it has none that
// this version knows.
func decodeRecord(b []byte) (r record) {
	if len(b) < recordHead || b[0] != recordFormat {
		return record{state: other}
	}
	r.state = state(b[1])
	if r.state != leased && !r.isResult() {
		return record{state: other}
	}
	b = b[2:]
	b = b[copy(r.holder[:], b):]
	b = b[copy(r.name[:], b):]
	r.fence = binary.BigEndian.Uint64(b)
	r.data = slices.Clone(b[8:])
	return r
}

package etcdengine

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/vigil-go/vigil/cluster/engine"
)

// What the bucket has under its prefix.
const (
	historyKey    = "history" // the identity of the history
	noteKey       = "note"    // the id of the last deletion, or of a tick
	keyPrefix     = "k/"      // values
	givenUpPrefix = "x/"      // ids of writes that must not be applied any more
)

// maxKey is the length of the longest key. etcd keeps all keys in memory.
const maxKey = 1 << 16

// A value begins with a mark and the id of the write. One without the mark was put by
// somebody else.
const (
	mark  = "\x00vigil\x01"
	idLen = 16
)

func newID() string {
	id := make([]byte, idLen)
	_, _ = rand.Read(id) // never fails
	return string(id)
}

// leaseMark is in the ids of the leases of engines. Each of them has one key at most.
const leaseMark = 0x7669 << 47

func newLease() int64 {
	id := newID()
	return int64(leaseMark | binary.LittleEndian.Uint64([]byte(id))>>17)
}

// ours reports whether a lease was made by an engine.
func ours(lease int64) bool { return uint64(lease)>>47 == leaseMark>>47 }

// encode returns what is stored for a value.
func encode(id string, value []byte) string { return mark + id + string(value) }

// decode undoes encode. The id is empty if somebody else has put the value.
func decode(stored []byte) (id string, value []byte) {
	rest, ok := strings.CutPrefix(string(stored), mark)
	if !ok || len(rest) < idLen {
		return "", stored
	}
	return rest[:idLen], stored[len(mark)+idLen:]
}

// path returns the key in etcd.
func (e *Engine) path(key string) (string, error) {
	if len(key) > maxKey {
		return "", fmt.Errorf("%w: %d bytes instead of at most %d", engine.ErrKey, len(key), maxKey)
	}
	return e.prefix + keyPrefix + key, nil
}

// key undoes path.
func (e *Engine) key(kv *keyValue) string { return string(kv.Key[len(e.prefix+keyPrefix):]) }

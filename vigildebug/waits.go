package vigildebug

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxWaits = 100 // of a thing's keys, so that a million make no page of a gigabyte
	maxKey   = 128 // bytes that are shown of a key
)

// longest gathers the keys of a thing, and keeps those that are waited for
// longest.
type longest[K comparable] struct {
	rows          []row[K] // the oldest first, at most maxWaits
	keys, waiters int      // of all
}

type row[K comparable] struct {
	key     K
	waiters int
	since   time.Time
}

func (l *longest[K]) add(key K, waiters int, since time.Time) {
	l.keys++
	l.waiters += waiters
	at, _ := slices.BinarySearchFunc(l.rows, since, func(r row[K], t time.Time) int {
		if r.since.After(t) {
			return 1
		}
		return -1 // behind those of the same age
	})
	if at == maxWaits {
		return
	}
	l.rows = slices.Insert(l.rows[:min(len(l.rows), maxWaits-1)], at, row[K]{key, waiters, since})
}

// age is since when the oldest waits, in seconds; 0 if nobody does.
func (l *longest[K]) age() float64 {
	if len(l.rows) == 0 {
		return 0
	}
	return max(0, time.Since(l.rows[0].since).Seconds())
}

func (l *longest[K]) reading(metrics Metrics, showKeys bool) reading {
	waits := make([]Wait, len(l.rows))
	for i, r := range l.rows {
		waits[i] = Wait{"", r.waiters, presentable(r.since)}
		if !showKeys {
			waits[i].Key = hide(r.key)
		}
	}
	if showKeys {
		l.showKeys(waits)
	}
	return reading{metrics, waits, l.keys - len(l.rows)}
}

// showKeys prints the keys. Package fmt survives a String method that panics, and
// each one that calls runtime.Goexit.
func (l *longest[K]) showKeys(waits []Wait) {
	each(len(waits), func(i int) { waits[i].Key = show(l.rows[i].key) }, func(i int, why string) {
		waits[i].Key = "%!v(String method " + why + ")"
	})
}

// presentable returns t, or the zero time if JSON has no text for t, as for a
// year beyond 9999.
func presentable(t time.Time) time.Time {
	if _, err := t.MarshalJSON(); err != nil {
		return time.Time{}
	}
	return t
}

// show prints a key, cut off where it gets long.
func show[K comparable](key K) string {
	text := valid(fmt.Sprint(key))
	if len(text) <= maxKey {
		return text
	}
	return strings.ToValidUTF8(text[:maxKey], "") + "…"
}

// valid replaces what is not UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// secret keys the hashes of this process.
var secret = sync.OnceValue(func() (s struct {
	seed maphash.Seed
	key  [32]byte
}) {
	s.seed = maphash.MakeSeed()
	rand.Read(s.key[:]) // never fails
	return s
})

// hide gives a key's hash. maphash sees what == sees and runs no code of the
// key's, but does not claim to keep its seed; so HMAC hides what it says.
func hide[K comparable](key K) string {
	s := secret()
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write(binary.LittleEndian.AppendUint64(nil, maphash.Comparable(s.seed, key)))
	return "#" + hex.EncodeToString(mac.Sum(nil)[:6])
}

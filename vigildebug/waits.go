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
	maxWaits = 100 // the number of keys shown of an object
	maxKey   = 128 // the number of bytes shown of a key
)

// longest collects the awaited keys of an object, and keeps those with the oldest waits.
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
		if later(r.since, t) {
			return 1
		}
		return -1 // behind those of the same age
	})
	if at == maxWaits {
		return
	}
	l.rows = slices.Insert(l.rows[:min(len(l.rows), maxWaits-1)], at, row[K]{key, waiters, since})
}

// later reports whether a is after b. A zero time is one that is not known: they come last.
func later(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() && !b.IsZero()
	}
	return a.After(b)
}

// age returns how long the oldest wait has lasted, in seconds, or zero if there is none.
func (l *longest[K]) age() float64 {
	if len(l.rows) == 0 || l.rows[0].since.IsZero() {
		return 0
	}
	return max(0, time.Since(l.rows[0].since).Seconds())
}

func (l *longest[K]) reading(metrics Metrics, showKeys bool) reading {
	waits := make([]Wait, len(l.rows))
	for i, r := range l.rows {
		waits[i] = Wait{Waiters: r.waiters, Since: presentable(r.since)}
		if !showKeys {
			waits[i].Key = hide(r.key)
		}
	}
	if showKeys {
		l.showKeys(waits)
	}
	return reading{metrics: metrics, waits: waits, more: l.keys - len(l.rows)}
}

// showKeys formats the keys. Package fmt recovers from a String method that panics, and
// each from one that calls runtime.Goexit.
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

// show formats a key, and cuts a long text off.
func show[K comparable](key K) string {
	text := valid(fmt.Sprint(key))
	if len(text) <= maxKey {
		return text
	}
	return strings.ToValidUTF8(text[:maxKey], "") + "…"
}

// valid replaces what is not UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// secret is the random secret of this process on which the hashes of keys depend.
var secret = sync.OnceValue(func() (s struct {
	seed maphash.Seed
	key  [32]byte
}) {
	s.seed = maphash.MakeSeed()
	rand.Read(s.key[:]) // never fails
	return s
})

// hide returns a key's hash. maphash compares as == does and runs no methods of the key,
// but it does not promise to keep its seed secret, so HMAC hides its result.
func hide[K comparable](key K) string {
	s := secret()
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write(binary.LittleEndian.AppendUint64(nil, maphash.Comparable(s.seed, key)))
	return "#" + hex.EncodeToString(mac.Sum(nil)[:6])
}

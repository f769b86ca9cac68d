package dedup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// A Loader fetches what a key stands for. It runs in a goroutine of its own,
// with nothing held. Its context has the values of the first caller's, but
// neither its end nor its parker; it ends when the last caller has left, with
// the cause [ErrAbandoned], and on Close, with [ErrClosed]. A Loader that calls
// the Cache passes it on: see the package's documentation.
type Loader[K comparable, V any] func(ctx context.Context, key K) (V, error)

// CacheOptions are the options of [NewCache]. The zero value is a cache without
// bounds whose entries stay until they are invalidated.
//
// The functions are called with nothing locked, and may call the Cache. What
// TTLOf, ErrorTTLOf and Weigh panic with reaches the callers of the load as a
// *[PanicError], as if the load had panicked.
type CacheOptions[K comparable, V any] struct {
	// MaxEntries is how many entries, negative ones included, are kept; which
	// of them go is decided by W-TinyLFU. 0: no bound. Eviction follows
	// storing: for a moment there may be an eighth more, and while several
	// goroutines store up to twice as many, never more.
	MaxEntries int

	// MaxWeight bounds the sum of what Weigh returns for the entries, with
	// the same margins. 0: no bound. Only one of MaxEntries and MaxWeight can
	// be set. An entry that is heavier than MaxWeight by itself is not stored.
	MaxWeight uint64

	// Weigh is the weight of an entry, in whatever unit MaxWeight is. It is
	// called once per value that is stored. An entry of weight 0 is never
	// evicted; an entry for an error weighs 1.
	Weigh func(key K, v V) uint32

	// TTL is how long a value is fresh. 0: for ever.
	TTL time.Duration

	// TTLOf overrides TTL for one value. 0 or less: it is not stored.
	TTLOf func(key K, v V) time.Duration

	// ErrorTTL is how long a load's error is kept and returned instead of
	// loading again. 0: errors are not kept. The error of a load that was
	// canceled never is. While there is an old value to serve, that is
	// returned, and ErrorTTL only delays the next load; 0 then means one
	// second.
	ErrorTTL time.Duration

	// ErrorTTLOf overrides ErrorTTL for one error. 0 or less: it is not kept.
	ErrorTTLOf func(key K, err error) time.Duration

	// Jitter shortens each TTL by a random part of up to this fraction, so
	// that what was stored together does not expire together. From 0 to 1.
	Jitter float64

	// StaleWhileRevalidate is for how long after its TTL a value is still
	// returned at once, while one load in the background replaces it. If
	// that fails, the value is returned still, and the next load is due after
	// ErrorTTL.
	StaleWhileRevalidate time.Duration

	// StaleIfError is for how long after its TTL a value is still returned
	// if the load that should replace it fails, and then without a load until
	// the next one is due after ErrorTTL.
	StaleIfError time.Duration

	// MaxWaiters is how many callers may wait for one key. Further ones get
	// [ErrTooManyWaiters] at once. 0: no bound.
	MaxWaiters int

	// MaxLoads is how many loads may run at a time; LoadMany counts as one.
	// Others wait for a slot, first come, first served. A load that waits for
	// another load lends its slot to that one, if it has none. 0: no bound.
	MaxLoads int

	// LoadMany loads several keys at once, for [Cache.GetMany]: those that
	// are missing and those that are stale. Keys that its answer leaves out
	// fail with [ErrNotLoaded]. If it returns an error, the keys that its
	// answer has are loaded all the same, and the others get the error. Keys
	// that it was not asked for are stored, unless a fresh value is there,
	// they are being loaded, or they were put or invalidated since it began.
	// Its context ends when all its keys have lost their callers. What else is
	// said of a Loader holds. nil: GetMany uses the Loader.
	LoadMany func(ctx context.Context, keys []K) (map[K]V, error)

	// OnLoad is called after each load, once per key that was asked for, when
	// the results of all its keys have been stored, in the goroutine of the
	// load and with nothing held. The load's callers do not wait for it. A
	// panic in it is dropped; after that, and after runtime.Goexit, the calls
	// for the other keys follow.
	OnLoad func(LoadInfo[K])
}

// LoadInfo tells of a load that is over.
type LoadInfo[K comparable] struct {
	Key     K
	Took    time.Duration // from its first caller to its end; the wait for its turn included
	Err     error         // what it failed with, even if a stale value was served
	Waiters int           // callers that got its result
}

func checkLoader[K comparable, V any](load Loader[K, V]) error {
	if load == nil {
		return errors.New("dedup: NewCache needs a loader")
	}
	return nil
}

// check joins an error for everything that is wrong.
func (o *CacheOptions[K, V]) check() error {
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("dedup: CacheOptions: "+format, args...))
		}
	}
	notNegative := func(name string, n int64) { refuse(n < 0, "%s is %d, must not be negative", name, n) }
	notNegative("MaxEntries", int64(o.MaxEntries))
	notNegative("MaxWaiters", int64(o.MaxWaiters))
	notNegative("MaxLoads", int64(o.MaxLoads))
	for name, d := range o.durations() {
		refuse(d < 0, "%s is %v, must not be negative", name, d)
	}
	refuse(!(o.Jitter >= 0 && o.Jitter <= 1), "Jitter is %v, must be from 0 to 1", o.Jitter)
	refuse(o.MaxEntries > 0 && o.MaxWeight > 0, "MaxEntries and MaxWeight are both set, choose one")
	refuse(o.MaxWeight > 0 && o.Weigh == nil, "MaxWeight needs Weigh")
	refuse(o.MaxWeight == 0 && o.Weigh != nil, "Weigh needs MaxWeight")
	return errors.Join(errs...)
}

func (o *CacheOptions[K, V]) durations() iter.Seq2[string, time.Duration] {
	return func(yield func(string, time.Duration) bool) {
		_ = yield("TTL", o.TTL) && yield("ErrorTTL", o.ErrorTTL) &&
			yield("StaleWhileRevalidate", o.StaleWhileRevalidate) && yield("StaleIfError", o.StaleIfError)
	}
}

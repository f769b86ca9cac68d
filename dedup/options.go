package dedup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/vigil-go/vigil/internal/load"
)

// A Loader loads the value of a key. It is called with nothing locked, in a goroutine of
// its own. The exception is a first caller in [Cache.Get] or [Cache.Refresh] whose context
// cannot end and has no parker, so that it could not leave: then the Loader runs in the
// goroutine of that caller, which exits if the Loader calls runtime.Goexit.
//
// The Loader's context has the values of the first caller's context, but does not end with
// it, and has no parker. It is canceled with the cause [ErrAbandoned] when the last caller
// has left, and with the cause [ErrClosed] by [Cache.Close]. It also ends when the load
// does. A Loader that calls the Cache must pass this context on; see the package's
// documentation.
type Loader[K comparable, V any] func(ctx context.Context, key K) (V, error)

// CacheOptions are the options of [NewCache]. The zero value means a cache without limits
// whose entries stay until they are invalidated.
//
// The functions are called with nothing locked, and may call the Cache. If TTLOf,
// ErrorTTLOf or Weigh panics, the callers of the load get a *[PanicError], as if the load
// had panicked.
type CacheOptions[K comparable, V any] struct {
	// MaxEntries is the maximum number of entries, including those of errors. The
	// eviction policy is W-TinyLFU. Entries are evicted after others have been stored,
	// so for a moment there may be an eighth more than MaxEntries, and up to twice
	// MaxEntries while several goroutines store. Zero means no limit.
	MaxEntries int

	// MaxWeight is the maximum sum of the weights of the entries, which may be exceeded
	// for a moment like MaxEntries. An entry that is heavier than MaxWeight by itself is
	// not stored. MaxWeight needs Weigh. Only one of MaxEntries and MaxWeight can be
	// set. Zero means no limit.
	MaxWeight uint64

	// Weigh returns the weight of an entry, in the unit of MaxWeight. It is called once
	// per stored value. An entry of weight zero is never evicted. The entry of an error
	// has the weight one. Weigh must be nil if MaxWeight is zero.
	Weigh func(key K, v V) uint32

	// TTL is the time for which a value is fresh. Zero means forever.
	TTL time.Duration

	// TTLOf returns the TTL of one value, instead of TTL. Zero or less means that the
	// value is not stored. A nil TTLOf means TTL for all values.
	TTLOf func(key K, v V) time.Duration

	// ErrorTTL is the time for which the error of a load is kept and returned instead
	// of loading again. Zero means that errors are not kept. The error of a canceled
	// load is never kept. While a stale value can be returned, callers get that instead
	// of the error, and ErrorTTL only delays the next load; zero then means one second.
	ErrorTTL time.Duration

	// ErrorTTLOf returns the time for which one error is kept, instead of ErrorTTL.
	// Zero or less means that the error is not kept. A nil ErrorTTLOf means ErrorTTL
	// for all errors.
	ErrorTTLOf func(key K, err error) time.Duration

	// Jitter is the largest fraction by which each TTL and ErrorTTL is shortened at
	// random, so that values stored together do not expire together. It must be from 0
	// to 1. Zero means that no TTL is shortened.
	Jitter float64

	// StaleWhileRevalidate is the time after its TTL for which a value is still
	// returned at once, while one load in the background replaces it. If that load
	// fails, the value is still returned, and the next load is due after ErrorTTL. Zero
	// means that callers wait for the load.
	StaleWhileRevalidate time.Duration

	// StaleIfError is the time after its TTL for which a value is still returned if the
	// load that should replace it fails. The value is then returned without a load
	// until the next load is due, after ErrorTTL. Zero means that callers get the error
	// once StaleWhileRevalidate is over.
	StaleIfError time.Duration

	// MaxWaiters is the maximum number of callers that wait for one key. Further
	// callers get [ErrTooManyWaiters] at once. Zero means no limit.
	MaxWaiters int

	// MaxLoads is the maximum number of loads that run at the same time. A call of
	// LoadMany counts as one load. Further loads wait in line for a slot. A load that
	// waits for a load in line lends that load its slot. Zero means no limit.
	MaxLoads int

	// LoadMany loads several keys at once for [Cache.GetMany]: those that are missing
	// and those that are stale. Requested keys that are not in the returned map fail
	// with the returned error, or with [ErrNotLoaded] if that is nil; the other keys
	// succeed. Keys in the map that were not requested are stored too, unless a fresh
	// value is stored for them, they are being loaded, or they were put or invalidated
	// since the call began. The context of LoadMany is canceled when the last caller of
	// each of its keys has left. LoadMany, and a Loader that GetMany calls, always runs
	// in a goroutine of its own. Everything else is as for a Loader. A nil LoadMany
	// means that GetMany calls the Loader for each key.
	LoadMany func(ctx context.Context, keys []K) (map[K]V, error)

	// OnLoad is called after each load, once per requested key, when the results of all
	// keys of the load are stored. It runs in the goroutine of the load, or in a new one
	// if the load ran in the goroutine of a caller. The load's callers do not wait for
	// OnLoad. A panic of OnLoad is dropped. If OnLoad panics or calls runtime.Goexit for
	// one key, it is still called for the other keys. A nil OnLoad is not called.
	OnLoad func(LoadInfo[K])
}

// LoadInfo describes a load that has ended.
type LoadInfo[K comparable] struct {
	Key     K
	Took    time.Duration // from the first call to the end of the load, including the wait for a slot
	Err     error         // the error of the load, even if its callers got a stale value
	Waiters int           // the number of callers that got the result
}

func checkLoader[K comparable, V any](load Loader[K, V]) error {
	if load == nil {
		return errors.New("dedup: NewCache needs a loader")
	}
	return nil
}

// check joins an error for every option that is invalid.
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

// slots returns those of MaxLoads, or nil for no limit.
func (o *CacheOptions[K, V]) slots() *load.Slots { return load.NewSlots(o.MaxLoads) }

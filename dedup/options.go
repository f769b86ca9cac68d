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
// its own. The exception is a first caller in [Cache.Get], [Cache.GetEntry] or [Cache.Refresh]
// whose context cannot end and has no parker, so that it could not leave: then the Loader runs
// in the goroutine of that caller, which exits if the Loader calls runtime.Goexit.
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

	// IdleTTL is the time after which a value is removed if no caller asks for it, even if
	// its TTL is not over or it could still be returned stale. It restarts with each Get,
	// GetMany or GetEntry of the key, when a value is stored, and when a Refresh has failed
	// and the value can still be returned stale. Zero means no limit.
	IdleTTL time.Duration

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

	// MaxBackoff is the longest time between two loads of a key for which a stale value can
	// be returned. After a load that failed, the next one is due after ErrorTTL, or one
	// second. That time doubles with each further failure in a row, up to MaxBackoff, and
	// Jitter shortens it at random. A load that succeeds, a Put and an invalidation
	// reset it. Refresh does not wait for it. Zero, or a time that is shorter than the
	// first one, means that the time does not grow.
	MaxBackoff time.Duration

	// ReloadWith, if it is not nil, is called instead of the Loader if a value is still
	// there for the key: by Refresh, by loads in the background, and when the value's time
	// is over but it has not been removed yet. old is that value. It may be returned again,
	// for example if the origin says that it has not changed. LoadMany is not replaced.
	ReloadWith func(ctx context.Context, key K, old V) (V, error)

	// MaxWaiters is the maximum number of callers that wait for one key. Further
	// callers get [ErrTooManyWaiters] at once. Zero means no limit.
	MaxWaiters int

	// MaxLoads is the maximum number of loads that run at the same time. A call of
	// LoadMany counts as one load. Further loads wait in line for a slot. A load that
	// waits for a load in line lends that load its slot. Zero means no limit.
	MaxLoads int

	// LoadMany loads several keys at once for [Cache.GetMany] and [Cache.RefreshMany]: for
	// GetMany those that are missing and those that are stale. With MaxBatch it loads the
	// keys of other calls too. Requested keys that are not in the returned map fail with the
	// returned error, or with [ErrNotLoaded] if that is nil; the other keys succeed. To
	// return different errors for different keys, LoadMany returns a [KeyErrors]. Keys in
	// the map that were not requested are stored too, unless a fresh value is stored for
	// them, they are being loaded, or they were put or invalidated since the call began. The
	// context of LoadMany is canceled when the last caller of each of its keys has left.
	// LoadMany, and a Loader that GetMany or RefreshMany calls, always runs in a goroutine
	// of its own. Everything else is as for a Loader. A nil LoadMany means that the Loader is
	// called for each key. The Loader is always called for a key that is not equal to itself,
	// such as NaN.
	LoadMany func(ctx context.Context, keys []K) (map[K]V, error)

	// MaxBatch, if it is not zero, means that LoadMany is called instead of the Loader and
	// ReloadWith, and always with up to MaxBatch keys: GetMany and RefreshMany make several
	// calls, at the same time, if they need more. Loads of [Cache.Get], [Cache.GetEntry] and
	// [Cache.Refresh], and the loads in the background that they start, are gathered until
	// there are MaxBatch, or until BatchDelay after the first. If no slot of MaxLoads is
	// free then, and there are fewer than MaxBatch, they are gathered until one is free. A
	// key whose callers have all left by then is not loaded. [Cache.Close] ends the wait.
	// The context of the call has the values of the first caller's context.
	//
	// Each load of a call waits for what the others wait for. So if LoadMany calls its own
	// Cache, it gets [ErrCycle] for keys whose load waits for any key of its call.
	//
	// MaxBatch needs LoadMany.
	MaxBatch int

	// BatchDelay is the longest time for which loads are gathered, apart from the wait for a
	// slot. Zero means that no load is delayed: then only those are gathered that come
	// before the goroutine of the call runs, or while it waits for a slot. BatchDelay needs
	// MaxBatch.
	BatchDelay time.Duration

	// OnLoad is called after each load, once per requested key, when the results of all
	// keys of the load are stored. It runs in the goroutine of the load, or in a new one
	// if the load ran in the goroutine of a caller. The load's callers do not wait for
	// OnLoad. A panic of OnLoad is dropped. If OnLoad panics or calls runtime.Goexit for
	// one key, it is still called for the other keys. A nil OnLoad is not called.
	OnLoad func(LoadInfo[K])

	// OnRemove is called once for each value that was kept and is not any more, with the
	// cause, after it has left the Cache. It is not called for errors, nor for a value
	// that was never kept, like the result of a load during which its key was
	// invalidated. A value that cannot be served any more because its time is over
	// leaves when it is replaced or invalidated, or when other values are stored; the
	// cause is [RemoveExpired] then.
	//
	// Put, Invalidate, InvalidateFunc, InvalidateAll and Close return when OnRemove has.
	// For the other values it runs in the goroutine of a load, after the load's callers
	// are woken, or in a goroutine of its own. It may run for several values at the same
	// time, and, if a value was evicted, after Close has returned. A panic of OnRemove is
	// dropped. If OnRemove panics or calls runtime.Goexit for one value, it is still
	// called for the others. A nil OnRemove is not called.
	OnRemove func(key K, v V, cause RemoveCause)
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
	notNegative("MaxBatch", int64(o.MaxBatch))
	for name, d := range o.durations() {
		refuse(d < 0, "%s is %v, must not be negative", name, d)
	}
	refuse(!(o.Jitter >= 0 && o.Jitter <= 1), "Jitter is %v, must be from 0 to 1", o.Jitter)
	refuse(o.MaxEntries > 0 && o.MaxWeight > 0, "MaxEntries and MaxWeight are both set, choose one")
	refuse(o.MaxWeight > 0 && o.Weigh == nil, "MaxWeight needs Weigh")
	refuse(o.MaxBatch > 0 && o.LoadMany == nil, "MaxBatch needs LoadMany")
	refuse(o.BatchDelay > 0 && o.MaxBatch == 0, "BatchDelay needs MaxBatch")
	refuse(o.MaxWeight == 0 && o.Weigh != nil, "Weigh needs MaxWeight")
	return errors.Join(errs...)
}

func (o *CacheOptions[K, V]) durations() iter.Seq2[string, time.Duration] {
	return func(yield func(string, time.Duration) bool) {
		_ = yield("TTL", o.TTL) && yield("ErrorTTL", o.ErrorTTL) &&
			yield("StaleWhileRevalidate", o.StaleWhileRevalidate) && yield("StaleIfError", o.StaleIfError) &&
			yield("IdleTTL", o.IdleTTL) && yield("MaxBackoff", o.MaxBackoff) &&
			yield("BatchDelay", o.BatchDelay)
	}
}

// slots returns those of MaxLoads, or nil for no limit.
func (o *CacheOptions[K, V]) slots() *load.Slots { return load.NewSlots(o.MaxLoads) }

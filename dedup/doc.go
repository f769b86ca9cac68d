// Package dedup makes concurrent calls for one key share one load, and caches the results.
// [Group] coalesces calls; [Cache] also stores what they return.
//
//	var g dedup.Group[string, *Page]
//	page, shared, err := g.Do(ctx, url, func(ctx context.Context) (*Page, error) {
//		return fetch(ctx, url) // once for all callers that ask at the same time
//	})
//
//	users, err := dedup.NewCache(loadUser, &dedup.CacheOptions[int, *User]{
//		MaxEntries: 100_000, TTL: time.Minute, ErrorTTL: time.Second,
//	})
//	defer users.Close()
//	user, err := users.Get(ctx, id)
//
// # Loads
//
// A load is one call of a [Loader], of [CacheOptions].LoadMany or of the function passed to
// [Group.Do]. It runs with a context of its own, which has the values of the first caller's
// context, but does not end with it. Callers join and leave a load; each leaves at once
// when its context ends. When the last caller has left, the load is canceled with the
// cause [ErrAbandoned]. A canceled load cannot be joined: the next caller starts a new one.
//
// A load runs in a goroutine of its own, with one exception. If the first caller is in Do,
// Get, GetEntry or Refresh, and its context cannot end and has no parker (see package wake),
// like context.Background(), the load runs in the goroutine of that caller, which could not
// leave anyway. That caller counts like any other, and its call returns when the load
// does. Other callers may join and leave meanwhile. With [CacheOptions].MaxBatch there is
// no such exception.
//
// The load of a caller that is a task runs in a goroutine as well, and is not started by
// wake.Go: it may outlive that caller and its loop, callers on other loops wait for it, and
// a loader that blocks would block the loop.
//
// When a load ends, its value is stored first, then the key is released, then the callers
// are woken. So a caller finds the load or its value, never neither, and each key has at
// most one load that can be joined. Older loads of the key may still run: those that were
// canceled, and those whose key was passed to Forget, Invalidate or Put. Their results go
// to the callers that they still have, and are not stored.
//
// # Loads that call other loads
//
// A load may call its own Group or Cache, or another one, for another key, or Do of an
// await.Once. It must pass its own context, or one derived from it, to that call. Then it
// cannot wait for itself: a call for its own key, or for a key whose load waits for this
// one, returns [ErrCycle] at once. Nor can it wait for its own slot of
// [CacheOptions].MaxLoads: a load that waits for another load lends its slot to that load.
// It lends the slot to one load at a time.
//
// # Stale values
//
// A value whose TTL is over is stale. For the time StaleWhileRevalidate after that, callers
// get the stale value at once while a load in the background replaces it, even if such
// loads fail. When that time is over, and StaleIfError is not, callers wait for the load,
// and get the stale value if it fails. In both cases a failed load is repeated after
// ErrorTTL if its error is kept, and otherwise after one second; with MaxBackoff that time
// doubles with each failure in a row. If there is no stale value, an error that is not kept
// is returned to the callers that waited for it, and the next caller starts a load.
//
// If the error of a load matches [ErrGone], what is kept for the key is removed, and no old
// value is returned.
//
// Nothing that was stored before a call of [Cache.InvalidateAll] is returned after it.
//
// # Concurrency
//
// All methods may be called from any goroutine at any time, and from a task of an event
// loop if the task's context carries its parker: a caller sleeps by the parker of its
// context (see package wake). A waiting goroutine is durably blocked in the sense of
// testing/synctest. The clock is that of package time, so expiry can be tested in a
// bubble.
//
// In the terminology of the Go memory model, the return of a load, and a call of Put,
// synchronizes before the return of every call that returns its value or error.
//
// Nothing is locked while user code runs. Loaders and the functions of [CacheOptions] may
// call the Group or Cache that calls them, for any key. TTLOf, ErrorTTLOf and Weigh run
// when the result of the load is known and not yet stored; a call for the same key then
// returns that result without waiting. OnLoad runs when the results of all keys of the
// load are stored and all callers are woken, and never in the goroutine of a caller.
// OnRemove runs when the value has left; a call of Put, Invalidate, InvalidateFunc,
// InvalidateAll or Close that removes it returns after that.
//
// # Errors
//
// An error of a load is returned to all its callers, with the zero value. If a load panics
// or calls runtime.Goexit, its callers get a *[PanicError]. If it calls Goexit in the
// goroutine of a caller, that goroutine exits after the other callers have the error. If
// TTLOf, ErrorTTLOf or Weigh panics or calls Goexit, only the key that it was called for
// fails, in the same ways.
//
// If the context of a caller ends first, the caller gets an error that matches both
// ctx.Err() and context.Cause(ctx). Get, GetEntry and Refresh return [ErrClosed] after
// Close, and [ErrTooManyWaiters] if the key has MaxWaiters callers. The errors of GetMany and
// RefreshMany join a *[KeyError] for each key that failed.
//
// # Limits
//
//   - A key that is not equal to itself, such as NaN, is loaded each time and never
//     stored.
//   - A Cache without limits grows with its keys. Expired entries are removed as others
//     are stored, all at once when they may be half of all entries.
//   - A load that calls a Group or Cache with a context other than its own can wait for
//     itself, or for its own slot.
//   - If a load waits for another load, and that wait ends early because its context
//     ends, the load continues while its slot stays lent until the other load has ended.
//     Meanwhile one more load than MaxLoads may run.
//   - If loads of two Caches with MaxLoads call the other Cache, slots are lent so that
//     none of them waits forever. Meanwhile more loads than MaxLoads may run.
//   - While a LoadMany runs, the Cache remembers all keys that are put or invalidated.
//   - Removed keys may stay in memory for a while, as in package waitmap: some dozens of
//     small keys, but no strings of 64 KiB. A Cache with MaxEntries or MaxWeight may also
//     keep a few large ones.
//   - Loads that call each other with contexts that cannot end run in their callers'
//     goroutines, and so share one stack. A million nested loads are too many for it.
//   - The context of a load keeps the first caller's context, with its values, in memory
//     while the load runs, and while the load's context is reachable.
package dedup

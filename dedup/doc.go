// Package dedup makes one load of many requests. [Group] coalesces calls that
// are made at the same time; [Cache] also keeps what they gave.
//
//	var g dedup.Group[string, *Page]
//	page, shared, err := g.Do(ctx, url, func(ctx context.Context) (*Page, error) {
//		return fetch(ctx, url) // once, however many ask meanwhile
//	})
//
//	users, err := dedup.NewCache(loadUser, &dedup.CacheOptions[int, *User]{
//		MaxEntries: 100_000, TTL: time.Minute, ErrorTTL: time.Second,
//	})
//	defer users.Close()
//	user, err := users.Get(ctx, id)
//
// # The life of a load
//
// A load runs in a goroutine of its own, under a context of its own: the first
// caller's values, but nobody's end. Callers join and leave as they like; each
// leaves at once when its context ends. When the last has left, the load is
// canceled, with the cause [ErrAbandoned], and who comes then starts the next
// one: nobody joins a load that is being canceled.
//
// When a load ends, its value is stored first, then the key is released, then
// the callers are woken. So who asks finds the load or its value, never neither:
// of each key at most one load that can be joined is under way. Loads that were
// canceled, or that Forget, Invalidate or Put cut off, may unwind beside it;
// their results go to the callers that they still have, and are not stored.
//
// A load that panics or calls runtime.Goexit gives every caller a *[PanicError].
// An error comes with the zero value, whatever the load returned beside it.
//
// # Loads that need other loads
//
// A load may call its own Group or Cache, or another one, for another key. It must
// pass its own context, or one derived from it, to that call. Then it cannot wait
// for itself: a call for its own key, or for a key whose load waits for this one,
// returns [ErrCycle] at once. Nor can it wait for its own slot of
// [CacheOptions].MaxLoads: a load that waits for another load lends its slot to
// it, to one load at a time.
//
// # Old values
//
// While StaleWhileRevalidate lasts, callers get the old value, also if the loads in
// the background fail. While StaleIfError lasts, they get it if the load fails. In both windows a load that failed is repeated after ErrorTTL if its
// error is kept, else after one second. Without an old value, an error that is not
// kept is returned to the callers that waited for it, and the next caller starts a
// load.
//
// Nothing that was stored before a call of [Cache.InvalidateAll] is seen after it.
//
// # Concurrency
//
// All methods may be called from any goroutine at any time, and from a task of
// an event loop whose context carries its parker: a caller that waits sleeps
// through its context's parker (package wake), and in a goroutine that is
// durably blocking in the sense of testing/synctest. Time is that of package
// time, so expiry can be tested in a bubble.
//
// The return of a load happens before the return of every call that gets its
// result, and so does a Put that stored it.
//
// # What is held while your code runs
//
// Nothing. Loaders, LoadMany, OnLoad and the functions of [CacheOptions] may
// call the Group or Cache that calls them, for any key. TTLOf, ErrorTTLOf and
// Weigh run when the result of the load is known and not stored yet: a call for
// the same key returns that result. Each of them may panic or exit; that fails its
// own key and nothing else. OnLoad runs when the results of all keys of the load
// are stored and all callers woken.
//
// # Limits
//
//   - A key that is not equal to itself, such as NaN, is loaded each time and
//     never stored.
//   - A cache without bounds grows with its keys. Entries that have expired are
//     removed as others are stored, all at once when they may be half of what is
//     there.
//   - A load that passes another context than its own to a call can still wait for
//     itself, or for its own slot.
//   - If the context of such a call ends first, the load goes on, though its slot is
//     lent until the other load has ended: one more than MaxLoads runs meanwhile.
//   - If loads of two Caches with MaxLoads call the other Cache, slots are lent so
//     that none of them waits for ever; more than MaxLoads may run meanwhile.
//   - While a LoadMany runs, the keys that are put or invalidated are remembered.
//   - Keys that are gone are kept as in waitmap: of strings of 64 KiB none, of small
//     keys some dozens. A bounded Cache may keep a few large ones, too.
//   - The values of a load's context are the first caller's for as long as the
//     load runs, or its context is kept.
package dedup

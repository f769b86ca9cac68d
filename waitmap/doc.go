// Package waitmap provides a concurrent map whose keys can be awaited.
//
// It is sync.Map with types, and with methods that wait until a key is stored. A
// goroutine that gets in line for a key before it sends a request cannot miss the
// answer:
//
//	var answers waitmap.Map[int, string]
//
//	f := answers.Register(id, nil) // in line for id
//	defer f.Stop()                 // leaves the line if there was no answer
//	send(id)                       // another goroutine calls answers.Store(id, answer)
//	v, err := f.Wait(ctx)
//
// If there is nothing to send, one call is enough. It returns at once if the key is
// there, and otherwise waits until the key is stored or ctx ends:
//
//	v, err := answers.Wait(ctx, id)
//
// [Map.WaitNext] waits for the next store even if there is a value now, [Map.WaitFor]
// for a value that satisfies a predicate, and [Map.WaitCompute] for a value to change
// in place. [Map.Take] removes the value that it returns, so no other taker gets it.
// [Map.WaitAny] and [Map.WaitAll] wait for one or all of several keys, and [Map.Watch]
// follows the values of a key. [Map.Cancel] and [Map.Close] end waits with an error.
//
// [Map.OnStore] and [Map.OnTake] are waits as cases of await.Select, which waits for
// keys, locks and queues at the same time.
//
// # Semantics
//
// A store is a call that publishes a value: Store, Swap, a LoadOrStore or LoadOrCompute
// that stored, a CompareAndSwap that swapped, and a Compute or WaitCompute with
// StoreOp. A store hands its value to every waiter of the key. Of the takers, which wait
// in Take or OnTake, only the first one gets the value, and then the map does not keep it.
// A Select takes a value only for the case that happens; otherwise the next taker gets it.
// A waiter
// returns the value of the store that woke it, even if the key is deleted or
// overwritten the next moment. When a store returns, it has handed over its value.
//
// A key that only has waiters is not in the map: Load does not find it, and Len does
// not count it.
//
// # Concurrency
//
// All methods may be called from any goroutine, and from a task of an event loop whose
// context carries its parker. In the terminology of the Go memory model, a write happens
// before any read that observes its effect, as with sync.Map, and a store happens
// before the return of every wait that it releases.
//
// Load and a wait that finds its key take no lock and write no shared memory. A write
// locks the few slots near its key for some tens of nanoseconds; it and the reads of these
// slots do not wait for each other. The map consists of independent parts, see
// Options.Shards. While a part grows, calls that change it, get in line for one of its
// keys or iterate over it wait. Loads, and all calls for other parts, proceed.
//
// Blocking calls sleep through [wake.ParkerFrom] of their context. In a goroutine
// that is a channel receive, which is durably blocking in the sense of
// testing/synctest.
//
// # What is held while your code runs
//
//   - In Compute, LoadOrCompute and WaitCompute: the key, against other changes of it.
//     Loads of the key, waits that do not change it, and operations on other keys
//     proceed. The function may use the map for other keys. It must not change its own
//     key, and must not call Clear: that deadlocks, except in builds with the race
//     detector or the tag vigil_debug, where it panics. It must not wait for its own
//     key either. Two computations that use each other's keys deadlock, as two locks
//     do. If the function panics or calls runtime.Goexit, the key stays as it was and
//     is released.
//   - In the predicate of WaitFor, and in the body of a loop over All, Keys, Values,
//     Waiting, Watch or Range: nothing.
//   - In wakers: nothing. They run in the goroutine that stores, cancels, closes or
//     registers, before that call returns, so they must not block. If one panics or
//     calls runtime.Goexit, the others are called all the same.
//   - In Options.Hash: a part of the map while it grows, and otherwise nothing. Hash
//     must not use the map.
//
// # Errors
//
// A wait fails with an error that matches ctx.Err() and context.Cause(ctx), or with
// [ErrCanceled] and the cause passed to CancelCause, or with [ErrClosed]. Under a
// context that carries a parker it may also fail with an error of that parker's own. If
// the value was handed over before the context ended, the wait returns the value. A
// failed wait leaves nothing in the map. A nil context panics.
//
// # Limits
//
// A value of up to 8 bytes without pointers, and a value that is one pointer (also a
// map, a channel or a function), is stored in the map itself. Any other value is copied
// to the heap by each store. Otherwise a store allocates only if the map grows. A wait that
// sleeps uses the memory of an earlier wait if there is some, and otherwise allocates. A
// Future is one allocation, and so is a case of a Select, which can be used again. WaitAny,
// WaitAll and Watch allocate when they wait. A wait for a key that is there does not
// allocate.
//
//   - The key of a deleted entry is kept until the same key is stored again, or its part
//     of the map gets a new table: on growth, on Clear, or when most of the table is
//     empty. The deleted value is not kept.
//   - When the last entry of a part is deleted, the part drops its table and all keys in
//     it if these are strings that take as much memory as the table, or other keys that
//     may refer to memory and fill a quarter of the table. So an empty map keeps, for
//     each of its parts, less than 1.5 KB of strings, or at most 12 other keys that may
//     refer to memory.
//   - Len adds up counters: it is exact if there are no concurrent writes.
//   - Range, All, Keys, Values, Waiting and Clear do not act on a snapshot.
//   - A map does not shrink below a few slots per part, and does not reduce the number
//     of its parts.
//   - NaN keys behave as in a built-in map: each store adds an entry that no Load finds
//     and no Delete removes. Only Clear removes it.
package waitmap

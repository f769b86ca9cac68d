// Package waitmap is a concurrent map whose keys can be awaited.
//
// It is a sync.Map with types and one more verb: wait for a key until somebody
// stores it. Be in line before the question is sent, and the answer cannot come
// too early:
//
//	f := m.Register(id, nil) // 1. in line
//	defer f.Stop()           // 3. leave no trace, whatever happens
//	send(id)                 // 2. somebody will m.Store(id, answer)
//	v, err := f.Wait(ctx)
//
// If nothing has to happen in between, one call does it all. It returns at once
// if the key is there, and ends with its context:
//
//	v, err := m.Wait(ctx, key)
//
// [Map.WaitNext] waits for the next store even if there is a value now,
// [Map.WaitFor] for a value that satisfies a predicate, [Map.WaitCompute] for a
// value to change in place. [Map.Take] removes what it waited for: a key is a
// queue of one, and each value goes to exactly one taker. [Map.Cancel] and
// [Map.Close] release who waits, with an error.
//
// A store is every call that publishes: Store, Swap, a LoadOrStore or
// LoadOrCompute that stored, a CompareAndSwap that swapped, a Compute or
// WaitCompute that said [Set]. It hands its value to everybody in line: a
// waiter returns the value of the store that woke it, even if the key is
// deleted or overwritten the next moment. A key that is only waited for is not
// there: Load does not find it and Len does not count it.
//
// # Errors
//
// A wait fails with an error that matches ctx.Err() and context.Cause(ctx), or
// [ErrCanceled] and the cause that CancelCause was given, or [ErrClosed]. When
// the value and the end of the context race, the value wins if it was handed
// over. A wait that failed leaves nothing in the map. A nil context panics.
//
// # Concurrency
//
// All methods may be called from any goroutine at any time. In the terminology
// of the Go memory model, a write happens before any read that observes its
// effect, as with sync.Map; and a store happens before the return of every wait
// that it releases. When a store has returned, everybody who was in line has
// been served.
//
// Load, Range and a wait that finds its key take no lock and write no shared
// memory. A write locks the few slots that its key lies among, for some tens of
// nanoseconds; it is not held up by readers. A part of the map that grows, one
// of [Options].Shards, stops its own writers until it is done, and nobody else.
//
// Blocking calls sleep through [wake.ParkerFrom] of their context. In a
// goroutine that is a channel receive, durably blocking in the sense of
// testing/synctest.
//
// # What is held while your code runs
//
//   - Compute, LoadOrCompute, WaitCompute: the key, against other changes of it.
//     Loads and waits of the key go on, and so does everything about other keys.
//     The function may use the map for other keys. It must not wait, nor change
//     its own key: that deadlocks, and panics instead in builds with the race
//     detector or the tag vigil_debug. Two computations that each use the
//     other's key deadlock, as two locks do. If the function panics or calls
//     runtime.Goexit, the key stays as it was and is free.
//   - The predicate of WaitFor, and the body of a loop over All, Keys, Values,
//     Waiting or Range: nothing.
//   - Wakers: nothing. They run in the goroutine that stores, cancels or closes,
//     before that call returns, so they must not block.
//   - Options.Hash: when a part of the map grows, that part's writers wait for
//     it. It must not use the map.
//
// # Memory
//
// A value of up to 8 bytes without pointers, and a value that is one pointer
// (also a map, a channel or a function), lies in the map itself. Any other value
// is copied to the heap by each store, which is its one allocation. A wait that
// has to sleep allocates its place in line and its channel; a Future is one
// allocation. A wait on a key that is there allocates nothing.
//
// # Limits
//
//   - The key of a deleted entry is kept until the same key returns or its part
//     of the map moves to its next table: on growth, on Clear, or when most of it
//     is empty. A part that is empty gives up its table if the strings of such
//     keys take as much memory as the table, or, for other keys that may hold
//     memory, if they are a quarter of it. So an empty map keeps less than 1.5 KB of
//     strings, or at most 12 other keys, for each of its parts: of 5000 keys of 64
//     KiB that were stored and taken none, of 1 KiB at most 16 on two processors.
//     The value is let go at once.
//   - Len adds up counters: it is exact while nobody writes.
//   - Range, All, Keys, Values and Waiting are not snapshots.
//   - A map never shrinks below a few slots per part, nor gives up a part.
//   - NaN keys behave as in a built-in map: each store adds an entry that no Load
//     finds and no Delete removes; only Clear does.
package waitmap

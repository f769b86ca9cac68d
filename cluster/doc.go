// Package cluster provides an awaitable map that several machines share.
//
// It is package waitmap over an engine that keeps the values, NATS JetStream unless another
// one is given. A value that one machine stores wakes the waiters of all:
//
//	bucket, err := cluster.Open(ctx, &cluster.Options{Addresses: []string{"nats://10.0.0.1"}})
//	if err != nil {
//		return err
//	}
//	defer bucket.Close()
//	jobs, err := cluster.NewMap[Job](bucket, nil)
//	if err != nil {
//		return err
//	}
//
//	rev, err := jobs.Store(ctx, "job 7", job) // on one machine
//	job, err := jobs.Take(ctx, "job 7")       // on another one: each value goes to one taker
//
// A [Group] loads what is expensive once for all machines:
//
//	page, err := pages.Do(ctx, url, func(ctx context.Context) (Page, error) { return fetch(ctx, url) })
//
// A [Cache] also keeps the result, for all machines, until one of them stores or invalidates it:
//
//	users, err := cluster.NewCache(bucket, loadUser, &cluster.CacheOptions[User]{TTL: time.Hour})
//	user, err := users.Get(ctx, id)
//	err = users.Invalidate(ctx, id) // on any machine
//
// A [Mutex] is held by one goroutine of all machines at a time, and so is each permit of a
// [Semaphore]:
//
//	fence, err := migration.Lock(ctx)
//	if err != nil {
//		return err
//	}
//	defer migration.Unlock(ctx)
//	migrate(migration.Context(), fence) // the context ends when the Mutex is lost
//
// A [Notify] wakes waiters on all machines.
//
// Addresses are those of NATS servers with JetStream. To try the package without one, set
// [Options.Dir] instead: then Open starts a server in the process, which keeps the values in that
// directory. No other process can use it.
//
// The module cluster/engine/etcdengine has an engine for servers of etcd. Choose it if fences
// must survive that all servers lose power at once: etcd syncs each write to most of its disks
// before it acknowledges it, and a NATS cluster does so only if it is configured to.
//
// # How it works
//
// A [Bucket] holds all keys and their history: all writes, in one order, each with a
// revision. A write goes to the engine, which decides. One watcher for each Bucket follows the
// history and applies it to a waitmap.Map in this process. Reads and waits use only that map:
// they send nothing, and a wait costs what it costs in package waitmap, in a goroutine or
// in a task of an event loop. While the engine cannot be reached, reads go on, and writes wait
// until their context ends.
//
// # What a read may see
//
// A process sees the bucket as it was at some revision, and that revision never goes
// back. So:
//
//   - The values of a key are seen in the order of their revisions. Values that were
//     overwritten at once may be skipped, but not the last one.
//   - A process that has seen a write has seen all earlier writes of the bucket, of all keys
//     and all Maps. If one machine stores the data and then a flag, another one that sees
//     the flag finds the data, or newer data.
//   - A process sees its own writes: what a write returned, later reads of the
//     same process find, or what has replaced it. So they do after a failed
//     CompareAndSwap, or a LoadOrStore that loaded.
//   - Another process may not have seen it yet. [Bucket.Sync] waits until the process has
//     seen all that was written before the call, by anybody. If several servers have the
//     bucket, it costs a write, which calls at the same time share.
//
// Writes are linearizable for each key, and a read after a Sync is, too. All reads and
// writes are sequentially consistent. An iteration over a Map is not a snapshot.
//
// There is one exception. If the context of a write ends when the engine has acknowledged the
// write and the process has not seen it, the write returns without an error, and reads find
// it a moment later.
//
// In the terminology of the Go memory model, a write on one machine happens before every
// read or wait on any machine that returns its value, and before the return of each Sync that is
// called after the write has returned.
//
// # When the outcome of a write is unknown
//
// The engine finds out whether a write was applied if its answer is lost. Where it cannot,
// the error matches [ErrUnknown]: the write may have been applied, or may still be, once at
// most. That is so if the context ends while the answer is missing, if the Bucket is
// closed meanwhile, if the bucket was made anew, and in the cases that the package of the
// engine lists. Any other error means that nothing was written.
//
// # When the history is lost
//
// If the watcher has missed something that the engine has forgotten, or the bucket was emptied
// or made anew, everything is read anew. Then keys that are gone are deleted, and
// waiters of keys that are there now return. All of that is seen at once, and waits go on.
//
// # What is held while your code runs
//
// In the predicate of WaitFor, a loader, the functions of [CacheOptions] and the body of a
// loop: nothing. A waker that is passed to
// Register, and the Decode of the Codec of a Map, run in the goroutine that applies the history.
// Nothing is locked, but nobody sees newer writes before they return. So they must not block, and
// must not write to the Bucket. A Decode that panics is treated as one that fails, and a
// waker that panics ends the program.
//
// # What goes on
//
// [Bucket.Stats] tells how far this process is behind the bucket, [Bucket.Leases] who holds what, and
// [Bucket.Waiting] what is awaited here. Package clusterdebug shows that on the page of package
// vigildebug. The command clusterdemo shows what happens while machines fail.
//
// # Limits
//
// A process holds the keys and values of all of a bucket in memory, and is told of each
// write. docs/scale.md says how many writes and processes that allows, and what to do beyond.
// Names of Maps, Groups and so on contain no NUL. Each name takes some memory in all processes
// until they end, so what comes and goes should have a key, not a name of its own. A store of a
// value that another process cannot decode is logged there, and the key counts as absent.
package cluster

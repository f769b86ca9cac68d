// Package vigildebug shows what waits in a running program: as a web page, as JSON, and
// as a Go value.
//
//	http.Handle("/debug/vigil/", vigildebug.Handler())
//	defer vigildebug.Map("answers", m)()   // m is a *waitmap.Map
//	defer vigildebug.Cache("pages", c)()   // c is a *dedup.Cache
//
// [Map], [Group], [Cache], [Notify], [WaitGroup], [Mutex], [RWMutex], [Semaphore], [Queue]
// and [Loop] register an object under a name, and return a function that unregisters it.
// They use the default [Registry] unless the option [In] names another one. The loops of
// a uringwake.Runtime are registered one by one. [Register] is for objects of other
// packages; package clusterdebug uses it for the buckets of package cluster.
//
// For each registered object the page shows its metrics; for a map the awaited keys, with
// the number of waiters and the time since which the oldest waits; for a group and a cache
// the same for the loads in flight; for a Mutex that records its holders
// (await.Mutex.RecordHolder) the function that holds it, and since when; and plots of how
// the metrics changed.
//
// # Security
//
// The page asks for no credentials and tells names, counts, times, and the functions that
// hold locks. Serve it on a
// listener that only operators can reach, as with net/http/pprof.
//
// Keys may be secrets, so they are shown as hashes unless the object was registered with
// [ShowKeys]. The hash depends on a random secret of the process, so guesses cannot be
// hashed and compared in another process. A client that can read the page and also make
// the program wait for keys that it chooses can compare hashes there. Equal keys of one
// type have the same hash in all objects, until the process ends. Values are never shown.
//
// The handler answers GET and HEAD only, and changes nothing. It tells browsers to store
// nothing, and to load nothing from other hosts. The page is complete without its script,
// which only refreshes it.
//
// # History
//
// Each [Registry.Snapshot] is a sample for the plots. For each object at most one sample a
// second is kept, and only the last 300. An open page takes one every two seconds. Counters
// only grow, so the plots show the average rate between two samples, and no event is
// missed. The package has no goroutine of its own: a program that wants a history before
// a page is opened calls Snapshot at each tick of a time.Ticker.
//
// # JSON
//
// The path "json" next to the page, or the query "?format=json", returns a [Snapshot].
// These names will not change:
//
//	time                 when the snapshot was taken
//	things[]             the objects, grouped by kind, sorted by name
//	  kind               map, group, cache, notify, waitgroup, mutex, rwmutex, semaphore,
//	                     queue or loop, or one that was passed to Register
//	  name               the name under which it is registered
//	  metrics            an object, from the name of a metric to its value
//	  waits[]            awaited keys or loads in flight, the oldest first, at most 100
//	    key              the hash of the key: #, and 12 hexadecimal digits; or its text
//	    waiters          the number of waiters
//	    since            when the oldest waiter came, or the load started
//	    in               the part of the object that has the key; absent if it has no parts
//	  more_waits         the number of keys that waits leaves out
//	  history
//	    times[]          the times of the samples, the oldest first
//	    values           an object, from the name of a metric to an array as long as times
//	  holder             the holder of a mutex; absent if that is not known
//	    func             the function that got the lock; empty if it is not known
//	    file             the name of its file, without folders
//	    line             the line of its call
//	    since            when it got the lock
//	  facts              an object, from a name to a text; absent if there are none, as in
//	                     all kinds of this package; so are the leases
//	  leases[]           the oldest first, at most 100
//	    in, key          as in waits
//	    holder           who has it
//	    ours             whether this process has it
//	    fence            a number that is larger than those of all holders before
//	    since            when it was seen first
//	  more_leases        the number of leases that leases leaves out
//	  error              why the object could not be read; absent if it could
//
// These are the metrics of each kind; a + marks a counter:
//
//	map        entries awaited_keys waiters oldest_wait_seconds
//	group      flights waiters oldest_flight_seconds
//	cache      hits+ misses+ coalesced+ loads+ load_errors+ load_seconds+ stale+
//	           evictions+ entries in_flight waiters oldest_flight_seconds
//	notify     waiters
//	waitgroup  pending
//	mutex      locked waiters held_seconds
//	rwmutex    locked readers waiters
//	semaphore  limit held waiters
//	queue      entries capacity putters takers
//	loop       tasks in_flight turns+ resumes+ mail+ sleeps+ spins+ spin_hits+
//	           enters+ doorbells+ submitted+ completed+
//
// # Concurrency
//
// All functions and methods may be called from any goroutine. No lock is held while an
// object is read or an answer is written. A Snapshot reads the objects in another
// goroutine, which ends before the Snapshot is returned.
//
// # Errors
//
// If a method of an object panics or calls runtime.Goexit while it is read, the Snapshot
// has an error in its place, and the other objects are read all the same. If the String
// method of a key does that, only the text of this key is replaced.
//
// # Limits
//
// The numbers of a busy object may belong to slightly different moments. Reading a map
// takes time in proportion to the number of awaited keys. It needs memory for 100 of them
// and for those of one part of the map.
package vigildebug

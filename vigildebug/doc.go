// Package vigildebug is a window into who waits: a page, the same as JSON, and
// the numbers behind both.
//
//	http.Handle("/debug/vigil/", vigildebug.Handler())
//	defer vigildebug.Map("answers", m)()   // a waitmap.Map
//	defer vigildebug.Cache("pages", c)()   // a dedup.Cache
//
// For each thing that is registered it shows who waits on what and since when,
// the oldest first; the loads under way; hit and coalescing rates over time;
// a loop's turns, sleeps and doorbells. [Map], [Group], [Cache], [Notify],
// [WaitGroup] and [Loop] register a thing under a name, with the default
// [Registry] unless [In] says otherwise, and return what unregisters it.
// The loops of a uringwake.Runtime are registered one by one.
//
// # Who may see it
//
// The page belongs on a listener that only its operators reach, like that of
// net/http/pprof: it tells names, counts and times to whoever asks.
//
// Keys may hold secrets. They are shown as a hash unless the thing was
// registered with [ShowKeys]. The hash is keyed with random bytes of this
// process, so that a list of guesses cannot be hashed and compared elsewhere;
// who can read the page and also make the program wait for keys of their choice
// can still compare. A key of one type has the same hash everywhere as long as
// the process lives. Values are never shown.
//
// The handler answers GET and HEAD, changes nothing, asks browsers to store
// nothing, and allows the page its own script and style and no other host. The
// page reads well without the script, which only refreshes it.
//
// # History
//
// There is no goroutine behind this package. Each [Registry.Snapshot] is a
// sample, at most one a second is kept, and the last 300 of them are what the
// plots show: an open page makes one every two seconds. The numbers only grow,
// so what lies between two looks is averaged, not lost. A program that wants
// a history before anybody looks calls Snapshot from a ticker of its own.
//
// # JSON
//
// The path "json" below the page's, or "?format=json", gives [Snapshot]. These
// names stay:
//
//	time                 when it was taken
//	things[]             those of a kind together, by name
//	  kind               map, group, cache, notify, waitgroup or loop
//	  name               as registered
//	  metrics            numbers by name; see the table
//	  waits[]            the oldest first, at most 100
//	    key              or its hash: #, and 12 hexadecimal digits
//	    waiters          how many
//	    since            since when the oldest of them waits, or the load runs
//	  more_waits         how many keys are left out of waits
//	  history
//	    times[]          the samples' times, the oldest first
//	    values           by metric, a list as long as times
//	  error              why the thing could not be read; left out if it could
//
// The metrics, counters with a +, are
//
//	map        entries awaited_keys waiters oldest_wait_seconds
//	group      flights waiters oldest_flight_seconds
//	cache      hits+ misses+ coalesced+ loads+ load_errors+ load_seconds+ stale+
//	           evictions+ entries in_flight waiters oldest_flight_seconds
//	notify     waiters
//	waitgroup  pending
//	loop       tasks in_flight turns+ resumes+ mail+ sleeps+ spins+ spin_hits+
//	           enters+ rings+ submitted+ completed+
//
// # Concurrency
//
// Everything may be called from any goroutine at any time. No lock is held
// while a thing is read, nor while an answer is written. Things are read in a
// goroutine of its own, which ends before the Snapshot is returned. A thing
// whose methods panic or call runtime.Goexit is shown with that and nothing else,
// and takes neither the page nor the other things along; a key whose String
// method does so spoils its own text only. What is read of a thing
// is as consistent as its own methods are: of a busy one the numbers may belong
// to moments that lie a little apart. Reading a map takes time in proportion to
// the keys that are waited for, with memory for at most 100 of them at once and
// those of one part of the map.
package vigildebug

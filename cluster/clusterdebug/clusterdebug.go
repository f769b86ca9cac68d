// Package clusterdebug shows buckets of package cluster on the page of package vigildebug.
//
//	http.Handle("/debug/vigil/", vigildebug.Handler())
//	defer clusterdebug.Bucket("jobs", bucket)() // bucket is a *cluster.Bucket
//
// The page shows how far this process is behind the bucket; the leases of all processes, with their
// holders; and what is awaited in this process. It has the 100 oldest leases and the 100 oldest
// waits, and the numbers of all. Keys are shown as hashes, unless the option
// vigildebug.ShowKeys is given. The names of Maps, Groups and so on are shown.
//
// # Metrics
//
// The kind of the object is bucket, and these are its metrics; a + marks a counter:
//
//	lag_revisions        revisions that the bucket has and this process has not seen; 0 if
//	                     the engine does not answer
//	reachable            1 if the engine answers, else 0
//	last_event_seconds   time since this process last saw a new revision
//	revision+            up to which this process has seen the bucket; it falls when the
//	                     bucket is made anew
//	keys                 of the whole bucket
//	maps groups caches mutexes semaphores notifies   that this process uses
//	leases own_leases    of all processes, and of this one
//	awaited_keys waiters oldest_wait_seconds   in this process
//
// Its facts are "history", the identity of the history, and "engine": "answers", or the error.
//
// # Cost
//
// Each Snapshot asks the engine for its newest revision, and waits at most half a second for the
// answer. If several servers have the bucket, that may cost a write, of which all processes are told;
// so many processes should not be asked too often. A Snapshot takes time in proportion to the number
// of awaited keys and of the keys of all but Maps.
package clusterdebug

import (
	"context"
	"time"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/vigildebug"
)

// patience is how long a Snapshot waits for the engine.
const patience = 500 * time.Millisecond

// Bucket registers b under the name, until unregister is called, as vigildebug.Map
// registers a map. A nil b panics.
func Bucket(name string, b *cluster.Bucket, opts ...vigildebug.Option) (unregister func()) {
	if b == nil {
		panic("clusterdebug: nil Bucket")
	}
	return vigildebug.Register("bucket", name, func(d *vigildebug.Description) { describe(d, b) }, opts...)
}

func describe(d *vigildebug.Description, b *cluster.Bucket) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s := b.Stats(ctx)
	reachable, engine := 1.0, "answers"
	if s.Err != nil {
		reachable, engine = 0, s.Err.Error()
	}
	d.Fact("history", s.History)
	d.Fact("engine", engine)
	d.Gauge("lag_revisions", float64(s.Lag), "Revisions that this process has not seen.")
	d.Gauge("reachable", reachable, "1 if the engine answers, else 0.")
	d.Gauge("last_event_seconds", age(s.LastEvent), "Time since this process last saw a new revision.")
	d.Counter("revision", float64(s.Revision), "The newest revision that this process has seen.")
	d.Gauge("keys", float64(s.Keys), "Keys of the bucket.")
	d.Gauge("maps", float64(s.Maps), "Maps that this process uses.")
	d.Gauge("groups", float64(s.Groups), "Groups that this process uses.")
	d.Gauge("caches", float64(s.Caches), "Caches that this process uses.")
	d.Gauge("mutexes", float64(s.Mutexes), "Mutexes that this process uses.")
	d.Gauge("semaphores", float64(s.Semaphores), "Semaphores that this process uses.")
	d.Gauge("notifies", float64(s.Notifies), "Notifies that this process uses.")
	leases(d, b)
	waits(d, b)
	d.Plot("Revisions not seen", "lag_revisions")
	d.Plot("Revisions per second", "revision")
	d.Plot("Leases and waiters", "leases", "own_leases", "waiters")
}

func leases(d *vigildebug.Description, b *cluster.Bucket) {
	all, own := 0.0, 0.0
	for l := range b.Leases() {
		all++
		if l.Ours {
			own++
		}
		d.Lease(vigildebug.Lease{In: part(l.Kind, l.Name), Key: l.Key, Holder: l.Holder, Ours: l.Ours, Fence: l.Fence, Since: l.Since})
	}
	d.Gauge("leases", all, "Leases of all processes.")
	d.Gauge("own_leases", own, "Leases of this process.")
}

func waits(d *vigildebug.Description, b *cluster.Bucket) {
	keys, waiters, oldest := 0.0, 0.0, 0.0
	for w := range b.Waiting() {
		keys++
		waiters += float64(w.Waiters)
		oldest = max(oldest, age(w.Oldest))
		d.Wait(vigildebug.Wait{In: part(w.Kind, w.Name), Key: w.Key, Waiters: w.Waiters, Since: w.Oldest})
	}
	d.Gauge("awaited_keys", keys, "Keys that have waiters in this process.")
	d.Gauge("waiters", waiters, "Waiters of all keys in this process.")
	d.Gauge("oldest_wait_seconds", oldest, "Duration of the oldest wait in this process.")
}

// part names a Map, a Group and so on.
func part(kind, name string) string {
	if name == "" {
		return kind
	}
	return kind + " " + name
}

// age returns how long ago t is, in seconds; zero if t is not known.
func age(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(0, time.Since(t).Seconds())
}

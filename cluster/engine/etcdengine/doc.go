// Package etcdengine keeps a bucket of package cluster in etcd.
//
// It is for fences that must not be used again whatever happens: etcd acknowledges a write
// when most of its servers have it on their disks, so that the revision of a lease survives a
// power loss of all of them at once. It is a client only, of servers that are there already,
// version 3.4 or later (the tests have passed with 3.4.23 and 3.7.3):
//
//	e, err := etcdengine.Open(ctx, &etcdengine.Options{Bucket: "jobs", Addresses: []string{"http://10.0.0.1:2379"}})
//	if err != nil {
//		return err
//	}
//	bucket, err := cluster.Open(ctx, &cluster.Options{Engine: e})
//
// # The bucket
//
// A bucket is the keys with a prefix, [Options.Prefix] and the name of the bucket. What the Maps
// and Groups of package cluster call a key follows "k/". A value begins with the id of
// the write that put it; one that somebody else has put is taken as it is. A revision is that of
// etcd, which other buckets and other users of etcd have a part in.
//
// The key "history" has a random number. That number and the id of the etcd cluster are
// the identity of the history: if somebody deletes the prefix, or makes the cluster anew, the key is
// gone, and the next that looks writes another one. Each write has the condition that the history
// is still the one that the Engine knows.
//
// # Writes
//
// Each write is a transaction with a random id, and is sent once. If its answer is lost,
// the Engine looks at the key. If that has the id, the write was applied. Otherwise the Engine
// writes the id to a key below "x/", which goes after an hour. All transactions have the condition
// that there is no such key, so the write is not applied from then on. What was written to the
// bucket meanwhile tells whether it has been; if not, it is sent again with another id.
//
// So the outcome of a write is unknown only if its answer is lost and ctx ends, the Engine is
// closed, or the bucket is emptied or made anew before the Engine could ask; if etcd is told
// to compact what was written meanwhile; or if the user may not do what the Engine asks. Then
// the error matches engine.ErrUnknown.
//
// A value with a TTL has a lease of its own, which is revoked when another value with a TTL
// replaces it, and otherwise ends by itself. The lease is made before the value is written, and counts from then. etcd lengthens
// short TTLs to one and a half of its election timeout, two seconds as it is usually configured,
// and all of them when it elects another leader.
//
// # Watches
//
// A Watch reads the history by a stream of its own, and makes another one when that is lost. It
// tells everything anew for three causes: the history has another identity; it is shorter than
// what was told, and then the Watch gives it another identity, so that everybody notices;
// or what would come next was compacted. So compact a history that is not older than watches are
// cut off, say, by etcd's --auto-compaction-retention=1h.
//
// etcd tells nothing when others write outside of the bucket. If the Watch is to get to a revision
// of such a write, because somebody calls Position, it writes to the key "note".
//
// # Limits
//
// A key has at most 64 KiB. etcd refuses requests of more than 1.5 MiB (--max-request-bytes), and
// a client those of more than 2 MiB (its MaxCallSendMsgSize). A TTL is at most 100 years: a
// longer one counts as that.
//
// If others than engines write several keys in one transaction, these have the same revision. If
// they give a key a lease, Write does not revoke it.
//
// If etcd is restored from a snapshot under the same cluster id, and more has been written since
// than was lost, a Watch that was cut off meanwhile does not notice. Restore it with
// --bump-revision and --mark-compacted, or delete the key "history" after it.
//
// Servers up to 3.5.17 may leave out a deletion if they compact just to its revision while a Watch
// is behind (etcd-io/etcd#18089 and #19179).
package etcdengine

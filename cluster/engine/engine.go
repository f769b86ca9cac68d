// Package engine is the contract between package cluster and the store that keeps a
// bucket for several machines. Package natsengine implements it over NATS JetStream, and
// package etcdengine over etcd. Package enginetest tests an implementation.
//
// # A bucket
//
// A bucket is a map of keys to values, and its history: all writes, in one order. Each write
// has a revision, a number that is larger than those of all writes before it. A put sets the
// value of a key, and a deletion removes it. A value that was put with a TTL is deleted
// by the engine when the TTL is over; that is a write, too.
//
// The history has an identity, a string that is never used again. A bucket that
// was emptied behind the engine's back, made anew or restored has another history, in
// which revisions begin anywhere.
//
// # What is told
//
// Watch tells what was written, in the order of revisions, as [Event] values. A watcher that
// has applied all events up to a Synced event has the state that the bucket had at the
// revision of that event. Between events of kind Put and Delete, too, it has the state that
// the bucket had at the revision of the last event, except from a Reset or Skipped event
// to the next Synced event:
//
//   - After Reset, the whole bucket is told anew, as if it were empty before. Keys that are
//     not told before the next Synced are not in the bucket any more.
//   - After Skipped, some writes are left out because newer writes of the same keys are
//     told before the next Synced.
package engine

import (
	"context"
	"time"
)

// An Engine gives access to one bucket. Its methods may be called from any goroutine.
//
// A method fails with an error that matches ctx.Err() and context.Cause(ctx) if ctx ends
// first, and with [ErrClosed] if the Engine is closed. While the store cannot be reached,
// methods wait. A nil context panics.
type Engine interface {
	// Get returns the entry of key. It reports false if there is none; then the Revision
	// is that of the deletion, or zero if there is no trace of one. What it returns was so
	// at some moment at which the bucket had the revision min or a later one. Without a
	// later write, a second Get may not return an older state than the first.
	Get(ctx context.Context, key string, min uint64) (e Entry, ok bool, err error)

	// Write applies w, and returns its revision. It applies w at most once. When it
	// returns nil, w is stored as safely as the store can. Otherwise the error
	// matches
	//
	//   - [ErrConflict] if the key was not as w expects. The error is a
	//     *[ConflictError], and w was not applied.
	//   - [ErrUnknown] if nobody can tell whether w was, or will be, applied, as when
	//     ctx ends while the answer of the store is missing.
	//   - [ErrNoTTL] if w has a TTL and the bucket cannot have any. w was not applied.
	//
	// If it matches none of these, w was not applied and will not be.
	Write(ctx context.Context, w Write) (revision uint64, err error)

	// Watch calls tell with each event after from, one after the other, in the goroutine
	// that called Watch, until ctx ends or the Engine is closed. It finds out by itself
	// when events may have got lost, and makes good for them.
	//
	// If from names the history of the bucket, and nothing that was written after it has been
	// forgotten, the first events are those after from. Otherwise, and if from is the zero
	// Position, the first event is a Reset. In both cases a Synced event follows when all
	// that was in the bucket when Watch was called has been told, also if there is nothing
	// to tell.
	//
	// If tell panics or calls runtime.Goexit, Watch leaves nothing behind. There is at most
	// one call of Watch at a time.
	Watch(ctx context.Context, from Position, tell func(Event)) error

	// Position returns the newest revision, and the identity of the history. It asks for
	// them: a write that has returned before the call is counted. If there is a Watch, it
	// tells an event with that revision or a later one before long, even if the write of
	// that revision has been forgotten.
	Position(ctx context.Context) (Position, error)

	// Close ends all calls and releases what the Engine has. It does not change the
	// bucket. It is called once.
	Close() error
}

// An Entry is the value of a key, and the revision of the write that put it.
type Entry struct {
	Value    []byte
	Revision uint64
}

// A Position is a moment in the history of a bucket: after the write of that revision. The
// zero Position is before all histories.
type Position struct {
	History  string
	Revision uint64
}

// A Write is a change of one key. The zero value, with a key, puts an empty value if
// the key is absent.
type Write struct {
	Key    string
	Value  []byte // of a put
	Delete bool   // delete the key instead of putting Value

	// Expected is the revision that the entry of Key must have, one of a put. Zero means
	// that the key must be absent, deleted or never written; it is not allowed for a
	// deletion.
	Expected uint64
	// Unconditional means that Expected does not matter.
	Unconditional bool

	// TTL is the time after which the engine deletes what was put. Zero means never. It
	// is rounded up to whole seconds, or to the least that the store can do. A deletion must
	// not have one.
	TTL time.Duration
}

// A Kind is the kind of an [Event].
type Kind int

// The kinds of events.
const (
	Put     Kind = iota + 1 // Key has Value since Revision
	Delete                  // Key is absent since Revision
	Synced                  // all writes up to Revision have been told
	Reset                   // the bucket is told anew, in the history of that identity
	Skipped                 // writes are left out, see the package's documentation
)

// An Event is one thing that Watch tells. Value must not be changed.
type Event struct {
	Kind     Kind
	Key      string
	Value    []byte
	Revision uint64 // of Put, Delete and Synced
	History  string // of Reset
}

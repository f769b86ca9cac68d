package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/cluster/engine/natsengine"
	"github.com/vigil-go/vigil/waitgroup"
)

// giveBackTime is how long Close waits for leases to be deleted.
const giveBackTime = 3 * time.Second

// A Bucket is what several machines share: the keys and values of all Maps, Groups and so on, and
// their history. [Open] returns one. Its methods may be called from any goroutine.
type Bucket struct {
	engine engine.Engine
	server *natsengine.Server // nil, or started by Open
	log    *slog.Logger
	cancel context.CancelFunc // ends the goroutine that follows the history
	done   chan struct{}      // closed when it has ended

	closing sync.Once

	leases waitgroup.Group // those that may be in the bucket, and are not over; and each undo of orUndo

	seen revisions // how far the history was applied
	gate gate      // closed while changes are applied that must be seen at once

	mu     sync.Mutex // guards what follows
	spaces map[string]*space
	closed bool

	follower // only for the goroutine that follows the history
}

// Open opens a bucket, and makes it if it does not exist. It returns when this process has
// seen all that was written to the bucket before the call. If ctx ends first, it returns
// an error that matches ctx.Err() and context.Cause(ctx).
func Open(ctx context.Context, o *Options) (opened *Bucket, err error) {
	mustContext(ctx)
	if o == nil {
		o = new(Options)
	}
	e, server, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	b := &Bucket{engine: e, server: server, log: o.Logger, done: make(chan struct{}), spaces: make(map[string]*space)}
	if b.log == nil {
		b.log = slog.Default()
	}
	followCtx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go b.follow(followCtx)
	defer func() {
		if opened == nil {
			err = errors.Join(err, b.Close()) // also if a parker ends the goroutine
		}
	}()
	if err = b.Sync(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// Sync waits until this process has seen all that was written before the call, by any
// process. If ctx ends first, it returns an error that matches ctx.Err() and
// context.Cause(ctx). After Close it returns [ErrClosed].
func (b *Bucket) Sync(ctx context.Context) error {
	mustContext(ctx)
	for {
		before, name := b.seen.load()
		p, err := offload(ctx, b.engine.Position)
		if err != nil {
			return asClosed(err)
		}
		at := instant{before.history, p.Revision}
		if name != p.History {
			at.history++ // or a later one, and then the wait fails
		}
		if err := b.seen.wait(ctx, at); err != errNewHistory {
			return err
		}
	}
}

// Close ends the use of the bucket by this process. Waits that sleep, and later ones that
// would, end with [ErrClosed]. So do writes; the error of one that was under way also
// matches [ErrUnknown] if it may have been applied. Reads go on, with what was seen last.
// Close returns nil when called again.
//
// The leases of Groups, Caches, Mutexes and Semaphores that this process holds are given back: first
// the contexts of their holders end, and then the leases are deleted, so that others need not
// wait for the TTL. Close waits for that, but no longer than 3 s: if the engine cannot be
// reached, the leases end by themselves. Nothing else in the bucket changes.
//
// Close must not be called by a waker or a Codec: it waits until these have returned. It may be
// called by a load, or by the holder of a lease. In a task of an event loop it blocks the loop.
func (b *Bucket) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	var err error
	b.closing.Do(func() {
		defer func() { // also if a parker ends the goroutine
			b.cancel()
			err = b.engine.Close()
			<-b.done
			if b.server != nil {
				err = errors.Join(err, b.server.Close())
			}
		}()
		b.giveBack()
	})
	return err
}

// giveBack ends the calls that use leases, and waits until the leases are deleted.
func (b *Bucket) giveBack() {
	b.mu.Lock()
	var all []func()
	for _, s := range b.spaces {
		if r, ok := s.sink.(*records); ok {
			all = append(all, r.end)
		}
	}
	b.mu.Unlock()
	callAll(all)
	ctx, cancel := context.WithTimeout(context.Background(), giveBackTime)
	defer cancel()
	_ = b.leases.Wait(ctx) // those that are left end by themselves
}

// end ends all waits.
func (b *Bucket) end() {
	b.mu.Lock()
	b.closed = true
	var sinks []func()
	for _, s := range b.spaces {
		if s.sink != nil {
			sinks = append(sinks, s.sink.end)
		}
	}
	b.mu.Unlock()
	callAll(append(sinks, b.seen.close))
}

func (b *Bucket) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// write makes a write, and waits until this process has seen it. If the write is refused
// because the key is not as expected, it waits until the process has seen why.
func (b *Bucket) write(ctx context.Context, w engine.Write) (revision uint64, err error) {
	mustContext(ctx)
	if b.isClosed() {
		return 0, ErrClosed
	}
	return b.writeAlways(ctx, w)
}

// writeAlways is write also while the Bucket is being closed.
func (b *Bucket) writeAlways(ctx context.Context, w engine.Write) (revision uint64, err error) {
	before, _ := b.seen.load()
	revision, err = offload(ctx, func(ctx context.Context) (uint64, error) { return b.engine.Write(ctx, w) })
	if conflict := new(engine.ConflictError); errors.As(err, &conflict) {
		if waitErr := b.seen.wait(ctx, instant{before.history, conflict.Revision}); waitErr != nil && waitErr != errNewHistory {
			return 0, waitErr
		}
	}
	if err != nil {
		return 0, asClosed(err)
	}
	at := instant{before.history, revision}
	if revision <= before.revision { // not a revision of the history that was seen before
		at.history++
	}
	if err := b.seen.wait(ctx, at); err == errNewHistory {
		return 0, fmt.Errorf("%w: %w after the write of %q", ErrUnknown, err, w.Key)
	}
	return revision, nil // also if the wait failed: the write did not
}

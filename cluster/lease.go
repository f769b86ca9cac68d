package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/cluster/engine"
)

// A lease is one that this process holds, or has tried to get. Its fields belong to the
// caller of acquire, and while keep runs to the goroutine of that, but for lost. From acquire
// on, Bucket.leases counts it until it is over.
type lease struct {
	*records
	key   string
	name  id
	ttl   time.Duration
	fence uint64 // the revision at which the lease was taken

	revision uint64    // of the last write of it
	until    time.Time // it does not end before that
	over     bool      // it was replaced or deleted, or is left to its end
	lost     atomic.Bool
	wrote    chan struct{} // closed when the first write of it is over
}

func (r *records) newLease(key string, ttl time.Duration) *lease {
	return &lease{records: r, key: key, name: newID(), ttl: ttl, wrote: make(chan struct{})}
}

// drop notes that the lease is over.
func (l *lease) drop() {
	if !l.over {
		l.over = true
		l.b.leases.Done()
	}
}

// Attempts counts the leases of a call that were of no use.
type attempts int

// maxAttempts is how many there may be.
const maxAttempts = 5

// failed counts a lease, and returns an error if it was the last one.
func (a *attempts) failed() error {
	if *a++; *a < maxAttempts {
		return nil
	}
	return fmt.Errorf("%w %d times before it was of use: the engine may be too slow for the TTL", ErrLeaseLost, *a)
}

// write puts the lease in place of the entry that has a revision, zero if there is none.
func (l *lease) write(ctx context.Context, expected uint64) error {
	r := record{state: leased, holder: l.holder, name: l.name, fence: l.fence}
	begun := time.Now() // the engine counts from when it has the write
	revision, err := l.b.write(ctx, engine.Write{Key: l.prefix + l.key, Value: r.encode(), Expected: expected, TTL: l.ttl})
	if err == nil {
		l.revision, l.until = revision, begun.Add(l.ttl)
	}
	return err
}

// writeFirst is write for the first time. If a parker fails, it returns before the write is over.
func (l *lease) writeFirst(ctx context.Context, expected uint64) error {
	return l.b.offloadOr(ctx, func(ctx context.Context) error {
		defer close(l.wrote)
		return l.write(ctx, expected)
	}, func() { close(l.wrote) })
}

// hasWritten reports whether the first write is over.
func (l *lease) hasWritten() bool {
	select {
	case <-l.wrote:
		return true
	default:
		return false
	}
}

// acquire tries to put the lease in place of what was seen, and reports whether it did, and
// may rely on that. It returns false without an error if it may be tried again: another one
// was faster, or the attempt was of no use.
func (l *lease) acquire(ctx context.Context, seen record, a *attempts) (held bool, err error) {
	l.b.leases.Add(1)
	there := true // or may be
	defer func() {
		switch {
		case held:
		case there: // also if a parker has ended the goroutine
			go l.release()
		default:
			l.drop()
		}
	}()
	expected := seen.at.revision
	if seen.state == none {
		expected = 0
	}
	begun := time.Now()
	switch err = l.writeFirst(ctx, expected); {
	case err == nil:
	case !l.hasWritten(): // a parker has failed: release waits for the write
		return false, err
	case errors.Is(err, engine.ErrConflict):
		there = false
		return false, l.catchUp(ctx, l.key, seen)
	case errors.Is(err, engine.ErrUnknown):
		if there, err = l.isThere(ctx); err != nil {
			there = true
			return false, err
		}
		if !there {
			return false, a.failed()
		}
		l.until = begun.Add(l.ttl)
	default:
		there = false
		return false, err
	}
	l.fence = l.revision
	if ctx.Err() != nil || !time.Now().Before(l.until) { // nobody waits, or the answer took too long
		return false, cmp.Or(contextError(ctx), a.failed())
	}
	return true, nil
}

func contextError(ctx context.Context) error {
	if ctx.Err() != nil {
		return engine.ContextError(ctx)
	}
	return nil
}

// catchUp waits until this process has seen why a write in place of what was seen was
// refused. Usually it has.
func (r *records) catchUp(ctx context.Context, key string, seen record) error {
	if now := r.now(key); now.state != seen.state || now.state != none && now.at != seen.at {
		return nil
	}
	return r.b.Sync(ctx) // the history is another one, or there was something for a moment
}

// keep renews the lease until the function that it returns is called. If the lease has
// ended, it calls cancel. If the Bucket is being closed, it calls cancel and deletes the lease.
func (l *lease) keep(cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(l.closed)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := l.renew(ctx); err != nil && ctx.Err() == nil {
			l.lost.Store(true)
			cancel(err)
			<-ctx.Done()
		}
		if l.closed.Err() != nil {
			cancel(ErrClosed)
			l.release()
		}
	}()
	return func() { end(); <-done }
}

// renew renews the lease until ctx ends, or the lease has.
func (l *lease) renew(ctx context.Context) error {
	next := l.until.Add(-2 * l.ttl / 3) // a third of the TTL after the first write was sent
	for {
		select {
		case <-time.After(min(time.Until(next), time.Until(l.until))):
		case <-ctx.Done():
			return nil
		}
		next = time.Now().Add(l.ttl / 3) // also if the write waits longer until it is seen
		attempt, cancel := context.WithDeadline(ctx, l.until)
		err := l.write(attempt, l.revision)
		if isUncertain(err) && l.isStillThere(attempt) {
			err = nil
		}
		cancel()
		if err != nil {
			return fmt.Errorf("%w: %v", ErrLeaseLost, err) // err has the end of a context that f does not know
		}
	}
}

// isUncertain reports whether a lease may be there although a write to it has failed so.
func isUncertain(err error) bool {
	return errors.Is(err, engine.ErrConflict) || errors.Is(err, engine.ErrUnknown)
}

// isThere waits until this process has seen what has become of the writes, reports whether
// the lease is there, and notes its revision.
func (l *lease) isThere(ctx context.Context) (there bool, err error) {
	if err := l.b.Sync(ctx); err != nil {
		return false, err
	}
	now := l.now(l.key)
	if now.name != l.name || now.state != leased {
		return false, nil
	}
	l.revision = now.at.revision
	return true, nil
}

// isStillThere is isThere if an error does not matter.
func (l *lease) isStillThere(ctx context.Context) bool {
	there, _ := l.isThere(ctx)
	return there
}

// publish puts a result in place of the lease, and reports whether it is there.
func (l *lease) publish(ctx context.Context, r record, ttl time.Duration) (published bool, err error) {
	if l.over { // keep has deleted it
		return false, ErrClosed
	}
	r.holder, r.name, r.fence = l.holder, l.name, l.fence
	w := engine.Write{Key: l.prefix + l.key, Value: r.encode(), TTL: ttl}
	for there := true; there; {
		w.Expected = l.revision
		if _, err = l.b.write(ctx, w); err == nil {
			l.drop()
			return true, nil
		}
		if !isUncertain(err) {
			return false, err
		}
		if there, err = l.isThere(ctx); err != nil {
			return false, err
		}
	}
	l.drop()
	now := l.now(l.key)
	return now.name == l.name && now.isResult(), nil
}

// release deletes the lease if it is there. What fails is left to its end.
func (l *lease) release() {
	if l.over {
		return
	}
	defer l.drop()
	ctx, cancel := l.untilItEnds()
	defer cancel()
	select {
	case <-l.wrote:
	case <-ctx.Done():
		return
	}
	there := l.revision > 0 || l.isStillThere(ctx)
	for there {
		err := l.delete(ctx)
		there = errors.Is(err, engine.ErrConflict) && l.isStillThere(ctx) // a renewal whose answer is missing
	}
}

// remove deletes the lease, which must be there until then. If it fails, it goes on trying when it
// has returned.
func (l *lease) remove(ctx context.Context) (err error) {
	if l.over { // keep has deleted it
		return ErrClosed
	}
	gone := false
	defer func() { // also if a method of ctx does not return
		if gone {
			l.drop()
		} else {
			go l.release()
		}
	}()
	gone, err = l.tryRemove(ctx)
	return err
}

// tryRemove reports whether the lease is not there any more.
func (l *lease) tryRemove(ctx context.Context) (gone bool, err error) {
	for {
		err := l.delete(ctx)
		if !isUncertain(err) {
			return err == nil, err
		}
		there, failure := l.isThere(ctx)
		switch {
		case failure != nil:
			return false, failure
		case !there && errors.Is(err, engine.ErrConflict):
			return true, ErrLeaseLost
		case !there: // deleted by this call, or before
			return true, err
		}
	}
}

// delete deletes the lease, also while the Bucket is being closed.
func (l *lease) delete(ctx context.Context) error {
	_, err := l.b.writeAlways(ctx, engine.Write{Key: l.prefix + l.key, Delete: true, Expected: l.revision})
	return err
}

// untilItEnds returns a context that ends when the lease has ended if nobody has renewed it.
func (l *lease) untilItEnds() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), l.ttl)
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/cluster/engine"
)

// A lease is one that this process holds, or has tried to get. Its fields belong to the
// flight, and while keep runs to the goroutine of that, but for lost.
type lease struct {
	*records
	w     *watched // of key
	key   string
	name  id
	ttl   time.Duration
	fence uint64 // the revision at which the lease was taken

	revision uint64    // of the last write of it
	until    time.Time // it does not end before that
	over     bool      // it was replaced or deleted
	lost     atomic.Bool
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

// acquire tries to put the lease in place of what was seen, and reports whether it did, and
// may rely on that.
func (l *lease) acquire(ctx context.Context, seen record) (held bool, err error) {
	_, version := l.w.Load()
	expected := seen.at.revision
	if seen.state == none {
		expected = 0
	}
	begun := time.Now()
	switch err = l.write(ctx, expected); {
	case err == nil:
		l.fence = l.revision
	case errors.Is(err, engine.ErrConflict):
		return false, l.catchUp(ctx, version)
	case errors.Is(err, engine.ErrUnknown):
		there, err := l.isThere(ctx)
		if err != nil {
			l.release()
		}
		if !there {
			return false, err
		}
		l.fence, l.until = l.revision, begun.Add(l.ttl)
	default:
		return false, err
	}
	if ctx.Err() != nil || !time.Now().Before(l.until) { // nobody waits, or the answer took too long
		l.release()
		return false, contextError(ctx)
	}
	return true, nil
}

func contextError(ctx context.Context) error {
	if ctx.Err() != nil {
		return engine.ContextError(ctx)
	}
	return nil
}

// catchUp waits until this process has seen why a write was refused. Usually it has.
func (l *lease) catchUp(ctx context.Context, version uint64) error {
	if _, now := l.w.Load(); now != version {
		return nil
	}
	return l.b.Sync(ctx) // the history is another one
}

// keep renews the lease until the function that it returns is called. If the lease has
// ended, it calls cancel.
func (l *lease) keep(cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(l.closed)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := l.renew(ctx); err != nil && ctx.Err() == nil {
			l.lost.Store(true)
			cancel(err)
		}
	}()
	return func() { end(); <-done }
}

// renew renews the lease until ctx ends, or the lease has.
func (l *lease) renew(ctx context.Context) error {
	for {
		select {
		case <-time.After(l.ttl / 3):
		case <-ctx.Done():
			return nil
		}
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
	now, _ := l.w.Load()
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
	r.holder, r.name, r.fence = l.holder, l.name, l.fence
	w := engine.Write{Key: l.prefix + l.key, Value: r.encode(), TTL: ttl}
	for there := true; there; {
		w.Expected = l.revision
		if _, err = l.b.write(ctx, w); err == nil {
			l.over = true
			return true, nil
		}
		if !isUncertain(err) {
			return false, err
		}
		if there, err = l.isThere(ctx); err != nil {
			return false, err
		}
	}
	now, _ := l.w.Load()
	l.over = true
	return now.name == l.name && now.isResult(), nil
}

// release deletes the lease if it is there. What fails is left to its end.
func (l *lease) release() {
	if l.over {
		return
	}
	l.over = true
	ctx, cancel := l.untilItEnds()
	defer cancel()
	there := l.revision > 0 || l.isStillThere(ctx)
	for there {
		_, err := l.b.write(ctx, engine.Write{Key: l.prefix + l.key, Delete: true, Expected: l.revision})
		there = errors.Is(err, engine.ErrConflict) && l.isStillThere(ctx) // a renewal whose answer is missing
	}
}

// untilItEnds returns a context that ends with the Bucket, or when the lease has ended if
// nobody has renewed it.
func (l *lease) untilItEnds() (context.Context, context.CancelFunc) {
	return context.WithTimeout(l.closed, l.ttl)
}

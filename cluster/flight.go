package cluster

import (
	"context"
	"time"
)

// flight is the one call of this process for a key. docs/models/lease.pml is its model:
//
//	look     a result that came since the call began: return it
//	sync     a lease of another Group, which may have ended before the call: look again
//	wait     a lease of another Group: wait until something else is seen
//	acquire  else: put a lease in place of what was seen, and load under it; sync if that is refused
//	publish  put the result in place of the lease, unless another took that place
//	release  or delete the lease, if there is no result
//
// When a write that is refused returns, this process has seen why, so the next look finds
// something else. What it finds first may be from before the call. If the answer of a write
// is lost, the name of the lease tells whether it was carried out.
func (g *Group[V]) flight(ctx context.Context, key string, f func(ctx context.Context) (V, error)) (v V, err error) {
	w := g.watch(key)
	defer g.unwatch(key, w)
	var begun instant // what came later has come since the call began
	synced := false   // begun is set
	var a attempts
	for {
		r, version := w.Load()
		if r.at.history > begun.history { // read anew, so it may be from before the call
			synced = false
		}
		var l *lease
		switch {
		case r.state == ended:
			return v, ErrClosed
		case synced && r.isResult() && r.at.revision > begun.revision:
			return g.result(r)
		case r.isFree(g.holder):
			l, err = g.acquire(ctx, key, r, &a)
			if l == nil && err == nil && !synced { // what refused it may have ended before the call
				err = g.b.Sync(ctx)
			}
		case synced:
			_, _, err = w.WaitNewer(ctx, version)
		default:
			err = g.b.Sync(ctx)
		}
		if err != nil {
			return v, err
		}
		if !synced {
			begun, _ = g.b.seen.load()
			synced = true
		}
		if l == nil {
			continue
		}
		if v, done, err := g.lead(ctx, l, f); done {
			return v, err
		}
		if err = a.failed(); err != nil {
			return v, err
		}
	}
}

// acquire tries to put a lease in place of what was seen. It returns nil if that is not
// there any more, or nobody can rely on the lease.
func (g *Group[V]) acquire(ctx context.Context, key string, seen record, a *attempts) (*lease, error) {
	l := g.newLease(key, g.ttl)
	held, err := l.acquire(ctx, seen, a)
	return l.orNil(held), err
}

// result returns what a record says that a load has returned.
func (g *Group[V]) result(r record) (v V, err error) {
	if r.state == failed {
		return v, &RemoteError{string(r.data)}
	}
	return decode[V](g.codec, r.data)
}

// lead calls f under a lease, and reports whether that ends the flight.
func (g *Group[V]) lead(ctx context.Context, l *lease, f func(ctx context.Context) (V, error)) (v V, done bool, err error) {
	defer l.release() // also if f does not return
	v, err = loadUnder(ctx, l, f)
	if err != nil && l.lost.Load() && ctx.Err() == nil && g.closed.Err() == nil {
		return *new(V), false, nil // what f says of its end does not matter
	}
	if err != nil && ctx.Err() != nil {
		return *new(V), true, err // for want of callers: not for those of others
	}
	r := record{state: loaded}
	if err != nil {
		r.state, r.data = failed, []byte(err.Error())
	} else if r.data, err = g.codec.Encode(v); err != nil {
		return *new(V), true, err
	}
	published, failure := publish(ctx, l, r, g.resultTTL)
	if failure != nil && (err == nil || g.closed.Err() != nil) {
		err = failure
	}
	switch {
	case failure == nil && !published:
		return *new(V), false, nil
	case err != nil:
		return *new(V), true, err
	}
	return v, true, nil
}

// publish puts a result in place of the lease, also if no caller on this machine waits for
// it.
func publish(ctx context.Context, l *lease, r record, ttl time.Duration) (published bool, err error) {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = l.untilItEnds()
		defer cancel()
	}
	return l.publish(ctx, r, ttl)
}

// loadUnder calls f, and renews the lease until f has returned.
func loadUnder[V any](ctx context.Context, l *lease, f func(ctx context.Context) (V, error)) (V, error) {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, fenceKey{}, l.fence))
	defer cancel(nil)
	defer l.keep(cancel)()
	return f(ctx)
}

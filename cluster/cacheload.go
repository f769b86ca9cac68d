package cluster

import (
	"context"
	"encoding/binary"
	"math"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/dedup"
)

// The record of a key decides what Get may return:
//
//	Get      the decoded copy; each change of the record drops it
//	fetch    what the record says, or the result of a flight: no copy is made of that
//	flight   waits until the record says something, or loads under a lease and puts the
//	         result in place of it
//
// A fetch is a load of the local dedup.Cache, which keeps its result only if the record has
// not changed since the fetch began. The flights are in a Group of their own, because
// changes of the record must not end them: they make these changes themselves.

// A cached value is one with the time for which it may be kept. Zero means not at all.
type cached[V any] struct {
	v   V
	ttl time.Duration
}

// An outcome is what a load of this process has returned. The zero value is that of a
// flight without one.
type outcome[V any] struct {
	v      V
	err    error
	loaded bool
	lost   bool    // the lease has ended, and the load has failed for that
	lease  id      // of the load
	began  instant // all that this process had seen when the load began
}

func (c *Cache[V]) openCopies(o *CacheOptions[V]) (err error) {
	do := &dedup.CacheOptions[string, cached[V]]{
		MaxEntries: o.MaxEntries, MaxWeight: o.MaxWeight,
		TTLOf: func(_ string, v cached[V]) time.Duration { return v.ttl },
	}
	if weigh := o.Weigh; weigh != nil {
		do.Weigh = func(key string, v cached[V]) uint32 { return weigh(key, v.v) }
	}
	c.copies, err = dedup.NewCache(c.fetch, do)
	return err
}

// forget drops what was made of the record of before. If it was the lease of a load of this
// process, and another record has taken its place, later calls do not wait for that load.
func (c *Cache[V]) forget(key string, old, now record) {
	if old.state == leased && old.holder == c.holder && now.holder != c.holder {
		c.flights.Forget(key)
	}
	c.copies.Invalidate(key)
}

// fetch returns what the record of key says, or the result of a load that began when this
// process had seen all that it has seen now, or that of the load whose lease is there now. Another
// load may have read what a Store or Invalidate has replaced since.
func (c *Cache[V]) fetch(ctx context.Context, key string) (v cached[V], err error) {
	begun, _ := c.b.seen.load()
	first := c.now(key)
	var o outcome[V]
	var a attempts
	for {
		r := c.now(key)
		mine := o.loaded && (!o.began.before(begun) || first.state == leased && first.name == o.lease)
		if c.answers(r, begun) && !(mine && r.state == failed) { // an error of this process stays what it is
			return c.answer(r)
		}
		if mine {
			return cached[V]{v: o.v}, o.err
		}
		if o.lost {
			if err := a.failed(); err != nil {
				return v, err
			}
		}
		o, _, err = c.flights.Do(ctx, key, func(ctx context.Context) (outcome[V], error) { return c.flight(ctx, key) })
		if err != nil {
			return v, err
		}
	}
}

// answers reports whether a record says what Get is to return, for a call that began at that
// moment.
func (c *Cache[V]) answers(r record, begun instant) bool {
	switch r.state {
	case loaded:
		return r.left() > 0
	case failed:
		return r.left() > 0 || r.at.history == begun.history && r.at.revision > begun.revision
	}
	return false
}

// answer returns what a record says.
func (c *Cache[V]) answer(r record) (v cached[V], err error) {
	_, data := splitTTL(r.data)
	if r.state == failed {
		return v, &RemoteError{string(data)}
	}
	v.ttl = r.left()
	v.v, err = decode[V](c.codec, data)
	return v, err
}

// flight returns when the record of key answers calls, or with the outcome of a load.
func (c *Cache[V]) flight(ctx context.Context, key string) (o outcome[V], err error) {
	w := c.watch(key)
	defer c.unwatch(key, w)
	begun, _ := c.b.seen.load()
	var a attempts
	for {
		r, version := w.Load()
		switch {
		case r.state == ended:
			return o, ErrClosed
		case c.answers(r, begun):
			return o, nil
		case !r.isFree(c.holder):
			if _, _, err := w.WaitNewer(ctx, version); err != nil {
				return o, err
			}
			continue
		}
		l := c.newLease(key, c.leaseTTL)
		if held, err := l.acquire(ctx, r, &a); held {
			return c.lead(ctx, l)
		} else if err != nil {
			return o, err
		}
	}
}

// lead loads under a lease. If the lease was lost, and the load has failed for that, there is
// no outcome.
func (c *Cache[V]) lead(ctx context.Context, l *lease) (o outcome[V], err error) {
	defer l.release() // also if the loader does not return
	o.loaded, o.lease = true, l.name
	o.began, _ = c.b.seen.load()
	o.v, o.err = c.load(ctx, l)
	if o.err != nil && l.lost.Load() && ctx.Err() == nil && c.closed.Err() == nil {
		return outcome[V]{lost: true}, nil
	}
	if o.err != nil && ctx.Err() != nil { // for want of callers: not for those of others
		return o, nil
	}
	r, ttl, err := c.result(l.key, o)
	if err != nil || ttl <= 0 {
		return o, err
	}
	if _, failure := publish(ctx, l, r, engineTTL(ttl)); failure != nil && (o.err == nil || c.closed.Err() != nil) {
		return o, failure
	}
	return o, nil
}

// load calls the loader, and counts.
func (c *Cache[V]) load(ctx context.Context, l *lease) (v V, err error) {
	begun, returned := time.Now(), false
	defer func() { c.loads.add(time.Since(begun), err != nil || !returned) }()
	v, err = loadUnder(ctx, l, func(ctx context.Context) (V, error) { return c.loader(ctx, l.key) })
	returned = true
	return v, err
}

// result returns the record of an outcome, and for how long the engine is to have it.
func (c *Cache[V]) result(key string, o outcome[V]) (r record, ttl time.Duration, err error) {
	if o.err != nil {
		r = record{state: failed, data: withTTL(c.errorTTL, []byte(o.err.Error()))}
		return r, max(c.errorTTL, c.leaseTTL), nil
	}
	if ttl = c.timeToLive(key, o.v); ttl <= 0 {
		return r, 0, nil
	}
	data, err := c.codec.Encode(o.v)
	return record{state: loaded, data: withTTL(ttl, data)}, ttl, err
}

// timeToLive returns how long a value is to be kept. Zero or less means not at all.
func (c *Cache[V]) timeToLive(key string, v V) time.Duration {
	if c.ttlOf == nil {
		return c.ttl
	}
	ttl := c.ttlOf(key, v)
	if ttl > 0 {
		ttl, _ = wholeSeconds("", max(ttl, time.Second), 0)
	}
	return ttl
}

// engineTTL returns the TTL that the engine gets, which is zero for a value that stays.
func engineTTL(ttl time.Duration) time.Duration {
	if ttl >= longest {
		return 0
	}
	return ttl
}

// put returns the write of a record in place of any other.
func (c *Cache[V]) put(key string, r record, ttl time.Duration) engine.Write {
	return engine.Write{Key: c.prefix + key, Value: r.encode(), Unconditional: true, TTL: engineTTL(ttl)}
}

func (c *Cache[V]) remove(key string) engine.Write {
	return engine.Write{Key: c.prefix + key, Delete: true, Unconditional: true}
}

// The data of a record of a Cache begins with the time for which it answers calls, in
// nanoseconds.
func withTTL(ttl time.Duration, data []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(ttl)), data...)
}

func splitTTL(data []byte) (ttl time.Duration, rest []byte) {
	if len(data) < 8 { // of another program
		return 0, nil
	}
	return time.Duration(binary.BigEndian.Uint64(data)), data[8:]
}

// left returns for how long a record of a Cache still answers calls.
func (r record) left() time.Duration {
	ttl, _ := splitTTL(r.data)
	if ttl >= longest {
		return math.MaxInt64
	}
	return ttl - time.Since(r.seen)
}

// loadCounts counts the loads of a Cache.
type loadCounts struct{ loads, errors, time atomic.Uint64 }

func (n *loadCounts) add(took time.Duration, failed bool) {
	n.loads.Add(1)
	n.time.Add(uint64(took))
	if failed {
		n.errors.Add(1)
	}
}

func (n *loadCounts) setTo(s *dedup.Stats) {
	s.Loads, s.LoadErrors, s.LoadTime = n.loads.Load(), n.errors.Load(), time.Duration(n.time.Load())
}

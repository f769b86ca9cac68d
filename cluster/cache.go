package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// A Cache keeps values that are expensive to load in the bucket, and decoded copies of them
// in each process. A value that is missing is loaded once for all machines. [NewCache]
// returns one. Its methods may be called from any goroutine, and from a task of an event
// loop. Keys are as in a [Map].
//
// The bucket decides: a copy is dropped when this process sees any change of its key. So
// after Store or Invalidate has returned on one machine, a Get on another one that is called
// after a [Bucket.Sync] there returns what Store was given, or something newer. The process
// that stored needs no Sync. Without one, other processes see a change as soon as it reaches
// them.
//
// A load holds a lease of the key, as one of a [Group] does, and the engine accepts its
// result only in place of that lease. So a load that was in progress when Store or
// Invalidate came keeps nothing: not in the bucket, and not in any process. Its result
// reaches callers that had asked before this process saw the change, unless the bucket has a
// value then.
//
// While the engine cannot be reached, Get returns what this process has seen, until the TTL
// of the value is over, and then waits until its ctx ends. If the history of the bucket is
// lost, the copies of what is not there any more are dropped.
//
// A process holds the encoded values of all keys in memory, as it does with all that is in
// the bucket. The limits of [CacheOptions] are for the decoded copies.
//
// In the terminology of the Go memory model, the return of a load, and a call of Store,
// happens before the return of each Get that returns its value, on any machine.
type Cache[V any] struct {
	records
	codec                   Codec
	ttl, leaseTTL, errorTTL time.Duration
	ttlOf                   func(key string, v V) time.Duration
	loader                  dedup.Loader[string, V]
	loads                   loadCounts
	copies                  *dedup.Cache[string, cached[V]]
	flights                 dedup.Group[string, outcome[V]] // at most one load of this process for each key
}

// CacheOptions configure a [Cache]. The functions are called with nothing locked.
type CacheOptions[V any] struct {
	// Name is the name of the Cache in its bucket. Processes that use the same name share
	// the Cache. It may be any string without NUL.
	Name string

	// Codec turns values into bytes and back. Nil means JSON. Get returns what Decode makes
	// of a value also on the machine that has loaded or stored it.
	Codec Codec

	// TTL is the time after which a value is removed everywhere. Zero means that it stays
	// until Store or Invalidate is called. The least is 1 s; it is rounded up to whole
	// seconds. A process that is cut off counts it from when it has seen the value.
	TTL time.Duration

	// TTLOf returns the TTL of one value, instead of TTL. Zero or less means that the value
	// is not kept: then Store does what Invalidate does, and the result of a load reaches
	// those that wait for it in the same process. A nil TTLOf means TTL for all values.
	TTLOf func(key string, v V) time.Duration

	// ErrorTTL is the time for which the error of a load is kept and returned instead of
	// loading again, on all machines. Zero means that it only reaches those that wait for
	// the load. The least is 1 s; it is rounded up to whole seconds.
	ErrorTTL time.Duration

	// LeaseTTL is the time after which another machine may load, if the one that loads has
	// died or is cut off. Zero means 10 s. The least is 1 s, the most 100 years; it is
	// rounded up to whole seconds.
	LeaseTTL time.Duration

	// MaxEntries, MaxWeight and Weigh limit the decoded copies of this process, as the
	// fields of the same names of dedup.CacheOptions do. A copy that was evicted is decoded
	// again when it is asked for. Zero means no limit.
	MaxEntries int
	MaxWeight  uint64
	Weigh      func(key string, v V) uint32
}

// NewCache returns the Cache of that name, which loads missing values with load. It fails if
// load is nil or options are invalid. A Bucket has one Cache of each name; another call for
// the name fails.
func NewCache[V any](b *Bucket, load dedup.Loader[string, V], o *CacheOptions[V]) (*Cache[V], error) {
	if load == nil {
		return nil, errors.New("cluster: NewCache needs a loader")
	}
	if o == nil {
		o = new(CacheOptions[V])
	}
	c := &Cache[V]{codec: o.Codec, ttlOf: o.TTLOf, loader: load}
	if c.codec == nil {
		c.codec = JSON
	}
	if err := errors.Join(
		setSeconds(&c.ttl, "TTL", o.TTL, longest),
		setSeconds(&c.errorTTL, "ErrorTTL", o.ErrorTTL, 0),
		setSeconds(&c.leaseTTL, "LeaseTTL", o.LeaseTTL, 10*time.Second),
	); err != nil {
		return nil, err
	}
	if err := c.openCopies(o); err != nil {
		return nil, err
	}
	c.changed, c.waits = c.forget, c.calls
	if err := c.open(b, kindCache, o.Name); err != nil {
		return nil, err
	}
	return c, nil
}

// setSeconds is wholeSeconds that sets *to.
func setSeconds(to *time.Duration, name string, d, otherwise time.Duration) (err error) {
	*to, err = wholeSeconds(name, d, otherwise)
	return err
}

// Get returns the value of key: the copy of this process, or else the value that the bucket
// has. If there is none, Get calls the loader, unless a load of key is in progress on any
// machine, and waits for the result, which is stored in the bucket.
//
// If this process has a copy, Get returns it even if ctx has ended. If ctx ends while Get waits,
// Get returns at once with an error that matches ctx.Err() and context.Cause(ctx). After
// [Bucket.Close] Get returns what this process has until its TTL is over, and otherwise an
// error that matches [ErrClosed]. A loader that calls Get for its own key, or for one whose
// load waits for it in this process, gets dedup.ErrCycle if it passes its context on, and
// waits for itself if it does not. If five loads of this process have lost their leases, without
// a result of another machine, the error matches [ErrLeaseLost]: the LeaseTTL is too short. Get
// panics if ctx is nil.
//
// An error of the loader reaches those on this machine that wait for the load as it is, and
// all others that get it as a [*RemoteError]. It is kept only with an ErrorTTL. A loader that
// panics or calls runtime.Goexit, or whose callers have all left, leaves nothing: those that
// wait for it on this machine get a *dedup.PanicError, and another machine that waits loads.
// If the result cannot be encoded, or the engine cannot have it, Get returns that error. If
// the value of the bucket cannot be decoded, the error matches [ErrDecode].
//
// The loader is called with nothing locked, in a goroutine of its own. Its context has the
// values of that of the first caller, and the fence of the load, see [Fence]. It ends with the
// causes that [Group.Do] lists.
func (c *Cache[V]) Get(ctx context.Context, key string) (V, error) {
	mustContext(ctx)
	c.b.gate.pass()
	v, err := c.copies.Get(ctx, key)
	return v.v, err
}

// Store stores v for key in the bucket, in place of what is there. When it returns without
// an error, this process has dropped its copy, and the result of a load that is in progress
// on any machine will not be kept. The errors are those of [Map.Store]. If TTLOf or Encode
// panics, Store panics and has changed nothing.
func (c *Cache[V]) Store(ctx context.Context, key string, v V) error {
	mustContext(ctx)
	ttl := c.timeToLive(key, v)
	if ttl <= 0 {
		return c.Invalidate(ctx, key)
	}
	data, err := c.codec.Encode(v)
	if err != nil {
		return err
	}
	r := record{state: loaded, name: newID(), data: withTTL(ttl, data)} // the holder is nobody
	_, err = c.b.write(ctx, c.put(key, r, ttl))
	return err
}

// Invalidate removes the value of key from the bucket, and thereby the copies of all
// processes. The next Get loads anew, also if a load is in progress now. The errors are those
// of [Map.Store].
func (c *Cache[V]) Invalidate(ctx context.Context, key string) error {
	_, err := c.b.write(ctx, c.remove(key))
	return err
}

// Stats returns counts of this process. Loads, LoadErrors and LoadTime are those of calls of
// the loader. All others are as dedup describes them, for the decoded copies: a miss is a Get
// that found no copy, and so had to decode the value of the bucket, or to wait for a load on
// some machine.
func (c *Cache[V]) Stats() dedup.Stats {
	s := c.copies.Stats()
	c.loads.setTo(&s)
	return s
}

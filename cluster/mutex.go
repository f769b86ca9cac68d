package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster/engine"
)

// A Mutex is held by one goroutine or task of all processes that use the bucket. [NewMutex]
// returns one. Its methods may be called from any goroutine, and those that take a context
// also from a task of an event loop.
//
// Who holds it has a lease, a value in the bucket that ends by itself unless it is renewed.
// If the holder dies or is cut off, the lease ends, and another one gets the Mutex. A
// holder that was stopped meanwhile may not know that yet. So what it writes to other systems
// must carry the fence, a number that is larger than those of all holders before, and these
// systems must refuse smaller ones.
//
// The waiters of one process get the Mutex in the order in which they came. Between
// processes no order is kept.
//
// In the terminology of the Go memory model, an Unlock that returned nil happens before the return
// of each later Lock, in any process.
type Mutex struct {
	records
	ttl   time.Duration
	local await.Mutex // for those of this process

	mu   sync.Mutex
	held *holding // nil: nobody in this process
}

// A holding is one time of holding a Mutex.
type holding struct {
	*lease
	ctx  context.Context
	stop func() // ends the renewals
}

// MutexOptions configure a [Mutex].
type MutexOptions struct {
	// Name is the name of the Mutex in its bucket. Processes that use the same name share
	// the Mutex. It may be any string without NUL.
	Name string

	// TTL is the time after which another process gets the Mutex, if the holder has died.
	// The holder renews its lease three times in it. Zero means 10 s. The least is 1 s;
	// it is rounded up to whole seconds.
	TTL time.Duration
}

// NewMutex returns the Mutex of that name. A Bucket has one Mutex of each name; another call
// for the name fails.
func NewMutex(b *Bucket, o *MutexOptions) (*Mutex, error) {
	if o == nil {
		o = new(MutexOptions)
	}
	m := new(Mutex)
	var err error
	if m.ttl, err = wholeSeconds("TTL", o.TTL, 10*time.Second); err != nil {
		return nil, err
	}
	if err := m.open(b, kindMutex, o.Name); err != nil {
		return nil, err
	}
	return m, nil
}

// Lock waits until it holds m, and returns the fence. If ctx ends first, it returns an error
// that matches ctx.Err() and context.Cause(ctx), and does not hold m. After [Bucket.Close] the
// error matches [ErrClosed]. While the engine cannot be reached, Lock waits. Lock panics
// if ctx is nil.
//
// [Mutex.Context] tells when m is lost.
func (m *Mutex) Lock(ctx context.Context) (fence uint64, err error) {
	fence, _, err = m.lock(ctx, true)
	return fence, err
}

// TryLock is Lock, but reports false instead of waiting for another holder. It asks the
// engine, and waits for the answer.
func (m *Mutex) TryLock(ctx context.Context) (fence uint64, locked bool, err error) {
	return m.lock(ctx, false)
}

func (m *Mutex) lock(ctx context.Context, wait bool) (fence uint64, locked bool, err error) {
	mustContext(ctx)
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.closed, func() { cancel(ErrClosed) })()
	if m.isClosed() {
		return 0, false, ErrClosed
	}
	if !wait && !m.local.TryLock() {
		return 0, false, contextError(ctx)
	}
	if wait {
		if err := m.local.Lock(within); err != nil {
			return 0, false, m.asClosed(ctx, err)
		}
	}
	l, err := m.acquire(within, wait)
	if l == nil {
		m.local.Unlock()
		return 0, false, m.asClosed(ctx, err)
	}
	m.hold(l)
	return l.fence, true, nil
}

// asClosed returns the error of a wait that may have ended with the Bucket.
func (m *Mutex) asClosed(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && m.isClosed() {
		return ErrClosed
	}
	return err
}

func (m *Mutex) isClosed() bool { return m.closed.Err() != nil }

// acquire returns a lease; nil without an error, if another process has it and wait is
// false.
func (m *Mutex) acquire(ctx context.Context, wait bool) (*lease, error) {
	w := m.watch("")
	defer m.unwatch("", w)
	for synced := false; ; {
		r, version := w.Load()
		if r.state == leased && r.holder != m.holder {
			var err error
			switch {
			case wait:
				_, _, err = w.WaitNewer(ctx, version)
			case synced:
				return nil, nil
			default: // it may have been unlocked before the call
				synced, err = true, m.b.Sync(ctx)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		if r.state == ended {
			return nil, ErrClosed
		}
		l := &lease{records: &m.records, w: w, name: newID(), ttl: m.ttl}
		if held, err := l.acquire(ctx, r); held || err != nil {
			return l.orNil(held), err
		}
	}
}

func (l *lease) orNil(held bool) *lease {
	if !held {
		return nil
	}
	return l
}

// hold keeps the lease until Unlock.
func (m *Mutex) hold(l *lease) {
	l.w = m.watch("") // until Unlock
	ctx, cancel := context.WithCancelCause(context.Background())
	h := &holding{lease: l, ctx: ctx}
	stop := l.keep(cancel)
	onClose := context.AfterFunc(m.closed, func() { cancel(ErrClosed) })
	h.stop = func() { stop(); onClose(); cancel(context.Canceled) }
	m.mu.Lock()
	m.held = h
	m.mu.Unlock()
}

// Context returns a context that ends when this process does not hold m any more: with the
// cause [ErrLeaseLost] if the lease has ended, [ErrClosed], or context.Canceled after Unlock.
// If this process does not hold m, the context has ended.
func (m *Mutex) Context() context.Context {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held != nil {
		return m.held.ctx
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Unlock gives m back. Whatever it returns, the caller does not hold m any more. If it
// returns nil, the caller has held m until then. [ErrLeaseLost] is matched if m was lost
// before. Other errors, those of [Map.Store], mean that the engine may not have been told: then m
// is free at the latest when the lease ends by itself. Unlock panics if this process does not hold m, or ctx is
// nil.
func (m *Mutex) Unlock(ctx context.Context) error {
	mustContext(ctx)
	m.mu.Lock()
	h := m.held
	m.held = nil
	m.mu.Unlock()
	if h == nil {
		panic("cluster: Unlock of a Mutex that is not locked")
	}
	defer m.local.Unlock()
	defer m.unwatch("", h.w)
	h.stop()
	return h.remove(ctx)
}

// remove deletes the lease, which must be there until then.
func (l *lease) remove(ctx context.Context) error {
	l.over = true
	for {
		_, err := l.b.write(ctx, engine.Write{Key: l.prefix + l.key, Delete: true, Expected: l.revision})
		if !isUncertain(err) {
			return err
		}
		there, failure := l.isThere(ctx)
		switch {
		case failure != nil:
			return failure
		case !there && errors.Is(err, engine.ErrConflict):
			return ErrLeaseLost
		case !there: // deleted by this call, or before
			return err
		}
	}
}

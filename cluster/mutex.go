package cluster

import (
	"context"
	"sync"
	"time"

	"github.com/vigil-go/vigil/await"
)

// A Mutex is held by one goroutine or task of all processes that use the bucket. [NewMutex]
// returns one. Its methods may be called from any goroutine, and those that take a context
// also from a task of an event loop.
//
// The holder has a lease, a value in the bucket that ends by itself unless it is renewed.
// If the holder dies or is cut off, the lease ends, and another one gets the Mutex. A
// holder that was stopped meanwhile may not know that yet. So what it writes to other systems
// must carry the fence, a number that is larger than those of all holders before, and these
// systems must refuse smaller ones. If the bucket is emptied or made anew, fences begin anew, too.
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
	m.waits = m.calls
	if err := m.open(b, kindMutex, o.Name); err != nil {
		return nil, err
	}
	return m, nil
}

// Lock waits until it holds m, and returns the fence. If ctx ends first, it returns an error
// that matches ctx.Err() and context.Cause(ctx), and does not hold m. After [Bucket.Close] the
// error matches [ErrClosed]. While the engine cannot be reached, Lock waits. If five leases have
// ended before the engine had acknowledged them, the error matches [ErrLeaseLost]. Lock panics
// if ctx is nil.
//
// [Mutex.Context] tells when m is lost.
func (m *Mutex) Lock(ctx context.Context) (fence uint64, err error) {
	fence, _, err = m.lock(ctx, true)
	return fence, err
}

// TryLock is Lock, but reports false instead of waiting for another holder, or for another call
// in this process that waits. Otherwise it asks the engine, and waits for the answer.
func (m *Mutex) TryLock(ctx context.Context) (fence uint64, locked bool, err error) {
	return m.lock(ctx, false)
}

func (m *Mutex) lock(ctx context.Context, wait bool) (fence uint64, locked bool, err error) {
	mustContext(ctx)
	if m.isClosed() {
		return 0, false, ErrClosed
	}
	within, cancel := m.within(ctx)
	defer m.b.orUndo(cancel, func() {
		if locked {
			m.Unlock(context.Background())
		}
	})
	if !wait && !m.local.TryLock() {
		return 0, false, contextError(ctx)
	}
	if wait {
		if err := m.local.Lock(within); err != nil {
			return 0, false, m.asClosed(ctx, err)
		}
	}
	defer func() {
		if !locked {
			m.local.Unlock()
		}
	}()
	l, err := m.acquire(within, wait)
	if l == nil {
		return 0, false, m.asClosed(ctx, err)
	}
	m.mu.Lock()
	m.held = l.hold()
	m.mu.Unlock()
	return l.fence, true, nil
}

// acquire returns a lease; nil without an error, if another process has it and wait is
// false.
func (m *Mutex) acquire(ctx context.Context, wait bool) (*lease, error) {
	w := m.watch("")
	defer m.unwatch("", w)
	var a attempts
	for synced := false; ; {
		r, version := w.Load()
		if r.state == ended {
			return nil, ErrClosed
		}
		if r.isFree(m.holder) {
			l := m.newLease("", m.ttl)
			if held, err := l.acquire(ctx, r, &a); held || err != nil {
				return l.orNil(held), err
			}
			continue
		}
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
	}
}

func (l *lease) orNil(held bool) *lease {
	if !held {
		return nil
	}
	return l
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
// before, and [ErrClosed] after [Bucket.Close], which has given m back. Other errors, those of
// [Map.Store], mean that the engine may not have been told yet, as when ctx has ended before the
// call. Then this process goes on telling it, and m is free at the latest when the lease ends by
// itself. Unlock panics if this process does not hold m, or ctx is nil.
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
	return h.giveBack(ctx)
}

package cluster

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"
)

// A Semaphore has a number of permits, each of which is held by one goroutine or task of all
// processes that use the bucket. [NewSemaphore] returns one. Its methods may be called from any
// goroutine, and those that take a context also from a task of an event loop.
//
// Each permit is as a [Mutex]: the holder has a lease, which ends by itself unless it is
// renewed. If the holder dies or is cut off, the lease ends, and another one gets the permit. A
// holder that was stopped meanwhile may not know that yet. So what it writes to other systems
// must carry the number of the permit and its fence, and these systems must refuse a fence
// that is smaller than one that they have seen with the same number. They cannot compare the
// fences of different numbers: a permit that was taken long ago is held while others are taken
// again and again. No two permits that were ever taken have the same fence. If the bucket is
// emptied or made anew, fences begin anew, too.
//
// All processes should use the same number of permits. If they do not, as while a new version is
// rolled out, a process takes only permits whose numbers are below its own number of permits. So
// it holds no more than that, and all together hold no more than the largest of these numbers.
//
// The waiters of one process are in line, and the first of them gets the next permit that the
// process gets, unless a TryAcquire does. Between processes no order is kept.
//
// In the terminology of the Go memory model, a Release that returned nil happens before the
// return of the call that acquires the permit of that number next, in any process.
type Semaphore struct {
	slots   // the key of a permit is its number
	permits int
	ttl     time.Duration
}

// SemaphoreOptions configure a [Semaphore].
type SemaphoreOptions struct {
	// Name is the name of the Semaphore in its bucket. Processes that use the same name
	// share the Semaphore. It may be any string without NUL.
	Name string

	// Permits is the number of permits, at least 1. To find a free permit takes time in
	// proportion to it, in this process.
	Permits int

	// TTL is the time after which another process gets a permit, if the holder has died. The
	// holder renews its lease three times in it. Zero means 10 s. The least is 1 s; it is
	// rounded up to whole seconds.
	TTL time.Duration
}

// NewSemaphore returns the Semaphore of that name. A Bucket has one Semaphore of each name;
// another call for the name fails.
func NewSemaphore(b *Bucket, o *SemaphoreOptions) (*Semaphore, error) {
	if o == nil {
		o = new(SemaphoreOptions)
	}
	if o.Permits < 1 {
		return nil, fmt.Errorf("cluster: the number of Permits is %d, and must be at least 1", o.Permits)
	}
	s := &Semaphore{permits: o.Permits}
	var err error
	if s.ttl, err = wholeSeconds("TTL", o.TTL, 10*time.Second); err != nil {
		return nil, err
	}
	if err := s.open(b, kindSemaphore, o.Name); err != nil {
		return nil, err
	}
	return s, nil
}

// Acquire waits until it holds a permit, and returns it. If ctx ends first, it returns an error
// that matches ctx.Err() and context.Cause(ctx), and holds none. After [Bucket.Close] the error
// matches [ErrClosed]. While the engine cannot be reached, Acquire waits. If five leases have ended
// before the engine had acknowledged them, the error matches [ErrLeaseLost]. Acquire panics if ctx
// is nil.
func (s *Semaphore) Acquire(ctx context.Context) (p *Permit, err error) {
	mustContext(ctx)
	within, cancel := s.within(ctx)
	defer s.b.orUndo(cancel, func() { p.undo() })
	p, err = s.acquire(within)
	return p, s.asClosed(ctx, err)
}

func (s *Semaphore) acquire(ctx context.Context) (p *Permit, err error) {
	var a attempts
	if !s.line.Locked() { // nobody waits
		if p, err := s.try(ctx, &a); p != nil || err != nil {
			return p, err
		}
	}
	if err := s.line.Lock(ctx); err != nil {
		return nil, err
	}
	defer s.b.orUndo(s.line.Unlock, func() { p.undo() })
	for {
		_, version := s.changes.Load()
		if p, err := s.try(ctx, &a); p != nil || err != nil {
			return p, err
		}
		if _, _, err := s.changes.WaitNewer(ctx, version); err != nil {
			return nil, err
		}
	}
}

// TryAcquire is Acquire, but reports false instead of waiting for another holder. It may get a
// permit before calls of Acquire that wait. It asks the engine, and waits for the answer.
func (s *Semaphore) TryAcquire(ctx context.Context) (p *Permit, acquired bool, err error) {
	mustContext(ctx)
	within, cancel := s.within(ctx)
	defer s.b.orUndo(cancel, func() { p.undo() })
	var a attempts
	p, err = s.try(within, &a)
	if p == nil && err == nil { // one may have been released before the call
		if err = s.b.Sync(within); err == nil {
			p, err = s.try(within, &a)
		}
	}
	return p, p != nil, s.asClosed(ctx, err)
}

// try takes a permit that this process sees free. It returns nil if there is none.
func (s *Semaphore) try(ctx context.Context, a *attempts) (*Permit, error) {
	isFree := func(_ string, r record) bool { return r.isFree(s.holder) }
	for {
		if ctx.Err() != nil {
			return nil, contextError(ctx)
		}
		number, seen, ok := s.claim(numbered("", s.permits), isFree)
		if !ok {
			return nil, nil
		}
		if p, err := s.take(ctx, number, seen, a); p != nil || err != nil {
			return p, err
		}
	}
}

// take takes a permit that is claimed. It returns nil if another process was faster.
func (s *Semaphore) take(ctx context.Context, number string, seen record, a *attempts) (p *Permit, err error) {
	defer func() {
		if p == nil {
			s.unclaim(number)
		}
	}()
	l := s.newLease(number, s.ttl)
	if held, err := l.acquire(ctx, seen, a); !held {
		return nil, err
	}
	return &Permit{s: s, held: l.hold()}, nil
}

// A Permit is one of a [Semaphore] that this process holds. [Semaphore.Acquire] returns one. Its
// methods may be called from any goroutine.
type Permit struct {
	s        *Semaphore
	held     *holding
	released atomic.Bool
}

// Fence returns a number that is larger than those of all holders of the permit of that Number
// before. It is the revision at which the permit was taken.
func (p *Permit) Fence() uint64 { return p.held.fence }

// Number returns the number of the permit, from 0 to one less than there are.
func (p *Permit) Number() int {
	n, _ := strconv.Atoi(p.held.key)
	return n
}

// Context returns a context that ends when this process does not hold p any more: with the
// cause [ErrLeaseLost] if the lease has ended, [ErrClosed], or context.Canceled after Release.
func (p *Permit) Context() context.Context { return p.held.ctx }

// Release gives p back. Whatever it returns, the caller does not hold p any more. If it returns
// nil, the caller has held p until then. [ErrLeaseLost] is matched if p was lost before; until
// Release this process does not get the permit of that number again. After [Bucket.Close] the
// error matches [ErrClosed]. Other errors, those of [Map.Store], mean that the engine may not have
// been told yet, as when ctx has ended before the call. Then this process goes on telling it, and
// the permit is free at the latest when the lease ends by itself. Release panics if it was called
// before, or ctx is nil.
func (p *Permit) Release(ctx context.Context) error {
	mustContext(ctx)
	if p.released.Swap(true) {
		panic("cluster: Release of a Permit that is not held")
	}
	defer p.s.unclaim(p.held.key)
	return p.held.giveBack(ctx)
}

// undo gives back a permit that nobody gets, unless p is nil.
func (p *Permit) undo() {
	if p != nil {
		p.Release(context.Background())
	}
}

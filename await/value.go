package await

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// A Value is a variable whose changes can be waited for, such as a configuration. Each
// Store makes a new version of it. The versions are 1, 2, 3 and so on; version 0 is that
// of a Value in which nothing was stored, and its value is the zero T.
//
// A waiter names the newest version that it knows and gets the newest one there is. It
// may skip versions that were overwritten, but it never misses the last one, and never
// sees a version twice or an older one after a newer one.
//
// The zero value is ready to use. A Value must not be copied after first use. A Store or
// Update happens before the return of every call that returns its version or a later one.
type Value[T any] struct {
	now atomic.Pointer[versioned[T]] // nil: version 0; changed with both locks

	writing sync.Mutex // held by Store and Update; may be locked while mu is not

	mu       sync.Mutex // guards what follows
	line     waitq.Queue[uint64]
	farthest uint64 // no waiter in line knows a later version
}

// A versioned is a value with its version. It is not changed after it is published.
type versioned[T any] struct {
	number uint64
	value  T
}

// A newerWaiter's Value is the newest version that the waiter knows.
type newerWaiter = waitq.Waiter[uint64]

// Load returns the newest value and its version. It does not lock or allocate.
func (v *Value[T]) Load() (value T, version uint64) {
	if p := v.now.Load(); p != nil {
		return p.value, p.number
	}
	return value, 0
}

// Store stores a value, releases the waiters, and returns the new version. It waits for
// a [Value.Update] that is running.
func (v *Value[T]) Store(value T) (version uint64) {
	_, version = v.change(func(T) T { return value })
	return version
}

// Update stores f(old), where old is the newest value, releases the waiters, and returns
// the new value and its version. No other Store or Update takes effect between the two.
//
// f runs under a lock of v that Store and Update take. So it must be short and must not
// wait: a task that stores meanwhile blocks its loop. And it must not call Store or Update
// of v, which deadlocks. Loads and waits go on meanwhile. If f panics or calls
// runtime.Goexit, v stays as it was and nothing is locked.
func (v *Value[T]) Update(f func(old T) T) (value T, version uint64) { return v.change(f) }

func (v *Value[T]) change(f func(old T) T) (value T, version uint64) {
	next, list := v.publish(f)
	schedpoint.At(schedpoint.ValueStored)
	list.Release()
	return next.value, next.number
}

// publish makes the next version and takes its waiters out of line.
func (v *Value[T]) publish(f func(old T) T) (next *versioned[T], list waitq.List[uint64]) {
	v.writing.Lock()
	defer v.writing.Unlock()
	old, number := v.Load()
	next = &versioned[T]{number: number + 1, value: f(old)}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now.Store(next)
	return next, v.detachOlder(next.number)
}

// detachOlder takes all waiters out of line that know an older version than number. mu
// is locked.
func (v *Value[T]) detachOlder(number uint64) (list waitq.List[uint64]) {
	if v.farthest < number {
		return v.line.Detach()
	}
	v.farthest = 0
	for w := v.line.Front(); w != nil; {
		next := w.Next()
		if w.Value < number {
			v.line.Remove(w)
			list.Add(w)
		} else {
			v.farthest = max(v.farthest, w.Value)
		}
		w = next
	}
	return list
}

// WaitNewer waits until the version is newer than the given one, and returns the newest
// value and its version. If it is newer at the call, WaitNewer returns at once, even if
// ctx is done. So WaitNewer(ctx, 0) waits for the first Store, and for a version that is
// still to come WaitNewer waits until it has been exceeded.
//
// If ctx ends first, WaitNewer returns zero values and an error that matches ctx.Err()
// and context.Cause(ctx). A nil context panics.
func (v *Value[T]) WaitNewer(ctx context.Context, version uint64) (value T, newer uint64, err error) {
	mustContext(ctx)
	if value, newer = v.Load(); newer > version {
		return value, newer, nil
	}
	if err = v.sleep(ctx, version); err != nil {
		var zero T
		return zero, 0, err
	}
	value, newer = v.Load()
	return value, newer, nil
}

// sleep waits until there is a newer version than the given one.
func (v *Value[T]) sleep(ctx context.Context, version uint64) error {
	p := wake.ParkerFrom(ctx)
	w := &newerWaiter{Waker: p, Value: version}
	if !v.enter(w) {
		return nil
	}
	defer func() { // if Park panics or ends the goroutine
		if !w.Done() && !w.Gone() {
			v.leave(w)
		}
	}()
	err := w.Await(ctx, p)
	if err == nil || v.leave(w) {
		return nil
	}
	return waitq.ParkError(ctx, err)
}

// enter puts w in line. It returns false if there is a newer version than w knows.
func (v *Value[T]) enter(w *newerWaiter) bool {
	schedpoint.At(schedpoint.ValueEnters)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.newer(w.Value) { // the second look
		return false
	}
	v.farthest = max(v.farthest, w.Value)
	v.line.Push(w)
	return true
}

// leave takes w out of line. It reports whether there is a newer version than w knows:
// such a waiter is out of line, and was served.
func (v *Value[T]) leave(w *newerWaiter) (served bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.line.Remove(w)
	return v.newer(w.Value)
}

func (v *Value[T]) newer(than uint64) bool {
	_, number := v.Load()
	return number > than
}

// Watch returns an iterator over the values: first the newest one, if there is one, then
// newer ones as they are stored. If ctx ends, the last pair is the zero T and an error
// that matches ctx.Err() and context.Cause(ctx). Watch looks at ctx before every pair but
// the first, so it ends with ctx however often values are stored. A nil context panics.
//
// Values that are overwritten before the loop's body returns may be skipped, the last one
// is not. While the body runs nothing is locked, and the iterator is not in line. Each
// loop over the iterator begins with the newest value.
func (v *Value[T]) Watch(ctx context.Context) iter.Seq2[T, error] {
	mustContext(ctx)
	return func(yield func(T, error) bool) {
		value, version := v.Load()
		if version > 0 && !yield(value, nil) {
			return
		}
		for {
			var err error
			if ctx.Err() != nil {
				var zero T
				value, err = zero, waitq.ContextError(ctx)
			} else {
				value, version, err = v.WaitNewer(ctx, version)
			}
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}

// Waiters returns the number of waiters in line.
func (v *Value[T]) Waiters() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.line.Len()
}

// OnNewer returns [Value.WaitNewer] as a case of a [Select]. When it is chosen, the
// newest value and its version are stored in *value and *newer; nil pointers are allowed.
// The case consumes nothing: if there is a newer version, it may be chosen even if the
// context has ended.
//
// The case waits for a version newer than the given one, also when it is used again: to
// wait for the version after the one that was chosen, call OnNewer with that.
func (v *Value[T]) OnNewer(version uint64, value *T, newer *uint64) wake.Case {
	c := &onNewer[T]{v: v, version: version, value: value, newer: newer}
	c.Actions = c
	return c
}

// onNewer is the case. The waiter of a Select is claimed when it is released, which is
// after it left the line, with no lock held.
type onNewer[T any] struct {
	choice.Handle
	v       *Value[T]
	version uint64
	value   *T
	newer   *uint64
	waiter  waitq.CaseWaiter[uint64]
}

// Try looks at the version.
func (c *onNewer[T]) Try(bool) (done bool, err error) {
	if done = c.v.newer(c.version); done {
		c.assign()
	}
	return done, nil
}

// Enter gets in line, or claims a because there is a newer version.
func (c *onNewer[T]) Enter(a *choice.Arm) (entered bool) {
	w := c.waiter.Begin(a)
	w.Value = c.version
	if c.v.enter(w) {
		return true
	}
	c.waiter.End(true)
	a.Claim()
	return false
}

// Leave leaves the line. A Store that took the waiter out of line before may not have
// seen yet that it cannot claim it.
func (c *onNewer[T]) Leave() (unused bool) {
	unused = !c.v.leave(c.waiter.Waiter())
	c.waiter.End(unused)
	return unused
}

// Result assigns what there is now.
func (c *onNewer[T]) Result() error {
	c.waiter.EndChosen()
	c.assign()
	return nil
}

func (c *onNewer[T]) assign() {
	value, newer := c.v.Load()
	if c.value != nil {
		*c.value = value
	}
	if c.newer != nil {
		*c.newer = newer
	}
}

// Undo has nothing to give back.
func (c *onNewer[T]) Undo() { c.waiter.EndChosen() }

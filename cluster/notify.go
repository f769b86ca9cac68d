package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster/engine"
)

// A Notify wakes waiters in all processes that use the bucket, one at a time or all together, as
// notify.Notify does in one process. [NewNotify] returns one. Its methods may be called from any
// goroutine, and those that take a context also from a task of an event loop.
//
// NotifyOne leaves a permit in the bucket, and each Wait that returns takes one, or is woken by
// NotifyWaiters:
//
//   - A permit goes to one Wait of all processes: to one that waits, or if there is none, to one
//     that begins later. Which process gets it is left open. Of the waiters of one process the
//     first in line tries.
//   - At most [NotifyOptions.Permits] are kept. If there are as many that no Wait has taken yet,
//     NotifyOne leaves no more: it shares a permit with an earlier call, and one Wait returns for
//     both, after both have begun.
//   - NotifyWaiters reaches, in each process, the waits that are there when the process sees the
//     call. So it reaches all that began before it, and none that begins after the process has
//     seen it; [Bucket.Sync] waits for that. It neither takes nor leaves a permit.
//
// A waiter looks at its condition, and waits if it does not hold. Between the two it may miss a
// NotifyWaiters. So it says before the look from when on it waits, with [Notify.Listen]:
//
//	for {
//		l := n.Listen()
//		if ready() {
//			break
//		}
//		if err := l.Wait(ctx); err != nil {
//			return err
//		}
//	}
//
// If the condition is in a Map of the same Bucket, a waiter that was woken sees what was stored
// before the call that woke it.
//
// A permit is lost with a process that dies after it has taken it, and before it has done what it
// was woken for. So what must not be lost, a process must also look for when it starts. When a
// process reads everything anew, its waits may return although NotifyWaiters was not called. If
// the bucket is emptied or made anew, permits are lost.
//
// In the terminology of the Go memory model, a call of NotifyOne happens before the return of the
// Wait that takes its permit, and a call of NotifyWaiters before the return of each Wait that it
// reaches, in any process.
type Notify struct {
	slots
	permits int
	all     await.Value[struct{}] // changes when NotifyWaiters was called, or may have been
}

// The keys of a Notify: those of permits, which are there until they are taken, and one that is
// put by each NotifyWaiters. It stays, so that who was cut off finds it.
const (
	permitKey = "p" // and a number
	allKey    = "a"
)

// NotifyOptions configure a [Notify].
type NotifyOptions struct {
	// Name is the name of the Notify in its bucket. Processes that use the same name share the
	// Notify. It may be any string without NUL.
	Name string

	// Permits is the most permits that NotifyOne leaves. Zero means 64. With 1, all calls that
	// come before a waiter has taken the permit wake only one waiter. So set it to at least the
	// number of waiters that should work at the same time. After a time without
	// waiters, as many waits may return at once. Processes may use different numbers.
	Permits int
}

// NewNotify returns the Notify of that name. A Bucket has one Notify of each name; another call
// for the name fails.
func NewNotify(b *Bucket, o *NotifyOptions) (*Notify, error) {
	if o == nil {
		o = new(NotifyOptions)
	}
	if o.Permits < 0 {
		return nil, fmt.Errorf("cluster: the number of Permits is %d", o.Permits)
	}
	n := &Notify{permits: o.Permits}
	if n.permits == 0 {
		n.permits = 64
	}
	n.changed = n.note
	if err := n.open(b, kindNotify, o.Name); err != nil {
		return nil, err
	}
	return n, nil
}

// note wakes waiters when a key has changed. A key that was read anew has not.
func (n *Notify) note(key string, before, now record) {
	switch {
	case key != allKey:
		n.noteChange(key, before, now)
	case before.at != now.at:
		n.all.Store(struct{}{})
	}
}

// NotifyOne wakes one waiter of all processes, or the next Wait if there is none. When it returns
// without an error, the permit is stored as safely as the engine can. The errors are those of
// [Map.Store]. NotifyOne panics if ctx is nil.
func (n *Notify) NotifyOne(ctx context.Context) error { return n.leave(ctx, n.b.write) }

// leave leaves a permit, by write.
func (n *Notify) leave(ctx context.Context, write func(context.Context, engine.Write) (uint64, error)) error {
	for {
		key, seen, ok := n.claim(numbered(permitKey, n.permits), func(_ string, r record) bool { return r.state == none })
		if !ok { // an unconditional put, because those that were seen may have been taken
			key = permitKey + strconv.Itoa(rand.IntN(n.permits))
			_, err := write(ctx, engine.Write{Key: n.prefix + key, Unconditional: true})
			return err
		}
		err := func() error {
			defer n.unclaim(key)
			_, err := write(ctx, engine.Write{Key: n.prefix + key})
			return n.orCatchUp(ctx, key, seen, err)
		}()
		if !errors.Is(err, engine.ErrConflict) {
			return err
		}
	}
}

// orCatchUp returns the error of a write. If the write was refused, it waits before that until this
// process has seen why.
func (n *Notify) orCatchUp(ctx context.Context, key string, seen record, err error) error {
	if errors.Is(err, engine.ErrConflict) {
		return cmp.Or(n.catchUp(ctx, key, seen), err)
	}
	return err
}

// NotifyWaiters wakes all waiters of all processes. When it returns without an error, those of this
// process are woken, or will be soon if ctx has ended. The errors are those of [Map.Store]. NotifyWaiters panics if ctx is nil.
func (n *Notify) NotifyWaiters(ctx context.Context) error {
	_, err := n.b.write(ctx, engine.Write{Key: n.prefix + allKey, Unconditional: true})
	return err
}

// Wait takes a permit if there is one. Otherwise it waits until it gets one, or NotifyWaiters is
// called. While the engine cannot be reached, it waits.
//
// If ctx ends first, or has ended before the call, Wait returns an error that matches ctx.Err() and
// context.Cause(ctx). After [Bucket.Close] the error matches [ErrClosed]. If it also matches
// [ErrUnknown], Wait may have taken a permit: the caller should look at its condition, or call
// NotifyOne for another waiter. Otherwise a Wait that fails has taken none. Wait panics if ctx is
// nil.
func (n *Notify) Wait(ctx context.Context) error { return n.Listen().Wait(ctx) }

// TryWait takes a permit and reports whether there was one. It asks the engine, and waits for the
// answer. The errors are those of [Notify.Wait].
func (n *Notify) TryWait(ctx context.Context) (taken bool, err error) {
	mustContext(ctx)
	within, cancel := n.within(ctx)
	defer n.b.orUndo(cancel, func() { n.undo(taken) })
	taken, err = n.take(within)
	if !taken && err == nil { // it may have been left before the call
		if err = n.b.Sync(within); err == nil {
			taken, err = n.take(within)
		}
	}
	return taken, n.asClosed(ctx, err)
}

// Waiters returns the number of waiters of this process.
func (n *Notify) Waiters() int { return n.waiters() }

// A Listener waits for a [Notify] from the time on at which [Notify.Listen] returned it. It need
// not be stopped. Its methods may be called from any goroutine.
type Listener struct {
	n     *Notify
	since uint64 // the version of n.all
}

// Listen returns a Listener, whose Wait is reached by each NotifyWaiters that begins after Listen
// has returned, on any machine.
func (n *Notify) Listen() *Listener {
	_, version := n.all.Load()
	return &Listener{n, version}
}

// Wait is [Notify.Wait], but returns at once if this process has seen a NotifyWaiters since Listen.
// So each round of a loop calls Listen anew.
func (l *Listener) Wait(ctx context.Context) error {
	mustContext(ctx)
	if ctx.Err() != nil {
		return engine.ContextError(ctx)
	}
	within, cancel := l.n.within(ctx)
	taken := false
	defer l.n.b.orUndo(cancel, func() { l.n.undo(taken) })
	taken, err := l.wait(within)
	return l.n.asClosed(ctx, err)
}

// wait reports whether it has taken a permit.
func (l *Listener) wait(ctx context.Context) (taken bool, err error) {
	n := l.n
	all := n.all.OnNewer(l.since, nil, nil)
	if chosen, err := await.Select(ctx, all, n.line.OnLock()); chosen != 1 || err != nil {
		return false, err
	}
	defer n.b.orUndo(n.line.Unlock, func() { n.undo(taken) })
	for {
		_, version := n.changes.Load()
		if taken, err := n.take(ctx); taken || err != nil {
			return taken, err
		}
		if chosen, err := await.Select(ctx, all, n.changes.OnNewer(version, nil, nil)); chosen != 1 || err != nil {
			return false, err
		}
	}
}

// take takes a permit that this process sees. It reports false if there is none.
func (n *Notify) take(ctx context.Context) (taken bool, err error) {
	isPermit := func(key string, r record) bool { return strings.HasPrefix(key, permitKey) }
	for {
		key, seen, ok := n.claim(maps.Keys(n.there), isPermit)
		if !ok {
			return false, nil
		}
		if err := n.takePermit(ctx, key, seen); !errors.Is(err, engine.ErrConflict) {
			return err == nil, err
		}
	}
}

// takePermit takes a permit whose key is claimed, and unclaims it. If the engine refuses that, it
// waits until this process has seen why.
func (n *Notify) takePermit(ctx context.Context, key string, seen record) (err error) {
	taken := false
	defer n.b.orUndo(func() { n.unclaim(key) }, func() { n.undo(taken) })
	err = n.b.take(ctx, n.prefix+key, seen.at.revision, func(err error) {
		n.undo(err == nil || errors.Is(err, ErrUnknown))
	})
	taken = err == nil
	return n.orCatchUp(ctx, key, seen, err)
}

// undo leaves a permit in place of one that was taken, or may have been, also while the Bucket is
// being closed.
func (n *Notify) undo(taken bool) {
	if taken {
		_ = n.leave(context.Background(), n.b.writeAlways)
	}
}

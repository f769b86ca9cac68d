package waitmap

import (
	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/internal/monotime"
	"github.com/vigil-go/vigil/wake"
)

// OnStore returns [Map.Wait] as a case of await.Select: it happens if there is a value for
// key, or when one is stored. Then the value is assigned to *v, unless v is nil. The case
// ends with an error that matches [ErrCanceled] if Cancel ends the wait, and with
// [ErrClosed] if the map is closed and has no value for key. Then *v keeps its value.
func (m *Map[K, V]) OnStore(key K, v *V) wake.Case {
	return new(keyCase[K, V]).init(m, key, v, false)
}

// OnTake returns [Map.Take] as a case of await.Select. It removes the value only if it is
// the case that happens, and then assigns it to *v, unless v is nil. The errors with which
// the case ends are those of [Map.OnStore].
func (m *Map[K, V]) OnTake(key K, v *V) wake.Case {
	return new(keyCase[K, V]).init(m, key, v, true)
}

// A keyCase is a wait for a key as a case of a Select. Its methods are those of
// choice.Actions.
type keyCase[K comparable, V any] struct {
	choice.Handle
	m     *Map[K, V]
	key   K
	hash  uint64
	to    *V              // where the value goes; nil: it is dropped
	takes bool            // OnTake
	arm   *choice.Arm     // of the waiter while it is in line, and until its Select is over
	node  *waitNode[K, V] // the waiter; nil: a notifier or other waiters may still use the last one
	first waitNode[K, V]
}

func (c *keyCase[K, V]) init(m *Map[K, V], key K, to *V, takes bool) *keyCase[K, V] {
	c.Actions, c.m, c.key, c.hash = c, m, key, m.init().hash(key)
	c.to, c.takes, c.node = to, takes, &c.first
	return c
}

// Try looks without a lock. Whether a closed map has a value is decided with the key
// locked, since the value may have come between the look and Close. If the case is in line
// for another Select, its waiter is not used: Select panics when it is to get in line.
func (c *keyCase[K, V]) Try(consume bool) (done bool, err error) {
	e := c.m.init()
	var v V
	switch {
	case !c.takes:
		v, done = c.m.load(c.key)
	case consume:
		v, done = e.loadAndDelete(c.key, c.hash, false)
	default:
		return false, nil
	}
	switch {
	case done:
		c.assign(v)
	case c.takes:
		e.checkHold(c.key, c.hash)
	}
	if done || !e.closed.Load() || c.User != nil {
		return done, nil
	}
	return c.tryClosed(e)
}

// tryClosed is Try under the lock of the key.
func (c *keyCase[K, V]) tryClosed(e *engine[K, V]) (done bool, err error) {
	c.renew()
	var kl keyLock[K, V]
	e.lockKey(&kl, c.key, c.hash, true)
	if !c.ready(e, &kl) {
		kl.release()
		return false, nil
	}
	c.happen(e, &kl)
	return true, c.Result()
}

// Enter gets in line with a as the waker, or makes the case happen.
func (c *keyCase[K, V]) Enter(a *choice.Arm) (entered bool) {
	e := c.m.init()
	c.renew()
	var kl keyLock[K, V]
	e.lockKey(&kl, c.key, c.hash, true)
	switch {
	case !c.ready(e, &kl): // the second look
		c.push(&kl, a)
		return true
	case a.Claim():
		c.happen(e, &kl)
	default:
		kl.release()
	}
	return false
}

// renew makes the node ready to get in line.
func (c *keyCase[K, V]) renew() {
	if c.node == nil {
		c.node = new(waitNode[K, V])
	}
	c.node.w.Renew()
	if c.takes {
		c.node.w.SetExclusive()
	}
}

// ready reports whether the case can happen now, if only with an error.
func (c *keyCase[K, V]) ready(e *engine[K, V], kl *keyLock[K, V]) bool {
	if kl.live {
		return !c.takes || !kl.held()
	}
	return e.closed.Load() // its partner is Close, which sweeps the lines after it
}

// push gets in line and releases kl.
func (c *keyCase[K, V]) push(kl *keyLock[K, V], a *choice.Arm) {
	w := &c.node.w
	w.SetArm(a)
	w.Value.since = monotime.Now()
	if kl.line == nil {
		kl.open(&c.node.line, c.key)
	}
	c.arm = a
	kl.line.push(w)
	kl.release()
}

// happen makes the case happen, which is ready, and releases kl. What it got is in the
// node before it removes the entry, so that Undo finds it even if a Hash panics.
func (c *keyCase[K, V]) happen(e *engine[K, V], kl *keyLock[K, V]) {
	o := &c.node.w.Value
	switch o.v, _ = kl.old(e); {
	case !kl.live:
		o.err = closed
		kl.release()
	case c.takes:
		e.remove(kl)
	default:
		kl.release()
	}
}

// Leave takes the waiter out of line. A notifier that took it out before, and could not
// finish it, does not use the arm any more, but it may still use the node.
func (c *keyCase[K, V]) Leave() (unused bool) {
	c.free(c.lines().leave(&c.node.w))
	return true
}

// Result may run while the notifier that claimed the arm has not finished the waiter
// yet. Its outcome was written before the claim.
func (c *keyCase[K, V]) Result() error {
	o := &c.node.w.Value
	v, err := o.result()
	o.dropValue()
	ours := c.arm == nil || c.arm.Called()
	if !ours && c.takes {
		c.lines().settle()
	}
	c.free(ours)
	if err == nil {
		c.assign(v)
	}
	return err
}

// Undo stores a value that was taken as LoadOrStore does, see unwind.
func (c *keyCase[K, V]) Undo() {
	v, err := c.node.w.Value.result()
	c.free(false)
	if c.takes && err == nil {
		c.m.init().loadOrStore(c.key, v)
	}
}

// free ends the use of the node. The next Select uses it again if it is ours: if neither
// a notifier nor, for its line, another waiter may still use it.
func (c *keyCase[K, V]) free(ours bool) {
	c.arm = nil
	if ours && c.node.w.Value.line != &c.node.line.lineHead {
		c.node.w.Renew() // drops the arm
	} else {
		c.node = nil
	}
}

func (c *keyCase[K, V]) assign(v V) {
	if c.to != nil {
		*c.to = v
	}
}

func (c *keyCase[K, V]) lines() *lines[K, V] { return &c.m.init().shard(c.hash).lines }

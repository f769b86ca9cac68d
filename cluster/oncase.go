package cluster

import (
	"context"
	"errors"
	"sync"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// OnStore returns [Map.Wait] as a case of await.Select: it happens if there is a value for
// key, or when one is stored. Then the value and its revision are assigned to *e, unless e is
// nil. The errors with which the case ends are those of [Map.Wait].
func (m *Map[V]) OnStore(key string, e *Entry[V]) wake.Case {
	c := &gated{gate: &m.b.gate, local: choice.Of(m.local.OnStore(key, e)).Actions}
	c.Actions = c
	return c
}

// OnTake returns [Map.Take] as a case of await.Select. It happens if this process sees a value
// for key and the engine lets it remove that. Then the value is assigned to *v, unless v is
// nil. Of all takers in all processes, those in [Map.Take] included, exactly one gets each
// value, and a Select that chooses another case, or none, takes nothing. Which taker gets a
// value is left open.
//
// If this process sees a value, the Select asks the engine to remove it. Until the answer has
// come, no other case can happen, not even a timer, but the end of ctx ends that. If another
// taker was faster, the Select goes on waiting, at the end of all lines. In one process, one
// Select at a time asks for the value of a key. A Cancel that comes before the answer does not
// end the Select.
//
// The errors with which the case ends are those of [Map.Take], but not that of ctx if nothing
// was taken. If the error matches [ErrUnknown], as it can if ctx ends while the answer is
// missing, the value may have been taken, and is assigned to *v all the same, so that it is
// not lost: nobody else gets it, or it is still there. If the process ends in that moment,
// the value is lost, as it is after any Take.
func (m *Map[V]) OnTake(key string, v *V) wake.Case {
	c := &takeCase[V]{m: m, key: key, to: v}
	c.gate, c.local = &m.b.gate, choice.Of(m.offers.turns.OnTake(key, nil)).Actions
	c.Actions, c.Commit = c, c.commit
	return c
}

// A gated case is one of a local map that does not look while the gate is closed.
type gated struct {
	choice.Handle
	gate  *gate
	local choice.Actions
}

func (c *gated) Try(consume bool) (done bool, err error) {
	c.gate.pass()
	return c.local.Try(consume)
}

func (c *gated) Enter(a *choice.Arm) (entered bool) {
	c.gate.pass()
	return c.local.Enter(a)
}

func (c *gated) Leave() (unused bool) { return c.local.Leave() }

func (c *gated) Result() error { return c.local.Result() }

func (c *gated) Undo() { c.local.Undo() }

// A takeCase is a case that waits for the turn to ask the engine for a value. Its methods are
// those of choice.Actions, and commit, which asks. From Try, Enter or Result on, which get the
// turn, until commit or Undo, the case has begun to ask, unless another one has.
type takeCase[V any] struct {
	gated
	m    *Map[V]
	key  string
	to   *V // where the value goes; nil: it is dropped
	asks bool
}

func (c *takeCase[V]) Try(consume bool) (done bool, err error) {
	if !consume {
		return false, nil
	}
	c.join()
	if done, err = c.gated.Try(true); done && err == nil {
		c.asks = c.m.offers.begin(c.key)
		return true, nil
	}
	c.m.offers.leave(c.key)
	return done, err
}

// join makes the case one of those that want a value. If the waker of another one panics or exits, it
// is none.
func (c *takeCase[V]) join() {
	c.m.offers.join(c.key)
	joined := false
	defer func() {
		if !joined {
			c.m.offers.leave(c.key)
		}
	}()
	c.m.offer(c.key)
	joined = true
}

func (c *takeCase[V]) Enter(a *choice.Arm) (entered bool) {
	c.join()
	entered = c.gated.Enter(a)
	if !entered && !a.Won() {
		c.m.offers.leave(c.key)
	}
	return entered
}

func (c *takeCase[V]) Leave() (unused bool) {
	defer c.m.offers.leave(c.key)
	return c.gated.Leave()
}

func (c *takeCase[V]) Result() error {
	if err := c.gated.Result(); err != nil {
		c.m.offers.leave(c.key)
		return err
	}
	c.asks = c.m.offers.begin(c.key)
	return nil
}

// Undo gives the turn back.
func (c *takeCase[V]) Undo() {
	defer c.m.offers.leave(c.key)
	c.gated.Undo()
}

// commit asks the engine for the value.
func (c *takeCase[V]) commit(ctx context.Context) (done bool, err error) {
	if !c.asks {
		c.m.offers.leave(c.key)
		return false, nil
	}
	var v V
	taken := false
	defer c.m.b.orUndo(func() {
		c.m.offers.end(c.key)
		c.m.offer(c.key)
	}, func() {
		if taken {
			c.m.putBack(c.key, v)
		}
	})
	e, ok := c.m.LoadEntry(c.key)
	if !ok {
		return false, nil
	}
	v, done, err = c.m.takeEntry(ctx, c.key, e)
	taken = done && err == nil
	unknown := errors.Is(err, ErrUnknown)
	if err != nil && !unknown && ctx.Err() != nil { // the Select ends with the error of ctx
		return false, nil
	}
	if done && (err == nil || unknown) && c.to != nil {
		*c.to = v
	}
	return done, err
}

// offer gives the next case of key the turn to ask for its value, if there is one and no
// case asks.
func (m *Map[V]) offer(key string) {
	if !m.offers.wanted(key) {
		return
	}
	if _, ok := m.local.Load(key); ok {
		m.offers.turns.Store(key, struct{}{})
		m.offers.drop(key)
	}
}

// Offers give the OnTake cases of a key in this process turns to ask the engine for its
// value. Otherwise each value would make all of them ask.
//
//	turns   has key if the next case may ask: at least if there is a value, a case wants it,
//	        and none asks
//	asking  a case asks; when it has the answer, it offers what is there then
//
// A turn without a value does no harm: the case finds nothing, and its Select begins again.
type offers struct {
	mu    sync.Mutex
	keys  map[string]*offered // while a case wants the value of the key
	turns waitmap.Map[string, struct{}]
}

// An offered key is wanted by cases.
type offered struct {
	cases  int
	asking bool
}

// join counts a case in. The value must be offered after that.
func (o *offers) join(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[key]
	if k == nil {
		k = new(offered)
		if o.keys == nil {
			o.keys = make(map[string]*offered)
		}
		o.keys[key] = k
	}
	k.cases++
}

// leave counts a case out.
func (o *offers) leave(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[key]
	if k.cases--; k.cases == 0 {
		delete(o.keys, key)
		o.turns.Delete(key)
	}
}

// drop takes back a turn that nobody wants any more.
func (o *offers) drop(key string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.keys[key] == nil {
		o.turns.Delete(key)
	}
}

func (o *offers) wanted(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[key]
	return k != nil && !k.asking
}

// begin makes a case that has got the turn the one that asks. It reports false if another one
// asks, which will offer what is there afterwards.
func (o *offers) begin(key string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[key]
	if k.asking {
		return false
	}
	k.asking = true
	return true
}

// end counts the case that asks out. The value must be offered after that.
func (o *offers) end(key string) {
	o.mu.Lock()
	o.keys[key].asking = false
	o.mu.Unlock()
	o.leave(key)
}

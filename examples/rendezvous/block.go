package main

import (
	"container/list"
	"context"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// How BLPOP and BRPOP wait.
//
// A waiter is in the line of each of its keys. A push takes the first one in line and hands
// it an element: a Store under the waiter's number, which wakes it on whatever loop it is.
//
// No wake is lost: a waiter looks at the list and gets in line in one Compute of the key,
// and a push adds to the list and looks at the line in one Compute of the same key. So
// either the push comes first, and the waiter finds the element, or the waiter does, and
// the push finds the waiter.
//
// No element is lost, and a waiter takes from one key only: before somebody takes an element
// for a waiter he claims the waiter, which only one can: a push, the waiter itself when it
// finds an element, or the waiter itself when it gives up. A waiter that is claimed is
// passed over by all others. A claimed element is on its way: the waiter that would give up
// waits for it, and puts it back if there is nobody to give it to.

// A waiter waits for an element of any of its keys.
type waiter struct {
	number  uint64 // its key in database.served
	at      end    // where it takes from
	claimed atomic.Bool
	places  map[string]*list.Element // in the lines of its keys
}

func (w *waiter) claim() bool { return w.claimed.CompareAndSwap(false, true) }

// A line is the waiters for a key, the first in front.
type line struct{ list.List }

// An element was taken from the list of a key.
type element struct {
	key  string
	item []byte
}

// A handover is an element for the waiter with that number.
type handover struct {
	waiter uint64
	element
}

// serve takes elements from the list of key for those in line, in a Compute of the key.
func (db *database) serve(key string, l *deque) (handed []handover) {
	if _, ok := db.lines.Load(key); !ok {
		return nil // and nobody gets in line before this Compute ends
	}
	db.lines.Compute(key, func(line *line, ok bool) (*line, waitmap.Op) {
		for ok && l.len() > 0 && line.Len() > 0 {
			if w := line.Remove(line.Front()).(*waiter); w.claim() {
				handed = append(handed, handover{w.number, element{key, l.pop(w.at)}})
			}
		}
		return line, keepUnlessEmpty(line)
	})
	return handed
}

func keepUnlessEmpty(l *line) waitmap.Op {
	if l != nil && l.Len() > 0 {
		return waitmap.KeepOp
	}
	return waitmap.DeleteOp
}

// enter gets w in line for key, or takes an element if there is one.
func (db *database) enter(key string, w *waiter) (e element, ok bool) {
	db.change(key, func(old *value) *value {
		if old == nil || old.list == nil { // another type may become a list some day
			db.getInLine(key, w)
			return old
		}
		if ok = w.claim(); ok { // otherwise a push to another key has been faster
			e = element{key, old.list.pop(w.at)}
		}
		if old.list.len() == 0 {
			return nil
		}
		return old
	})
	return e, ok
}

func (db *database) getInLine(key string, w *waiter) {
	db.lines.Compute(key, func(l *line, ok bool) (*line, waitmap.Op) {
		if !ok {
			l = new(line)
		}
		w.places[key] = l.PushBack(w)
		return l, waitmap.StoreOp
	})
}

// leave takes w out of all lines. It is harmless where w has been passed already.
func (db *database) leave(w *waiter) {
	for key, place := range w.places {
		db.lines.Compute(key, func(l *line, ok bool) (*line, waitmap.Op) {
			if ok {
				l.Remove(place) // does nothing if the place is in an older line
			}
			return l, keepUnlessEmpty(l)
		})
	}
}

// popAny takes an element of the first of keys that has one, without waiting.
func (db *database) popAny(keys []string, at end) (e element, ok bool, err error) {
	for _, key := range keys {
		items, found, err := db.pop(key, at, 1)
		if err != nil {
			return element{}, false, err
		}
		if found {
			return element{key, items[0]}, true, nil
		}
	}
	return element{}, false, nil
}

// waitAny waits until it has taken an element of one of keys. ok is false if limit, unless it
// is 0, or ctx ended before: then nothing was taken.
func (db *database) waitAny(ctx context.Context, number uint64, keys []string, at end, limit time.Duration) (e element, ok bool) {
	w := &waiter{number: number, at: at, places: make(map[string]*list.Element)}
	defer db.leave(w)
	for _, key := range keys {
		if w.places[key] != nil {
			continue // it is named twice
		}
		if e, ok = db.enter(key, w); ok {
			return e, true
		}
	}
	return db.takeServed(ctx, w, limit)
}

// takeServed waits for the element that a push hands to w, which is in line.
func (db *database) takeServed(ctx context.Context, w *waiter, limit time.Duration) (e element, ok bool) {
	var timeout wake.Case // nil: never
	if limit > 0 {
		timeout = await.After(limit)
	}
	if i, _ := await.Select(ctx, db.served.OnTake(w.number, &e), timeout); i == 0 {
		return e, true
	}
	if w.claim() {
		return element{}, false
	}
	// A push was faster. It has taken the element already and stores it next, so this
	// wait is short, and must not end with ctx.
	e, err := db.served.Take(context.WithoutCancel(ctx), w.number)
	return e, err == nil
}

// putBack undoes the pop of e. Who is in line gets it then.
func (db *database) putBack(e element, at end) {
	_, _ = db.push(e.key, at, [][]byte{e.item}) // fails if the key is another type by now
}

// inLine is the number of waiters for the list of key.
func (db *database) inLine(key string) (n int) {
	db.lines.Compute(key, func(l *line, ok bool) (*line, waitmap.Op) {
		if ok {
			n = l.Len()
		}
		return l, waitmap.KeepOp
	})
	return n
}

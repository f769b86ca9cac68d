package main

import (
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/waitmap"
)

// A shelf is an awaitable map whose values go away by themselves.
//
// Each value has a timer that removes it, so a value that is there is fresh
// and readers never look at a clock. The timer removes that very item
// (CompareAndDelete), never the one that came after it.
type shelf[K comparable, V any] struct {
	waitmap.Map[K, *item[V]]
	shelfOptions[V]
	waiting gauge // callers that did not find their value
}

type shelfOptions[V any] struct {
	ttl   func(V) time.Duration // how long a value is kept; 0: not at all
	limit int                   // how many are kept, or a few more if many come at once
}

// An item is a value's identity, and whether it stays.
type item[V any] struct {
	value V
	stays bool
}

// get returns the value that is there. One that does not stay is only for
// those who waited for it, not for who comes by in the moment of its life.
func (s *shelf[K, V]) get(key K) (v V, ok bool) {
	it, ok := s.Load(key)
	if !ok || !it.stays {
		return v, false
	}
	return it.value, true
}

// publish hands v to everybody who waits for key and keeps it for its time.
// A value that may not be kept is published all the same: a store reaches all
// that wait, even if the value is deleted the next moment.
func (s *shelf[K, V]) publish(key K, v V) {
	ttl := s.ttl(v)
	it := &item[V]{value: v, stays: ttl > 0 && s.Len() < s.limit}
	s.Store(key, it)
	remove := func() { waitmap.CompareAndDelete(&s.Map, key, it) }
	if it.stays {
		time.AfterFunc(ttl, remove)
	} else {
		remove()
	}
}

// A gauge goes up and down and remembers its peak.
type gauge struct{ now, top atomic.Int64 }

func (g *gauge) add(n int64) {
	now := g.now.Add(n)
	for top := g.top.Load(); now > top && !g.top.CompareAndSwap(top, now); {
		top = g.top.Load()
	}
}

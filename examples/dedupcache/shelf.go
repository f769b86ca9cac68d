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
	limit int                   // how many are kept
}

// An item is a value's identity.
type item[V any] struct{ value V }

func (s *shelf[K, V]) get(key K) (v V, ok bool) {
	it, ok := s.Load(key)
	if !ok {
		return v, false
	}
	return it.value, true
}

// publish hands v to everybody who waits for key and keeps it for its time.
// A value that may not be kept is published all the same: a store reaches all
// that wait, even if the value is deleted the next moment.
func (s *shelf[K, V]) publish(key K, v V) {
	it := &item[V]{value: v}
	s.Store(key, it)
	remove := func() { waitmap.CompareAndDelete(&s.Map, key, it) }
	if ttl := s.ttl(v); ttl > 0 && s.Len() <= s.limit {
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

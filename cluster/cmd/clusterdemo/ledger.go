package main

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A ledger has all loads of all workers. Its methods may be called from any goroutine.
type ledger struct {
	mu    sync.Mutex
	loads map[string][]*load // by their keys
}

func (l *ledger) begun(one *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loads == nil {
		l.loads = make(map[string][]*load)
	}
	l.loads[one.Key] = append(l.loads[one.Key], one)
}

// ended notes what has become of a load that has begun.
func (l *ledger) ended(one *load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.loads[one.Key]
	for i, other := range all {
		if other.Worker == one.Worker && other.Fence == one.Fence {
			all[i] = one
		}
	}
}

// first returns the first load of a key by a worker for which ok reports true, or nil.
func (l *ledger) first(key string, ok func(worker int) bool) *load {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.loads[key] {
		if ok(one.Worker) {
			return one
		}
	}
	return nil
}

func (l *ledger) count() (loads, keys int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, all := range l.loads {
		loads += len(all)
	}
	return loads, len(l.loads)
}

// duplicates returns what is wrong with loads that were one too many.
func (l *ledger) duplicates() (wrong []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, all := range l.loads {
		wrong = append(wrong, duplicates(all)...)
	}
	slices.Sort(wrong)
	return wrong
}

// duplicates looks at the loads of one key, in the order of their fences. A page that was stored at
// a revision before a fence was there when the lease was taken.
func duplicates(all []*load) (wrong []string) {
	byFence := slices.SortedFunc(slices.Values(all), func(a, b *load) int { return cmp.Compare(a.Fence, b.Fence) })
	stored := slices.DeleteFunc(slices.Clone(all), func(l *load) bool { return l.Stored == 0 })
	slices.SortFunc(stored, func(a, b *load) int { return cmp.Compare(a.Stored, b.Stored) })
	var last *load  // the one before
	var until *load // of the pages that were there, the one that ends last
	for _, one := range byFence {
		for ; len(stored) > 0 && stored[0].Stored < one.Fence; stored = stored[1:] {
			if until == nil || stored[0].Until.After(until.Until) {
				until = stored[0]
			}
		}
		switch {
		case last != nil && last.Fence == one.Fence:
			wrong = append(wrong, fmt.Sprintf("workers %d and %d have loaded %q under the fence %d", last.Worker, one.Worker, one.Key, one.Fence))
		case until != nil && one.Begun.Before(until.Until):
			wrong = append(wrong, fmt.Sprintf("worker %d has loaded %q %v before the page of worker %d ended",
				one.Worker, one.Key, until.Until.Sub(one.Begun).Round(time.Millisecond), until.Worker))
		}
		last = one
	}
	return wrong
}

package dedup_test

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// A modelKey is the expected state of a key.
type modelKey struct {
	entry  *modelEntry
	flight *modelLoad // that can be joined
}

type modelEntry struct {
	has    bool
	v      int
	stored time.Time
	failed bool      // an error is kept
	err    error     // it
	until  time.Time // it is kept until then
	retry  time.Time // a load failed: no other one is due before
	inRow  int       // loads that failed in a row
	used   time.Time // somebody asked for the value
}

// age returns how long the value has been stale, or less than zero.
func (e *modelEntry) age(o *options) time.Duration {
	if o.TTL == 0 {
		return -1
	}
	return time.Since(e.stored) - o.TTL
}

// over reports whether the value cannot be served any more.
func (e *modelEntry) over(o *options) bool {
	return e.idle(o) || e.age(o) >= max(o.StaleWhileRevalidate, o.StaleIfError)
}

func (e *modelEntry) idle(o *options) bool { return o.IdleTTL > 0 && time.Since(e.used) >= o.IdleTTL }

// A modelLoad is a load that has begun.
type modelLoad struct {
	key     string
	number  int
	pinned  bool
	callers int
	stays   bool // its result is to be stored
	over    bool
	old     *modelEntry // what was kept when it began
	call    *call
	batch   *modelBatch // that it is a part of, or nil
}

// A modelCall is a Get or Refresh that waits.
type modelCall struct {
	load    *modelLoad
	refresh bool
	entry   bool // a GetEntry
	cancel  context.CancelFunc
	got     <-chan result
}

// answer returns the answer without a load, whether there is one, and whether it is stale
// and to be renewed.
func (m *model) answer(e *modelEntry) (r result, ok, stale, renew bool) {
	if e == nil {
		return r, false, false, false
	}
	recently, has := time.Now().Before(e.retry), e.has && !e.idle(m.o)
	switch age := e.age(m.o); {
	case has && age < 0:
		return result{v: e.v}, true, false, false
	case has && age < m.o.StaleWhileRevalidate:
		return result{v: e.v}, true, true, !recently
	case has && age < m.o.StaleIfError && recently:
		return result{v: e.v}, true, true, false
	case e.failed && time.Now().Before(e.until):
		return result{err: e.err}, true, false, false
	}
	return r, false, false, false
}

// call is a Get, a GetEntry, a Refresh or a RefreshMany of one key.
func (m *model) call(key string, refresh bool, arg int) {
	entry, many := arg&2 != 0, arg&4 != 0
	k := m.key(key)
	ctx, cancel := context.WithCancel(bg)
	got := async(func() result {
		switch {
		case refresh && many:
			return result{err: m.c.RefreshMany(ctx, []string{key})}
		case refresh:
			return result{err: m.c.Refresh(ctx, key)}
		case entry:
			e, err := m.c.GetEntry(ctx, key)
			return result{e.Value, e.Stale, err}
		}
		return get(m.c, ctx, key)
	})
	synctest.Wait()
	if r, ok, stale, renew := m.answer(k.entry); ok && !refresh {
		m.stats.Hits++
		if r.err == nil {
			k.entry.used = time.Now()
		}
		if stale {
			m.stats.Stale++
		}
		if renew && k.flight == nil {
			m.begin(key, false).pinned = true
		}
		r.shared = stale && entry
		m.returned(got, r)
		cancel()
		return
	}
	if !refresh {
		m.stats.Misses++
	}
	l := k.flight
	if l != nil && m.o.MaxWaiters > 0 && l.callers == m.o.MaxWaiters {
		m.returned(got, result{err: dedup.ErrTooManyWaiters})
		cancel()
		return
	}
	if l == nil {
		l = m.begin(key, refresh && many)
	} else if !refresh {
		m.stats.Coalesced++
	}
	l.callers++
	m.calls = append(m.calls, &modelCall{l, refresh, entry, cancel, got})
}

// begin begins a load. alone says that it gathers no others.
func (m *model) begin(key string, alone bool) *modelLoad {
	l := &modelLoad{key: key, number: len(m.starts) + 1, stays: true, old: m.key(key).entry}
	m.starts = append(m.starts, l)
	m.key(key).flight = l
	if m.o.MaxBatch > 0 {
		m.gather(l, alone)
	}
	return l
}

// quit ends the context of a call.
func (m *model) quit(c *modelCall) {
	c.cancel()
	synctest.Wait()
	m.returned(c.got, result{err: context.Canceled})
	m.drop(c)
	l := c.load
	l.callers--
	if l.callers > 0 || l.pinned {
		return
	}
	if k := m.key(l.key); k.flight == l {
		k.flight = nil
	}
	l.stays = false
	m.leaveBatch(l.batch)
}

func (m *model) drop(c *modelCall) {
	for i := range m.calls {
		if m.calls[i] == c {
			m.calls = append(m.calls[:i:i], m.calls[i+1:]...)
			return
		}
	}
}

// pick returns a load that has not ended.
func (m *model) pick(arg int) *modelLoad {
	var open []*modelLoad
	for _, l := range m.starts {
		if !l.over {
			open = append(open, l)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return open[arg%len(open)]
}

// end ends a load, with a value or an error.
func (m *model) end(l *modelLoad, err error) {
	if l.over || l.batch != nil {
		return
	}
	r := result{v: l.number}
	if err != nil {
		r = result{err: err}
	}
	l.call.gate <- r
	synctest.Wait()
	m.ended(l, r)
}

// ended notes that a load has ended, and checks what its callers get.
func (m *model) ended(l *modelLoad, r result) {
	l.over = true
	m.stats.Loads++
	err := r.err
	if err != nil {
		m.stats.LoadErrors++
	}
	refreshed := r.err
	if l.stays {
		r = m.store(l, r.v, err)
		m.key(l.key).flight = nil
	}
	for _, c := range append([]*modelCall(nil), m.calls...) {
		switch {
		case c.load != l:
			continue
		case c.refresh:
			m.returned(c.got, result{err: refreshed})
		default:
			want := r
			want.shared = r.shared && c.entry
			m.returned(c.got, want)
		}
		c.cancel()
		m.drop(c)
	}
}

// store ends a load that can be joined, and returns what its callers get.
func (m *model) store(l *modelLoad, v int, err error) result {
	k := m.key(l.key)
	if err == nil {
		m.leave(k.entry, dedup.RemoveReplaced)
		k.entry = &modelEntry{has: true, v: v, stored: time.Now(), used: time.Now()}
		return result{v: v}
	}
	if err == dedup.ErrGone {
		m.leave(k.entry, dedup.RemoveInvalidated)
		k.entry = nil
	}
	old := k.entry
	useful := old != nil && old.has && !old.idle(m.o) && old.age(m.o) < max(m.o.StaleIfError, m.o.StaleWhileRevalidate)
	var e modelEntry
	wait := modelCool
	if m.o.ErrorTTL > 0 {
		wait = m.o.ErrorTTL
		e = modelEntry{failed: true, err: err, until: time.Now().Add(wait)}
	}
	if useful {
		e.has, e.v, e.stored, e.used, e.inRow = true, old.v, old.stored, old.used, old.inRow+1
		if l.callers > 0 {
			e.used = time.Now()
		}
		for n := 1; n < e.inRow && wait < m.o.MaxBackoff; n++ {
			wait = min(2*wait, m.o.MaxBackoff)
		}
	} else if m.o.ErrorTTL > 0 {
		m.leave(old, dedup.RemoveReplaced)
	}
	if e.retry = time.Now().Add(wait); m.o.ErrorTTL > 0 || e.has && m.o.TTL > 0 && max(m.o.StaleIfError, m.o.StaleWhileRevalidate) > 0 {
		k.entry = &e
	}
	if useful {
		m.stats.Stale += uint64(l.callers)
		return result{v: old.v, shared: true}
	}
	return result{err: err}
}

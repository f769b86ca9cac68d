package dedup_test

import (
	"errors"
	"maps"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// checkRemoved compares what OnRemove was told with what has left. A value whose time is
// over may have left before the model removes it.
func (m *model) checkRemoved() {
	if m.o.OnRemove == nil {
		return
	}
	for _, k := range m.keys {
		if e := k.entry; e != nil && e.has && e.over(m.o) && m.removed[e.v] == dedup.RemoveExpired {
			m.left[e.v] = dedup.RemoveExpired
			e.has = false
		}
	}
	require.Equal(m.t, m.left, m.removed, "%v", m)
}

// returned requires that a call has returned want.
func (m *model) returned(got <-chan result, want result) {
	m.t.Helper()
	select {
	case r := <-got:
		require.Equal(m.t, want.v, r.v, "%v", m)
		require.Equal(m.t, want.shared, r.shared, "stale: %v", m)
		require.True(m.t, errors.Is(r.err, want.err), "want %v, got %v: %v", want.err, r.err, m)
	default:
		require.Fail(m.t, "has not returned", "%v", m)
	}
}

// check compares everything visible between steps.
func (m *model) check() {
	loading := make(map[string]int)
	for key, info := range m.c.InFlight() {
		loading[key] = info.Waiters
	}
	fresh := make(map[string]int)
	for key, k := range m.keys {
		m.checkEntry(key, k.entry)
		r, ok, stale, _ := m.answer(k.entry)
		v, there := m.c.Peek(key)
		if there {
			fresh[key] = v
		}
		require.Equal(m.t, ok && !stale && r.err == nil, there, "Peek %s: %v", key, m)
		if there {
			require.Equal(m.t, r.v, v, "%v", m)
		}
		waiters, in := loading[key]
		require.Equal(m.t, k.flight != nil, in, "in flight %s: %v", key, m)
		if in {
			require.Equal(m.t, k.flight.callers, waiters, "%v", m)
		}
	}
	require.Equal(m.t, fresh, maps.Collect(m.c.All()), "%v", m)
	m.checkRemoved()
	for _, c := range m.calls {
		select {
		case r := <-c.got:
			require.Fail(m.t, "returned early", "%+v: %v", r, m)
		default:
		}
	}
	for _, l := range m.starts {
		if !l.over && l.batch == nil {
			canceled := l.callers == 0 && !l.pinned
			require.Equal(m.t, canceled, l.call.ctx.Err() != nil, "load %d canceled: %v", l.number, m)
		}
	}
	m.checkBatches()
	s := m.c.Stats()
	s.Entries, s.InFlight, s.LoadTime = 0, 0, 0
	require.Equal(m.t, m.stats, s, "%v", m)
}

// checkEntry compares Entry with the model.
func (m *model) checkEntry(key string, e *modelEntry) {
	d, ok := m.c.Entry(key)
	failed := e != nil && e.failed && time.Now().Before(e.until)
	has := e != nil && e.has && !e.over(m.o)
	require.Equal(m.t, failed || has, ok, "Entry %s: %v", key, m)
	require.Equal(m.t, has, d.HasValue, "%v", m)
	require.Equal(m.t, failed, d.Err != nil, "%v", m)
	if !has {
		require.Zero(m.t, d.Value, "%v", m)
		return
	}
	require.Equal(m.t, e.v, d.Value, "%v", m)
	require.Equal(m.t, e.age(m.o) >= 0, d.Stale, "%v", m)
	require.True(m.t, e.stored.Equal(d.Stored), "%v", m)
	var until time.Time
	if m.o.TTL > 0 {
		until = e.stored.Add(m.o.TTL + max(m.o.StaleWhileRevalidate, m.o.StaleIfError))
		require.True(m.t, e.stored.Add(m.o.TTL).Equal(d.FreshUntil), "%v", m)
	}
	if idle := e.used.Add(m.o.IdleTTL); m.o.IdleTTL > 0 && (until.IsZero() || idle.Before(until)) {
		until = idle
	}
	if failed && !until.IsZero() && until.Before(e.until) {
		until = e.until
	}
	require.True(m.t, until.Equal(d.KeptUntil), "%v", m)
}

package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
)

// A model is a simple Cache together with its waiting calls. Scripts run on the model and
// on a Cache, in a bubble, and everything visible is compared after each step.
//
// Values are the numbers of loads, and negative for Puts. Loads end only when the script
// says so.
type model struct {
	t      testing.TB
	o      *options
	c      *dedup.Cache[string, int]
	log    []string
	starts []*modelLoad // of all keys, in order
	keys   map[string]*modelKey
	calls  []*modelCall // that have not returned
	puts   int
	stats  dedup.Stats
}

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
	retry  time.Time // a load failed: no other one is due before
}

// age returns how long the value has been stale, or less than zero.
func (e *modelEntry) age(o *options) time.Duration {
	if o.TTL == 0 {
		return -1
	}
	return time.Since(e.stored) - o.TTL
}

// A modelLoad is a load that has begun.
type modelLoad struct {
	key     string
	number  int
	pinned  bool
	callers int
	stays   bool // its result is to be stored
	over    bool
	call    *call
}

// A modelCall is a Get or Refresh that waits.
type modelCall struct {
	load    *modelLoad
	refresh bool
	cancel  context.CancelFunc
	got     <-chan result
}

const (
	modelTTL   = 10 * time.Second
	modelStale = 5 * time.Second
	modelGrace = 20 * time.Second
	modelError = 3 * time.Second
	modelCool  = time.Second
)

// modelOptions returns the options that the first byte of a script means.
func modelOptions(b byte) *options {
	o := new(options)
	if b&1 != 0 {
		o.TTL = modelTTL
	}
	if b&2 != 0 {
		o.StaleWhileRevalidate = modelStale
	}
	if b&4 != 0 {
		o.StaleIfError = modelGrace
	}
	if b&8 != 0 {
		o.ErrorTTL = modelError
	}
	if b&16 != 0 {
		o.MaxWaiters = 2
	}
	if b&32 != 0 {
		o.MaxEntries = 1000
	}
	return o
}

func runModel(t testing.TB, script []byte) {
	if len(script) == 0 {
		return
	}
	m := &model{t: t, o: modelOptions(script[0]), keys: make(map[string]*modelKey)}
	began := make(chan *call, 1000)
	var err error
	m.c, err = dedup.NewCache(func(ctx context.Context, key string) (int, error) {
		c := &call{ctx, make(chan result, 1)}
		began <- c
		r := <-c.gate // whatever ctx says
		return r.v, r.err
	}, m.o)
	require.NoError(t, err)
	for _, b := range script[1:min(len(script), 200)] {
		m.step(b, began)
	}
	for _, l := range m.starts {
		m.end(l, true)
	}
	require.Empty(t, m.calls)
	require.NoError(t, m.c.Close())
}

// step does what a byte means: an operation by three of its bits, on one of two keys.
func (m *model) step(b byte, began chan *call) {
	key := string('a' + rune(b>>3&1))
	arg := int(b >> 4)
	m.log = append(m.log, fmt.Sprintf("%d(%s,%d)", b&7, key, arg))
	loads := len(m.starts)
	switch b & 7 {
	case 0, 1:
		m.call(key, arg&1 != 0 && b&7 == 1)
	case 2:
		m.puts--
		m.c.Put(key, m.puts)
		m.detach(key)
		m.key(key).entry = &modelEntry{has: true, v: m.puts, stored: time.Now()}
	case 3:
		m.invalidate(key, arg)
	case 4:
		time.Sleep(time.Duration(arg) * 700 * time.Millisecond)
	case 5:
		if n := len(m.calls); n > 0 {
			m.quit(m.calls[arg%n])
		}
	default:
		if l := m.pick(arg); l != nil {
			m.end(l, b&7 == 6)
		}
	}
	synctest.Wait()
	for _, l := range m.starts[loads:] {
		require.NotEmpty(m.t, began, "load %d has not begun: %v", l.number, m)
		l.call = <-began
	}
	require.Empty(m.t, began, "a load too many: %v", m)
	m.check()
}

func (m *model) String() string { return fmt.Sprintf("%+v: %s", *m.o, strings.Join(m.log, " ")) }

func (m *model) key(key string) *modelKey {
	if m.keys[key] == nil {
		m.keys[key] = new(modelKey)
	}
	return m.keys[key]
}

func (m *model) invalidate(key string, arg int) {
	if arg%4 != 0 {
		m.c.Invalidate(key)
		m.detach(key)
		m.key(key).entry = nil
		return
	}
	m.c.InvalidateAll()
	for key, k := range m.keys {
		m.detach(key)
		k.entry = nil
	}
}

func (m *model) detach(key string) {
	k := m.key(key)
	if k.flight != nil {
		k.flight.stays, k.flight.pinned = false, false
		k.flight = nil
	}
}

// answer returns the answer without a load, whether there is one, and whether it is stale
// and to be renewed.
func (m *model) answer(e *modelEntry) (r result, ok, stale, renew bool) {
	if e == nil {
		return r, false, false, false
	}
	recently := time.Now().Before(e.retry)
	switch age := e.age(m.o); {
	case e.has && age < 0:
		return result{v: e.v}, true, false, false
	case e.has && age < m.o.StaleWhileRevalidate:
		return result{v: e.v}, true, true, !recently
	case e.has && age < m.o.StaleIfError && recently:
		return result{v: e.v}, true, true, false
	case e.failed && recently:
		return result{err: errLoad}, true, false, false
	}
	return r, false, false, false
}

// call is a Get or a Refresh.
func (m *model) call(key string, refresh bool) {
	k := m.key(key)
	ctx, cancel := context.WithCancel(bg)
	got := async(func() result {
		if refresh {
			return result{err: m.c.Refresh(ctx, key)}
		}
		return get(m.c, ctx, key)
	})
	synctest.Wait()
	if r, ok, stale, renew := m.answer(k.entry); ok && !refresh {
		m.stats.Hits++
		if stale {
			m.stats.Stale++
		}
		if renew && k.flight == nil {
			m.begin(key).pinned = true
		}
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
		l = m.begin(key)
	} else if !refresh {
		m.stats.Coalesced++
	}
	l.callers++
	m.calls = append(m.calls, &modelCall{l, refresh, cancel, got})
}

func (m *model) begin(key string) *modelLoad {
	l := &modelLoad{key: key, number: len(m.starts) + 1, stays: true}
	m.starts = append(m.starts, l)
	m.key(key).flight = l
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
func (m *model) end(l *modelLoad, well bool) {
	if l.over {
		return
	}
	l.over = true
	m.stats.Loads++
	r := result{v: l.number}
	if !well {
		r = result{err: errLoad}
		m.stats.LoadErrors++
	}
	l.call.gate <- r
	synctest.Wait()
	refreshed := r.err
	if l.stays {
		r = m.store(l, well)
		m.key(l.key).flight = nil
	}
	for _, c := range append([]*modelCall(nil), m.calls...) {
		switch {
		case c.load != l:
			continue
		case c.refresh:
			m.returned(c.got, result{err: refreshed})
		default:
			m.returned(c.got, r)
		}
		c.cancel()
		m.drop(c)
	}
}

// store ends a load that can be joined, and returns what its callers get.
func (m *model) store(l *modelLoad, well bool) result {
	k := m.key(l.key)
	if well {
		k.entry = &modelEntry{has: true, v: l.number, stored: time.Now()}
		return result{v: l.number}
	}
	old := k.entry
	useful := old != nil && old.has && old.age(m.o) < max(m.o.StaleIfError, m.o.StaleWhileRevalidate)
	switch {
	case m.o.ErrorTTL > 0:
		e := &modelEntry{failed: true, retry: time.Now().Add(m.o.ErrorTTL)}
		if useful {
			e.has, e.v, e.stored = true, old.v, old.stored
		}
		k.entry = e
	case useful:
		k.entry = &modelEntry{has: true, v: old.v, stored: old.stored, retry: time.Now().Add(modelCool)}
	}
	if useful {
		m.stats.Stale += uint64(l.callers)
		return result{v: old.v}
	}
	return result{err: errLoad}
}

// returned requires that a call has returned want.
func (m *model) returned(got <-chan result, want result) {
	m.t.Helper()
	select {
	case r := <-got:
		require.Equal(m.t, want.v, r.v, "%v", m)
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
	for key, k := range m.keys {
		r, ok, stale, _ := m.answer(k.entry)
		v, there := m.c.Peek(key)
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
	for _, c := range m.calls {
		select {
		case r := <-c.got:
			require.Fail(m.t, "returned early", "%+v: %v", r, m)
		default:
		}
	}
	for _, l := range m.starts {
		if !l.over {
			canceled := l.callers == 0 && !l.pinned
			require.Equal(m.t, canceled, l.call.ctx.Err() != nil, "load %d canceled: %v", l.number, m)
		}
	}
	s := m.c.Stats()
	s.Entries, s.InFlight, s.LoadTime = 0, 0, 0
	require.Equal(m.t, m.stats, s, "%v", m)
}

// FuzzCache compares a Cache with the model. The first byte is the options, and each of
// the others a step.
func FuzzCache(f *testing.F) {
	f.Add([]byte{0, 0, 6, 0})                            // miss, load, hit
	f.Add([]byte{0, 0, 0, 3, 6, 0})                      // invalidate during a load
	f.Add([]byte{0, 0, 2, 6, 0, 3, 0x13})                // put during a load
	f.Add([]byte{1, 0, 6, 0xf4, 0, 0xf4, 6})             // expire
	f.Add([]byte{3, 0, 6, 0xf4, 0, 0, 6, 0})             // stale while it revalidates
	f.Add([]byte{5, 0, 6, 0xf4, 0, 7, 0xf4, 0xf4, 0, 7}) // stale if there is an error
	f.Add([]byte{8, 0, 7, 0, 0x54, 0, 6})                // kept errors
	f.Add([]byte{0, 0, 0, 5, 5, 0, 6, 6})                // leave, and start anew
	f.Add([]byte{16, 0, 0, 0, 5, 0, 6})                  // too many
	f.Add([]byte{63, 0, 8, 0x11, 6, 0x19, 7, 0xf4, 0, 8, 7, 6, 3})
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 120)
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		script[0] = byte(seed)
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) { runModel(t, script) })
	})
}

package dedup_test

import (
	"context"
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

	batches []*modelBatch // that have not ended; see model_batch_test.go
	asked   chan *modelCallOfMany

	left    map[int]dedup.RemoveCause // values that are not kept any more
	removed map[int]dedup.RemoveCause // those of which OnRemove was told
}

const (
	modelTTL   = 10 * time.Second
	modelStale = 5 * time.Second
	modelGrace = 20 * time.Second
	modelError = 3 * time.Second
	modelCool  = time.Second
	modelIdle  = 7 * time.Second
	modelMost  = 5 * time.Second
)

// modelOptions returns the options that the first two bytes of a script mean.
func modelOptions(b, more byte) *options {
	o := new(options)
	if more&1 != 0 {
		o.IdleTTL = modelIdle
	}
	if more&2 != 0 {
		o.MaxBackoff = modelMost
	}
	if more&8 != 0 {
		o.MaxBatch = 2 + int(more>>5&1)
	}
	if more&16 != 0 && o.MaxBatch > 0 {
		o.BatchDelay = modelDelay
	}
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
	if len(script) < 2 {
		return
	}
	m := &model{t: t, o: modelOptions(script[0], script[1]), keys: make(map[string]*modelKey)}
	m.left, m.removed = make(map[int]dedup.RemoveCause), make(map[int]dedup.RemoveCause)
	if script[0]&64 != 0 {
		m.o.OnRemove = m.onRemove
	}
	began := make(chan *call, 1000)
	var err error
	load := func(ctx context.Context, old int) (int, error) {
		c := &call{ctx: ctx, gate: make(chan result, 1), old: old}
		began <- c
		r := <-c.gate // whatever ctx says
		return r.v, r.err
	}
	m.asked = make(chan *modelCallOfMany, 1000)
	if m.o.MaxBatch > 0 {
		m.o.LoadMany = m.loadMany
	}
	if script[1]&4 != 0 {
		m.o.ReloadWith = func(ctx context.Context, _ string, old int) (int, error) { return load(ctx, old) }
	}
	m.c, err = dedup.NewCache(func(ctx context.Context, _ string) (int, error) { return load(ctx, 0) }, m.o)
	require.NoError(t, err)
	for _, b := range script[2:min(len(script), 200)] {
		m.step(b, began)
	}
	for _, l := range m.starts {
		m.end(l, nil)
	}
	m.endBatches()
	require.Empty(t, m.calls)
	require.NoError(t, m.c.Close())
	for _, k := range m.keys {
		m.leave(k.entry, dedup.RemoveInvalidated)
	}
	m.checkRemoved()
}

// onRemove is the Cache's.
func (m *model) onRemove(_ string, v int, cause dedup.RemoveCause) {
	if _, twice := m.removed[v]; twice {
		m.t.Errorf("%d was removed twice: %v", v, m)
	}
	m.removed[v] = cause
}

// leave notes that the value of e, if there is one, is not kept any more.
func (m *model) leave(e *modelEntry, cause dedup.RemoveCause) {
	if e == nil || !e.has {
		return
	}
	if e.over(m.o) {
		cause = dedup.RemoveExpired
	}
	m.left[e.v] = cause
}

// step does what a byte means: an operation by three of its bits, on one of two keys.
func (m *model) step(b byte, began chan *call) {
	key := string('a' + rune(b>>3&1))
	arg := int(b >> 4)
	m.log = append(m.log, fmt.Sprintf("%d(%s,%d)", b&7, key, arg))
	loads := len(m.starts)
	switch b & 7 {
	case 0, 1:
		m.call(key, arg&1 != 0 && b&7 == 1, arg)
	case 2:
		m.puts--
		m.c.Put(key, m.puts)
		m.detach(key)
		m.leave(m.key(key).entry, dedup.RemoveReplaced)
		m.key(key).entry = &modelEntry{has: true, v: m.puts, stored: time.Now(), used: time.Now()}
	case 3:
		m.invalidate(key, arg)
	case 4:
		time.Sleep(time.Duration(arg) * 700 * time.Millisecond)
	case 5:
		if n := len(m.calls); n > 0 {
			m.quit(m.calls[arg%n])
		}
	default:
		if n := len(m.batches); n > 0 {
			m.endBatch(m.batches[arg%n], b)
		} else if l := m.pick(arg); l != nil {
			m.end(l, modelEnd(b))
		}
	}
	synctest.Wait()
	m.beginBatches()
	for _, l := range m.starts[loads:] {
		if l.batch != nil {
			continue
		}
		require.NotEmpty(m.t, began, "load %d has not begun: %v", l.number, m)
		l.call = <-began
		m.checkOld(l)
	}
	require.Empty(m.t, began, "a load too many: %v", m)
	m.check()
}

// checkOld checks that a load has the old value that is still kept. One whose time is over
// may have been removed.
func (m *model) checkOld(l *modelLoad) {
	old := 0
	if m.o.ReloadWith != nil && l.old != nil && l.old.has {
		old = l.old.v
	}
	if l.call.old != 0 || old == 0 || !l.old.over(m.o) {
		require.Equal(m.t, old, l.call.old, "%v", m)
	}
}

// modelEnd returns the error with which a step ends a load.
func modelEnd(b byte) error {
	switch {
	case b&7 == 6:
		return nil
	case b&0x80 != 0:
		return dedup.ErrGone
	}
	return errLoad
}

func (m *model) String() string { return fmt.Sprintf("%+v: %s", *m.o, strings.Join(m.log, " ")) }

func (m *model) key(key string) *modelKey {
	if m.keys[key] == nil {
		m.keys[key] = new(modelKey)
	}
	return m.keys[key]
}

func (m *model) invalidate(key string, arg int) {
	switch arg % 4 {
	case 0:
		m.c.InvalidateAll()
		m.noteChange("")
		for key := range m.keys {
			m.remove(key)
		}
	case 1:
		m.invalidateFunc(func(k string, v int) bool { return k == key || v%3 == 0 })
	default:
		m.c.Invalidate(key)
		m.remove(key)
	}
}

func (m *model) remove(key string) {
	m.detach(key)
	m.leave(m.key(key).entry, dedup.RemoveInvalidated)
	m.key(key).entry = nil
}

func (m *model) invalidateFunc(f func(string, int) bool) {
	n := m.c.InvalidateFunc(f)
	m.noteChange("")
	least, most := 0, 0
	for key, k := range m.keys {
		m.detach(key)
		if e := k.entry; e != nil && e.has && f(key, e.v) {
			if most++; !e.over(m.o) {
				least++
			}
			m.remove(key)
		}
	}
	require.LessOrEqual(m.t, least, n, "%v", m)
	require.LessOrEqual(m.t, n, most, "values whose time is over may have left: %v", m)
}

func (m *model) detach(key string) {
	m.noteChange(key)
	k := m.key(key)
	if l := k.flight; l != nil {
		l.stays, l.pinned = false, false
		k.flight = nil
		m.leaveBatch(l.batch)
	}
}

// FuzzCache compares a Cache with the model. The first two bytes are the options, and
// each of the others a step.
func FuzzCache(f *testing.F) {
	f.Add([]byte{0, 0, 0, 6, 0})                            // miss, load, hit
	f.Add([]byte{0, 0, 0, 0, 3, 6, 0})                      // invalidate during a load
	f.Add([]byte{0, 0, 0, 2, 6, 0, 3, 0x13})                // put during a load
	f.Add([]byte{1, 0, 0, 6, 0xf4, 0, 0xf4, 6})             // expire
	f.Add([]byte{3, 0, 0, 6, 0xf4, 0, 0, 6, 0})             // stale while it revalidates
	f.Add([]byte{5, 0, 0, 6, 0xf4, 0, 7, 0xf4, 0xf4, 0, 7}) // stale if there is an error
	f.Add([]byte{8, 0, 0, 7, 0, 0x54, 0, 6})                // kept errors
	f.Add([]byte{0, 0, 0, 0, 5, 5, 0, 6, 6})                // leave, and start anew
	f.Add([]byte{16, 0, 0, 0, 0, 5, 0, 6})                  // too many
	f.Add([]byte{64, 0, 0, 6, 0, 0x23, 0x13, 2, 0x12, 3})   // values leave
	f.Add([]byte{63, 0, 0, 8, 0x11, 6, 0x19, 7, 0xf4, 0, 8, 7, 6, 3})
	f.Add([]byte{0, 1, 0, 6, 0xa4, 0, 0xa4, 0xa4, 0})                               // idle
	f.Add([]byte{3, 6, 0, 6, 0xf4, 0, 7, 0x24, 0, 7, 0x24, 0, 0x24, 0, 6, 0, 0x24}) // backoff, with the old value
	f.Add([]byte{0, 8, 0, 8, 6, 0, 3, 0, 0, 8, 7, 3})                               // two keys in a batch
	f.Add([]byte{1, 24, 0, 3, 0, 0x24, 6, 0, 8, 0x24, 0x17, 0x54, 3})               // one that gathers
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		script := make([]byte, 120)
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		script[0], script[1] = byte(seed), byte(seed/8)
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) { runModel(t, script) })
	})
}

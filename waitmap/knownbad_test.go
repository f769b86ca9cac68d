package waitmap_test

import (
	"math/rand"
	"reflect"
	"testing"

	"github.com/cornelk/hashmap"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

// The checker must reject a map that is known to be bad.
// That map is cornelk/hashmap v1.0.8: its GetOrInsert puts one element into the
// sorted list and another one, which leads nowhere, into the index. So it
// loses keys, with a single goroutine. Its hash has no seed: what it loses is
// the same in every run.

// knownBad is large enough never to grow under these tests, which it would do
// in a goroutine of its own.
func knownBad(keys int) *hashmap.Map[uint8, int16] {
	return hashmap.NewSized[uint8, int16](uintptr(4 * keys))
}

// onKnownBad is onMap for the calls that both maps have; others do nothing.
func (c call) onKnownBad(m *hashmap.Map[uint8, int16]) (o outcome) {
	switch c.op {
	case 0:
		o.v, o.ok = m.Get(c.k)
	case 1:
		m.Set(c.k, c.v)
	case 2:
		o.v, o.ok = m.GetOrInsert(c.k, c.v)
	case 4:
		m.Del(c.k)
	case 9:
		o.all = make(map[uint8]int16)
		m.Range(func(k uint8, v int16) bool { o.all[k] = v; return true })
	case 10:
		o.v = int16(m.Len())
	}
	return o
}

// firstFault is the index of the first call that on answers otherwise than the
// reference, or -1.
func firstFault(calls []call, on func(call) outcome) int {
	ref := make(map[uint8]int16)
	for i, c := range calls {
		if !reflect.DeepEqual(on(c), c.onReference(ref)) {
			return i
		}
	}
	return -1
}

// callsOf draws random calls of the given operations, and ends with a look at
// everything.
func callsOf(r *rand.Rand, n int, ops ...uint8) []call {
	calls := make([]call, n)
	for i := range calls {
		calls[i] = call{}.Generate(r, 0).Interface().(call)
		calls[i].op = ops[r.Intn(len(ops))]
	}
	return append(calls, call{op: 9}, call{op: 10})
}

// TestReferenceConvictsKnownBad: the checker of TestQuickAgainstReference finds
// the bad map out by nearly every script with GetOrInsert. By the same scripts
// it acquits the map of this package; and it acquits the bad one too as long
// as that faulty call is left out, so it is that fault which it sees. No script
// has both GetOrInsert and Del: together they make the bad map search for ever.
func TestReferenceConvictsKnownBad(t *testing.T) {
	const scripts, keys = 100, 24
	r := rand.New(rand.NewSource(1))
	convicted := 0
	for range scripts {
		calls := callsOf(r, 200, 0, 1, 2, 9, 10)
		bad := knownBad(keys)
		if firstFault(calls, func(c call) outcome { return c.onKnownBad(bad) }) >= 0 {
			convicted++
		}
		var good waitmap.Map[uint8, int16]
		require.Equal(t, -1, firstFault(calls, func(c call) outcome { return c.onMap(&good) }))

		calls = callsOf(r, 200, 0, 1, 4, 9, 10)
		bad = knownBad(keys)
		require.Equal(t, -1, firstFault(calls, func(c call) outcome { return c.onKnownBad(bad) }))
	}
	require.GreaterOrEqual(t, convicted, scripts*9/10)
	t.Logf("%d of %d scripts convict it", convicted, scripts)
}

// TestReferenceConvictsStaleValues: a map that is right about what is there,
// but not about the value of what is not.
func TestReferenceConvictsStaleValues(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for name, op := range map[string]uint8{"Load": 0, "LoadAndDelete": 3, "Swap": 5, "LoadOrCompute": 11} {
		var m waitmap.Map[uint8, int16]
		last := make(map[uint8]int16)
		calls := callsOf(r, 400, 0, 1, 3, 4, 5, 11)
		fault := firstFault(calls, func(c call) outcome {
			old, _ := m.Load(c.k)
			last[c.k] = max(last[c.k], old)
			o := c.onMap(&m)
			if absent := !o.ok && (c.op != 11 || o.err != nil); absent && c.op == op {
				o.v = last[c.k]
			}
			return o
		})
		require.GreaterOrEqual(t, fault, 0, name)
		require.Equal(t, op, calls[fault].op, name)
	}
}

// TestKnownBadLosesKeys: each key is inserted once and looked for afterwards;
// no other goroutine, no growth.
func TestKnownBadLosesKeys(t *testing.T) {
	const keys = 256
	bad := knownBad(keys)
	var good waitmap.Map[uint8, int16]
	for k := range keys {
		_, loaded := bad.GetOrInsert(uint8(k), int16(k))
		require.False(t, loaded)
		_, loaded = good.LoadOrStore(uint8(k), int16(k))
		require.False(t, loaded)
	}
	lost := 0
	for k := range keys {
		if _, ok := bad.Get(uint8(k)); !ok {
			lost++
		}
	}
	seen := 0
	bad.Range(func(uint8, int16) bool { seen++; return true })
	require.Positive(t, lost, "keys that Get does not find")
	require.Less(t, seen, keys, "keys that Range visits")
	require.Equal(t, keys, bad.Len(), "and it says that it has them all")
	t.Logf("of %d keys Get finds %d and Range visits %d", keys, keys-lost, seen)

	require.Equal(t, keys, good.Len())
	require.Len(t, contents(t, &good), keys)
}

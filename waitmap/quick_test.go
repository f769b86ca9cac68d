package waitmap_test

import (
	"math/rand"
	"reflect"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// A call is one random call of sync.Map's surface or the Compute family.
type call struct {
	op, k uint8
	v, w  int16
}

// Generate makes calls of few keys and few values, so that they meet.
func (call) Generate(r *rand.Rand, _ int) reflect.Value {
	return reflect.ValueOf(call{
		op: uint8(r.Intn(14)),
		k:  uint8(r.Intn(24)),
		v:  int16(r.Intn(3)),
		w:  int16(r.Intn(3)),
	})
}

// outcome is all that a call can tell.
type outcome struct {
	v   int16
	ok  bool
	err error
	all map[uint8]int16
}

// fails is the error of LoadOrCompute's function.
func (c call) fails() error {
	if c.w == 2 {
		return errRefCause
	}
	return nil
}

// onMap applies c to the map under test.
func (c call) onMap(m *waitmap.Map[uint8, int16]) (o outcome) {
	switch c.op {
	case 0:
		o.v, o.ok = m.Load(c.k)
	case 1:
		m.Store(c.k, c.v)
	case 2:
		o.v, o.ok = m.LoadOrStore(c.k, c.v)
	case 3:
		o.v, o.ok = m.LoadAndDelete(c.k)
	case 4:
		m.Delete(c.k)
	case 5:
		o.v, o.ok = m.Swap(c.k, c.v)
	case 6:
		o.ok = waitmap.CompareAndSwap(m, c.k, c.v, c.w)
	case 7:
		o.ok = waitmap.CompareAndDelete(m, c.k, c.v)
	case 8:
		if c.v == 0 && c.w == 0 { // not too often
			m.Clear()
		}
	case 9:
		o.all = make(map[uint8]int16)
		m.Range(func(k uint8, v int16) bool { o.all[k] = v; return true })
	case 10:
		o.v = int16(m.Len())
	case 11:
		o.v, o.ok, o.err = m.LoadOrCompute(c.k, func() (int16, error) { return c.v, c.fails() })
	default:
		o.v, o.ok = m.Compute(c.k, c.compute)
	}
	return o
}

// compute keeps, sets or removes, as the call's numbers say.
func (c call) compute(old int16, loaded bool) (int16, waitmap.Op) {
	switch {
	case c.w == 0:
		return c.v, waitmap.KeepOp
	case c.w == 1 && loaded:
		return c.v, waitmap.DeleteOp
	default:
		return old + c.v, waitmap.StoreOp
	}
}

// onReference applies c to a built-in map.
func (c call) onReference(m map[uint8]int16) (o outcome) {
	old, loaded := m[c.k]
	switch c.op {
	case 0:
		o.v, o.ok = old, loaded
	case 1:
		m[c.k] = c.v
	case 2, 11:
		if c.op == 11 && !loaded && c.fails() != nil {
			o.err = c.fails()
			break
		}
		if !loaded {
			m[c.k] = c.v
		}
		o.v, o.ok = m[c.k], loaded
	case 3:
		delete(m, c.k)
		o.v, o.ok = old, loaded
	case 4:
		delete(m, c.k)
	case 5:
		m[c.k] = c.v
		o.v, o.ok = old, loaded
	case 6:
		if o.ok = loaded && old == c.v; o.ok {
			m[c.k] = c.w
		}
	case 7:
		if o.ok = loaded && old == c.v; o.ok {
			delete(m, c.k)
		}
	case 8:
		if c.v == 0 && c.w == 0 {
			clear(m)
		}
	case 9:
		o.all = make(map[uint8]int16)
		for k, v := range m {
			o.all[k] = v
		}
	case 10:
		o.v = int16(len(m))
	default:
		switch v, op := c.compute(old, loaded); op {
		case waitmap.StoreOp:
			m[c.k] = v
			o.v, o.ok = v, true
		case waitmap.DeleteOp:
			delete(m, c.k)
			o.v = old
		default:
			o.v, o.ok = old, loaded
		}
	}
	return o
}

// TestQuickAgainstReference compares random calls with a built-in map.
func TestQuickAgainstReference(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[uint8, int16]) {
		same := func(calls []call) bool {
			m, ref := newMap(), make(map[uint8]int16)
			for i, c := range append(calls, call{op: 9}, call{op: 10}) {
				got, want := c.onMap(m), c.onReference(ref)
				if !reflect.DeepEqual(got, want) {
					t.Errorf("call %d of %v, %+v: got %+v, want %+v", i, calls[:min(i, len(calls))], c, got, want)
					return false
				}
			}
			return true
		}
		require.NoError(t, quick.Check(same, &quick.Config{
			MaxCount: testkit.Scale(200, 60),
			Values: func(args []reflect.Value, r *rand.Rand) {
				calls := make([]call, r.Intn(400))
				for i := range calls {
					calls[i] = call{}.Generate(r, 0).Interface().(call)
				}
				args[0] = reflect.ValueOf(calls)
			},
		}))
	})
}

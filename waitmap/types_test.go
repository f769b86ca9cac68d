// The compiler takes as long for the maps of so many types as for all other tests, and
// what the tags add does not depend on types.
//
//go:build !vigil_debug && !vigil_schedpoint

package waitmap_test

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/waitmap"
)

type kib [128]uint64 // 1 KiB

type mixed struct {
	b byte
	s string
	f float64
	i any
}

type ints3 [3]byte

// distinct makes n different keys of a fixed-size type, out of its bytes.
func distinct[K comparable](n int) []K {
	keys := make([]K, n)
	for i := range keys {
		p := unsafe.Slice((*byte)(unsafe.Pointer(&keys[i])), unsafe.Sizeof(keys[i]))
		for j := range p {
			p[j] = byte(i >> (8 * (j % 4)))
		}
	}
	return keys
}

// exercise runs the whole surface for each of keys, which differ from each
// other. vals holds at least two values; same tells values apart.
func exercise[K comparable, V any](t *testing.T, newMap maker[K, V], keys []K, vals []V, same func(a, b V) bool) {
	t.Helper()
	m := newMap()
	val := func(i int) V { return vals[i%len(vals)] }
	is := func(want, got V, ok bool, what string) {
		t.Helper()
		require.True(t, ok, what)
		require.True(t, same(want, got), "%s: want %v, got %v", what, want, got)
	}
	futures := make([]*waitmap.Future[V], len(keys))
	for i, k := range keys {
		futures[i] = m.Register(k, nil)
		_, ok := m.Load(k)
		require.False(t, ok)
		require.Equal(t, 1, m.Waiters(k))
	}
	require.Zero(t, m.Len())
	for i, k := range keys {
		m.Store(k, val(i))
		v, done, err := futures[i].Result()
		require.NoError(t, err)
		is(val(i), v, done, "Register")
	}
	requireIdle(t, m)
	require.Equal(t, len(keys), m.Len())
	seen := make(map[K]bool)
	for k := range m.Keys() {
		require.False(t, seen[k])
		seen[k] = true
	}
	require.Len(t, seen, len(keys))
	for i, k := range keys {
		v, ok := m.Load(k)
		is(val(i), v, ok, "Load")
		v, err := m.Wait(doneCtx(), k)
		is(val(i), v, err == nil, "Wait")
		v, ok = m.Swap(k, val(i+1))
		is(val(i), v, ok, "Swap")
		v, ok = m.LoadOrStore(k, val(i))
		is(val(i+1), v, ok, "LoadOrStore")
		v, ok = m.Compute(k, func(old V, loaded bool) (V, waitmap.Op) {
			is(val(i+1), old, loaded, "Compute's old")
			return val(i), waitmap.StoreOp
		})
		is(val(i), v, ok, "Compute")
		v, loaded, err := m.LoadOrCompute(k, func() (V, error) { panic("present") })
		require.NoError(t, err)
		is(val(i), v, loaded, "LoadOrCompute")
	}
	for i, k := range keys {
		if i%2 == 0 {
			v, err := m.Take(bg, k)
			is(val(i), v, err == nil, "Take")
		} else {
			v, ok := m.LoadAndDelete(k)
			is(val(i), v, ok, "LoadAndDelete")
		}
		v, ok := m.Load(k)
		require.False(t, ok)
		require.True(t, reflect.ValueOf(&v).Elem().IsZero(), "a missing value is zero")
	}
	require.Zero(t, m.Len())
	for i, k := range keys {
		v, loaded := m.LoadOrStore(k, val(i))
		is(val(i), v, !loaded, "LoadOrStore")
	}
	require.Equal(t, len(keys), m.Len())
	m.Clear()
	require.Zero(t, m.Len())
}

// testType runs exercise with K and V at once, over every construction.
func testType[K, V comparable](name string, keys []K, vals []V) (string, func(*testing.T)) {
	return name, func(t *testing.T) {
		over(t, func(t *testing.T, newMap maker[K, V]) {
			exercise(t, newMap, keys, vals, func(a, b V) bool { return a == b })
		})
	}
}

func TestTypes(t *testing.T) {
	x, y := new(int), new(int)
	words := []string{"", "a", "b", "\x00", "\x00\x00", "a\x00", "ab", "longer than sixteen bytes", "longer than sixteen bytes."}
	t.Run(testType("string,string", words, words))
	t.Run(testType("int,string", []int{0, 1, -1, math.MinInt, math.MaxInt, 1 << 30, -1 << 30, 255, 256}, words))
	t.Run(testType("int8,int8", []int8{-128, -1, 0, 1, 127}, []int8{-128, -1, 0, 1, 127}))
	t.Run(testType("uint8,1byte", distinct[uint8](256), distinct[uint8](256)))
	t.Run(testType("int16,2bytes", distinct[int16](300), distinct[[2]byte](7)))
	t.Run(testType("3bytes,3bytes", distinct[ints3](300), distinct[ints3](300)))
	t.Run(testType("uint32,4bytes", distinct[uint32](300), distinct[uint32](5)))
	t.Run(testType("int64,8bytes", distinct[int64](300), distinct[[8]byte](5)))
	t.Run(testType("16bytes,16bytes", distinct[[16]byte](300), distinct[[2]uint64](5)))
	t.Run(testType("1KiB,1KiB", distinct[kib](70), distinct[kib](70)))
	t.Run(testType("1KiB,int", distinct[kib](70), []int{1, 2}))
	t.Run(testType("int,1KiB", distinct[int](70), distinct[kib](3)))
	t.Run(testType("bool,bool", []bool{false, true}, []bool{false, true}))
	t.Run(testType("complex,float32", []complex128{0, 1, 1i, -1}, []float32{0, 1, float32(math.Inf(1))}))
	t.Run(testType("pointer,pointer", []*int{nil, x, y}, []*int{nil, x, y}))
	t.Run(testType("unsafe.Pointer", []unsafe.Pointer{nil, unsafe.Pointer(x)}, []unsafe.Pointer{nil, unsafe.Pointer(y)}))
	t.Run(testType("chan,chan", []chan int{nil, make(chan int)}, []chan int{nil, make(chan int)}))
	t.Run(testType("any,any", []any{nil, 0, int8(0), "", "0", false, x, struct{}{}, [2]int{}, 0.5, kib{}}, []any{nil, 0, "", x, (*int)(nil)}))
	t.Run(testType("error,error", []error{nil, waitmap.ErrClosed}, []error{nil, waitmap.ErrCanceled}))
	t.Run(testType("fmt.Stringer,mixed", []fmt.Stringer{nil, reflect.ValueOf(1)}, []mixed{{}, {1, "x", 2, 3}}))
	t.Run(testType("mixed,mixed", []mixed{{}, {b: 1}, {s: "a"}, {f: 1}, {i: 1}, {i: "1"}}, []mixed{{}, {i: x}}))
	t.Run(testType("zero size", []struct{}{{}}, []struct{}{{}}))
	t.Run(testType("zero-size array,int", [][0]string{{}}, []int{1, 2}))
	t.Run(testType("int,zero size", distinct[int](100), []struct{}{{}}))
	t.Run(testType("int,zero-size array", distinct[int](100), [][0]int{{}}))
	t.Run(testType("float64,bool", []float64{0, 1, -1, math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64}, []bool{true, false}))
}

// TestUncomparableValues stores values that == cannot compare.
func TestUncomparableValues(t *testing.T) {
	t.Run("func", func(t *testing.T) {
		over(t, func(t *testing.T, newMap maker[int, func() int]) {
			vals := []func() int{func() int { return 1 }, func() int { return 2 }, nil}
			exercise(t, newMap, distinct[int](20), vals, func(a, b func() int) bool {
				if a == nil || b == nil {
					return a == nil && b == nil
				}
				return a() == b()
			})
		})
	})
	t.Run("map", func(t *testing.T) {
		over(t, func(t *testing.T, newMap maker[string, map[string]int]) {
			vals := []map[string]int{{"a": 1}, nil, {}}
			exercise(t, newMap, []string{"x", "y", "z"}, vals, func(a, b map[string]int) bool { return reflect.DeepEqual(a, b) })
		})
	})
	t.Run("slice", func(t *testing.T) {
		over(t, func(t *testing.T, newMap maker[uint16, []byte]) {
			vals := [][]byte{{1}, nil, {}, {1, 2, 3}}
			exercise(t, newMap, distinct[uint16](40), vals, func(a, b []byte) bool { return reflect.DeepEqual(a, b) })
		})
	})
}

// TestNilInterfaceValue: a nil value that is there is there.
func TestNilInterfaceValue(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, error]) {
		m := newMap()
		f := m.Register("a", nil)
		m.Store("a", nil)
		v, done, err := f.Result()
		require.True(t, done)
		require.NoError(t, err)
		require.NoError(t, v)
		v, ok := m.Load("a")
		require.True(t, ok)
		require.NoError(t, v)
		require.True(t, waitmap.CompareAndSwap(m, "a", nil, waitmap.ErrClosed))
		require.True(t, waitmap.CompareAndSwap(m, "a", waitmap.ErrClosed, nil))
		v, ok = m.LoadAndDelete("a")
		require.True(t, ok)
		require.NoError(t, v)
		v, ok = m.Load("a")
		require.False(t, ok)
		require.NoError(t, v)
	})
}

// TestSignedZero: -0 and +0 are one key; the stored bits of a value survive.
func TestSignedZero(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[float64, float64]) {
		m := newMap()
		minus := math.Copysign(0, -1)
		f := m.Register(minus, nil)
		m.Store(0, minus)
		v, done, _ := f.Result()
		require.True(t, done, "a wait on -0 is served by a store at +0")
		require.True(t, math.Signbit(v))
		m.Store(minus, 1)
		require.Equal(t, 1, m.Len())
		v, ok := m.Load(0)
		require.True(t, ok)
		require.Equal(t, 1.0, v)
		require.True(t, waitmap.CompareAndSwap(m, 0, 1, minus))
		require.True(t, waitmap.CompareAndSwap(m, 0, 0, 2), "-0 equals +0 as a value too")
		m.Delete(minus)
		require.Zero(t, m.Len())
	})
	over(t, func(t *testing.T, newMap maker[any, int]) {
		m := newMap()
		m.Store(0.0, 1)
		m.Store(math.Copysign(0, -1), 2)
		require.Equal(t, 1, m.Len())
	})
	over(t, func(t *testing.T, newMap maker[[1]struct{ f float32 }, int]) {
		m := newMap()
		m.Store([1]struct{ f float32 }{{0}}, 1)
		m.Store([1]struct{ f float32 }{{float32(math.Copysign(0, -1))}}, 2)
		require.Equal(t, 1, m.Len())
	})
}

// TestNaNValue: NaN equals nothing, so no compare succeeds.
func TestNaNValue(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, float64]) {
		m := newMap()
		nan := math.NaN()
		m.Store(1, nan)
		require.False(t, waitmap.CompareAndSwap(m, 1, nan, 1))
		require.False(t, waitmap.CompareAndDelete(m, 1, nan))
		v, ok := m.Load(1)
		require.True(t, ok)
		require.True(t, math.IsNaN(v))
	})
}

// TestEqualStringsOfOtherMemory: keys are compared by content.
func TestEqualStringsOfOtherMemory(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[string, int]) {
		m := newMap()
		for n := range 40 {
			buf := make([]byte, n)
			m.Store(string(buf), n)
			f := m.Register(string(append(buf, 'x')), nil)
			other := string(make([]byte, n))
			v, ok := m.Load(other)
			require.True(t, ok)
			require.Equal(t, n, v)
			m.Store(string(append(make([]byte, n), 'x')), n)
			_, done, _ := f.Result()
			require.True(t, done)
		}
		require.Equal(t, 80, m.Len())
	})
}

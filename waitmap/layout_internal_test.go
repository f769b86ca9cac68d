package waitmap

import (
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestLayout: all code sees a group's cells as wordCells, so both kinds must
// lie at the same places; and what is published as bytes per entry and per
// Future follows from these sizes.
func TestLayout(t *testing.T) {
	sameLayout[int](t)
	sameLayout[string](t)
	sameLayout[struct{}](t)
	sameLayout[[3]byte](t)
	if unsafe.Sizeof(uintptr(0)) == 8 {
		require.EqualValues(t, 128, stride[int]())
		require.EqualValues(t, 176, stride[string]())
		require.EqualValues(t, 144, unsafe.Sizeof(waitNode[int, int]{}))
	}
	require.Zero(t, unsafe.Sizeof(count{})%64, "counts share cache lines")
	require.EqualValues(t, 16, unsafe.Sizeof(tableView{}), "a view does not lie across cache lines")
	require.Zero(t, unsafe.Offsetof(tableView{}.homes)%8)
}

func sameLayout[K comparable](t *testing.T) {
	var w group[K, wordCell]
	var p group[K, pointerCell]
	require.Equal(t, unsafe.Sizeof(w), unsafe.Sizeof(p))
	require.Equal(t, unsafe.Offsetof(w.slots), unsafe.Offsetof(p.slots))
	require.Equal(t, unsafe.Sizeof(w.slots[0]), unsafe.Sizeof(p.slots[0]))
	require.Equal(t, unsafe.Offsetof(w.slots[0].cell), unsafe.Offsetof(p.slots[0].cell))
	require.Zero(t, unsafe.Offsetof(w.slots[0].cell)%8)
	require.EqualValues(t, 8, unsafe.Sizeof(w.slots[0].cell))
	require.Zero(t, unsafe.Offsetof(p.slots[0].cell.ptrs))
	require.GreaterOrEqual(t, stride[K](), unsafe.Sizeof(w))
	require.Contains(t, []uintptr{unsafe.Sizeof(w), unsafe.Sizeof(paddedGroup[K, wordCell]{})}, stride[K](), "what newGroups allocates")
}

// TestValuesSurviveCollections: the collector sees values wherever the table
// keeps them, through growth and replacement.
func TestValuesSurviveCollections(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(5))
	m := New[int, string](nil)
	ptrs := New[int, *string](nil)
	const n = 5000
	for round := range 4 {
		for i := range n {
			s := strconv.Itoa(i * (round + 1))
			m.Store(i, s)
			ptrs.Store(i, &s)
		}
		runtime.GC()
		for i := range n {
			want := strconv.Itoa(i * (round + 1))
			v, _ := m.Load(i)
			require.Equal(t, want, v)
			p, _ := ptrs.Load(i)
			require.Equal(t, want, *p)
		}
		for i := range n {
			if i%3 != 0 {
				m.Delete(i)
				ptrs.Delete(i)
			}
		}
	}
}

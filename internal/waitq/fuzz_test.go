package waitq_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A model is a queue and a list as plain slices, and all waiters that were ever in
// line.
type model struct {
	q     queue
	l     list
	all   []*waiter // the value is the index
	queue []int
	list  []int
}

// step applies the step that a byte stands for to both, and compares the results.
func (m *model) step(t testing.TB, op byte) {
	switch arg := int(op >> 2); op & 3 {
	case 0:
		w := &waiter{Value: len(m.all)}
		m.all, m.queue = append(m.all, w), append(m.queue, w.Value)
		m.q.Push(w)
	case 1: // remove any waiter, in line or not
		if len(m.all) > 0 {
			m.remove(t, m.all[len(m.all)-1-arg%len(m.all)], arg&1 == 0)
		}
	case 2:
		m.l.Join(m.q.Detach())
		m.list, m.queue = append(m.list, m.queue...), nil
	default:
		w := m.l.Pop()
		require.Equal(t, len(m.list) > 0, w != nil)
		if w != nil {
			require.Equal(t, m.list[0], w.Value)
			m.list = m.list[1:]
		}
	}
}

// remove takes w out of the queue and, maybe, puts it into the list.
func (m *model) remove(t testing.TB, w *waiter, add bool) {
	at := slices.Index(m.queue, w.Value)
	require.Equal(t, at >= 0, m.q.Remove(w))
	if at < 0 {
		return
	}
	m.queue = slices.Delete(m.queue, at, at+1)
	if add {
		m.l.Add(w)
		m.list = append(m.list, w.Value)
	}
}

func (m *model) check(t testing.TB) {
	require.Equal(t, len(m.queue), m.q.Len())
	require.True(t, slices.Equal(m.queue, values(m.q.Front())), "queue: want %v, got %v", m.queue, values(m.q.Front()))
	require.True(t, slices.Equal(m.list, values(m.l.Front())), "list: want %v, got %v", m.list, values(m.l.Front()))
}

// FuzzQueue compares the queue and its list with slices: two bits of each byte choose the
// step, the others the waiter.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 1, 5, 9, 2, 3})    // three come, each is removed
	f.Add([]byte{0, 0, 2, 0, 1, 5, 3, 3, 3}) // detached, then removed: too late
	f.Add([]byte{0, 0, 0, 5, 2, 0, 2, 3, 3, 3, 3, 3})
	f.Add([]byte{0, 0, 0, 9, 0, 1, 13, 2, 3, 3})
	f.Fuzz(func(t *testing.T, script []byte) {
		var m model
		for _, op := range script[:min(len(script), 300)] {
			m.step(t, op)
			m.check(t)
		}
	})
}

package waitq_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/waitq"
)

type (
	waiter = waitq.Waiter[int]
	queue  = waitq.Queue[int]
	list   = waitq.List[int]
)

// pushed returns a queue of n waiters whose values are 0 to n-1, and the waiters.
func pushed(n int) (*queue, []*waiter) {
	q, ws := new(queue), make([]*waiter, n)
	for i := range ws {
		ws[i] = &waiter{Value: i}
		q.Push(ws[i])
	}
	return q, ws
}

// values walks from a waiter to the end of its line.
func values(w *waiter) []int {
	vs := []int{}
	for ; w != nil; w = w.Next() {
		vs = append(vs, w.Value)
	}
	return vs
}

// popAll empties a list.
func popAll(l *list) []int {
	vs := []int{}
	for w := l.Pop(); w != nil; w = l.Pop() {
		vs = append(vs, w.Value)
	}
	return vs
}

func requireLine(t testing.TB, want []int, q *queue) {
	t.Helper()
	require.Equal(t, want, values(q.Front()))
	require.Equal(t, len(want), q.Len())
}

func TestQueueIsFirstInFirstOut(t *testing.T) {
	q, _ := pushed(0)
	requireLine(t, []int{}, q)
	require.Nil(t, q.Front())

	q, ws := pushed(4)
	requireLine(t, []int{0, 1, 2, 3}, q)
	require.Same(t, ws[0], q.Front())
	require.Same(t, ws[2], ws[1].Next())
	require.Nil(t, ws[3].Next())
}

// TestRemove from each place of lines of each length; what is left can still
// be pushed to, removed from and detached.
func TestRemove(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for at := range n {
			q, ws := pushed(n)
			require.True(t, q.Remove(ws[at]))
			require.False(t, q.Remove(ws[at]), "a second time")
			rest := []int{}
			for i := range n {
				if i != at {
					rest = append(rest, i)
				}
			}
			requireLine(t, rest, q)
			require.Nil(t, ws[at].Next(), "keeps no link")

			last := &waiter{Value: n}
			q.Push(last)
			requireLine(t, append(rest, n), q)
			require.True(t, q.Remove(last))
			requireLine(t, rest, q)
			l := q.Detach()
			require.Equal(t, rest, popAll(&l))
		}
	}
}

// TestRemoveAll in every order of three.
func TestRemoveAll(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		q, ws := pushed(3)
		for i, at := range order {
			require.True(t, q.Remove(ws[at]))
			require.Equal(t, 2-i, q.Len())
		}
		require.Nil(t, q.Front())
	}
}

func TestRemoveOfAStranger(t *testing.T) {
	q, _ := pushed(0)
	require.False(t, q.Remove(&waiter{}), "an empty queue")
	q, _ = pushed(2)
	require.False(t, q.Remove(&waiter{}), "never in line")
	requireLine(t, []int{0, 1}, q)
}

// TestRemoveAfterDetach: a detached waiter is not in line any more, whatever line has
// formed since, and wherever in the list the waiter is.
func TestRemoveAfterDetach(t *testing.T) {
	q, old := pushed(3)
	l := q.Detach()
	requireLine(t, []int{}, q)
	for _, w := range old {
		require.False(t, q.Remove(w), "no waiter came since")
	}
	young := &waiter{Value: 7}
	q.Push(young)
	for _, w := range old {
		require.False(t, q.Remove(w))
	}
	requireLine(t, []int{7}, q)
	require.Equal(t, []int{0, 1, 2}, popAll(&l))
	for _, w := range old {
		require.False(t, q.Remove(w), "popped")
	}
	require.True(t, q.Remove(young))
	requireLine(t, []int{}, q)
}

func TestDetachOfAnEmptyQueue(t *testing.T) {
	q, _ := pushed(0)
	l := q.Detach()
	require.Nil(t, l.Front())
	require.Nil(t, l.Pop())

	q, ws := pushed(1)
	require.True(t, q.Remove(ws[0]))
	l = q.Detach()
	require.Nil(t, l.Pop())
}

// TestPopKeepsNoLink: a waiter that is kept does not keep others alive.
func TestPopKeepsNoLink(t *testing.T) {
	q, ws := pushed(3)
	l := q.Detach()
	for _, w := range ws {
		require.Same(t, w, l.Front())
		require.Same(t, w, l.Pop())
		require.Nil(t, w.Next())
	}
	require.Nil(t, l.Pop())
	require.Nil(t, l.Pop(), "and again")
}

func TestListAdd(t *testing.T) {
	q, ws := pushed(4)
	var l list
	for _, at := range []int{3, 0, 2} {
		require.True(t, q.Remove(ws[at]))
		l.Add(ws[at])
	}
	requireLine(t, []int{1}, q)
	require.Equal(t, []int{3, 0, 2}, values(l.Front()))
	require.Equal(t, []int{3, 0, 2}, popAll(&l))
	l.Add(&waiter{Value: 9})
	require.Equal(t, []int{9}, popAll(&l), "an emptied list can be used again")
}

func TestListJoin(t *testing.T) {
	detached := func(from, to int) list {
		var q queue
		for i := from; i < to; i++ {
			q.Push(&waiter{Value: i})
		}
		return q.Detach()
	}
	for name, c := range map[string]struct {
		a, b list
		want []int
	}{
		"none":    {detached(0, 0), detached(0, 0), []int{}},
		"left":    {detached(0, 2), detached(0, 0), []int{0, 1}},
		"right":   {detached(0, 0), detached(2, 4), []int{2, 3}},
		"both":    {detached(0, 2), detached(2, 4), []int{0, 1, 2, 3}},
		"singles": {detached(0, 1), detached(1, 2), []int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			l := c.a
			l.Join(c.b)
			last := &waiter{Value: 9}
			l.Add(last) // the tail is right
			require.Equal(t, append(c.want, 9), popAll(&l))
		})
	}
}

// TestLineAllocatesNothing: waiters bring their own links.
func TestLineAllocatesNothing(t *testing.T) {
	var q queue
	ws := make([]waiter, 8)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		clear(ws)
		for i := range ws {
			q.Push(&ws[i])
		}
		var l list
		for i := range 4 {
			q.Remove(&ws[i])
			l.Add(&ws[i])
		}
		l.Join(q.Detach())
		for w := l.Pop(); w != nil; w = l.Pop() {
			w.Finish()
			w.Wake()
		}
	}))
}

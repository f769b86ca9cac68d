package waitmap

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/choice"
	"github.com/vigil-go/vigil/wake"
)

// inLineOf returns a case that is in line for the key, and the claim of its Select.
func inLineOf(t *testing.T, m *Map[int, int], key int, takes bool) (*keyCase[int, int], *choice.Claim) {
	t.Helper()
	claim, arm := new(choice.Claim), new(choice.Arm)
	arm.Init(claim, 0, wake.Func(func() {}))
	c := new(keyCase[int, int]).init(m, key, nil, takes)
	require.True(t, c.Enter(arm))
	require.True(t, claim.Open())
	return c, claim
}

// requireNoLine requires that the map keeps nothing of its waiters.
func requireNoLine(t *testing.T, m *Map[int, int]) {
	t.Helper()
	requireInvariants(t, m)
	e := m.init()
	for i := range e.shards {
		require.Zero(t, e.shards[i].lines.n)
		table := e.shards[i].table.Load()
		for g := range table.groups() {
			require.Zero(t, table.first.at(g).meta&metaLines, "the flag of a home without lines")
		}
	}
}

// TestPassedOverKeepsNoLine: a store that finds only waiters in line whose Selects have
// ended closes the line, and the next store takes the short way again.
func TestPassedOverKeepsNoLine(t *testing.T) {
	stores := map[string]func(m *Map[int, int]){
		"Store":       func(m *Map[int, int]) { m.Store(1, 1) },
		"Swap":        func(m *Map[int, int]) { m.Swap(1, 1) },
		"LoadOrStore": func(m *Map[int, int]) { m.LoadOrStore(1, 1) },
		"Compute":     func(m *Map[int, int]) { m.Compute(1, func(int, bool) (int, Op) { return 1, StoreOp }) },
	}
	for name, store := range stores {
		for _, takes := range [][]bool{{false}, {true}, {true, true}, {true, false}, {false, true}} {
			m := New[int, int](nil)
			var cases []*keyCase[int, int]
			for _, take := range takes {
				c, claim := inLineOf(t, m, 1, take)
				require.True(t, claim.Withdraw())
				cases = append(cases, c)
			}
			store(m)
			v, ok := m.Load(1)
			require.True(t, ok, "%s: the value went to a Select that has ended", name)
			require.Equal(t, 1, v)
			if !slices.Contains(takes, false) || len(takes) == 1 && name != "Compute" {
				requireNoLine(t, m) // with an observer, a long way leaves the flag to the next change
			}
			for _, c := range cases {
				require.True(t, c.Leave())
				require.Nil(t, c.node, "the notifier may still use it")
			}
			m.Store(1, 2)
			requireNoLine(t, m)
		}
	}
}

// TestPassedOverByAHold: so does the end of a computation.
func TestPassedOverByAHold(t *testing.T) {
	for _, op := range []Op{KeepOp, StoreOp} {
		m := New[int, int](nil)
		m.Store(1, 1)
		var cases []*keyCase[int, int]
		m.Compute(1, func(int, bool) (int, Op) {
			for range 2 {
				c, claim := inLineOf(t, m, 1, true)
				require.True(t, claim.Withdraw())
				cases = append(cases, c)
			}
			return 2, op
		})
		v, ok := m.Load(1)
		require.True(t, ok)
		require.Equal(t, 1+int(op), v)
		requireNoLine(t, m)
		for _, c := range cases {
			require.True(t, c.Leave())
		}
	}
}

// TestNodeOfACase is used again only if neither a notifier nor another waiter uses it.
func TestNodeOfACase(t *testing.T) {
	m := New[int, int](nil)
	c, claim := inLineOf(t, m, 1, true)
	node := c.node
	require.Same(t, &c.first, node)
	require.True(t, claim.Withdraw())
	require.True(t, c.Leave())
	require.Same(t, node, c.node, "nobody else has seen it")
	require.Nil(t, c.node.w.Waker, "it keeps its Select")

	c, claim = inLineOf(t, m, 1, true)
	behind := m.Register(1, nil)
	require.True(t, claim.Withdraw())
	require.True(t, c.Leave())
	require.Nil(t, c.node, "its line is in use")
	require.True(t, behind.Stop())

	c, claim = inLineOf(t, m, 1, true)
	m.Store(1, 1)
	require.Equal(t, 0, claim.Chosen())
	require.NoError(t, c.Result())
	require.Same(t, &c.first, c.node, "its waker was called, which is the last use")
	require.Zero(t, c.node.w.Value.v, "it keeps the value")

	c, claim = inLineOf(t, m, 1, true)
	c.arm.Claim() // by a notifier that has not come further
	require.Equal(t, 0, claim.Chosen())
	require.NoError(t, c.Result())
	require.Nil(t, c.node, "the notifier may still use it")
	m.Cancel(1)
	requireInvariants(t, m)
}

// TestEnterLooksAgain: what has come since Try makes the case happen, if no other case has
// happened meanwhile. Nothing is in line then.
func TestEnterLooksAgain(t *testing.T) {
	for _, takes := range []bool{false, true} {
		for _, lost := range []bool{false, true} {
			m := New[int, int](nil)
			m.Store(1, 5)
			claim, arm, v := new(choice.Claim), new(choice.Arm), 0
			arm.Init(claim, 0, wake.Func(func() { t.Error("woken though it does not sleep") }))
			c := new(keyCase[int, int]).init(m, 1, &v, takes)
			if lost {
				require.True(t, claim.Withdraw())
			}
			require.False(t, c.Enter(arm))
			_, there := m.Load(1)
			require.Equal(t, lost || !takes, there)
			requireNoLine(t, m)
			if lost {
				continue
			}
			require.Equal(t, 0, claim.Chosen())
			require.NoError(t, c.Result())
			require.Equal(t, 5, v)

			m.Clear()
			m.Close()
			claim.Reset()
			require.False(t, c.Enter(arm))
			require.Equal(t, 0, claim.Chosen())
			require.Equal(t, ErrClosed, c.Result())
			requireNoLine(t, m)
		}
	}
}

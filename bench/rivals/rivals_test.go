package rivals

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryRivalIsAMap(t *testing.T) {
	for _, maker := range Makers[int, int]() {
		t.Run(maker.Name+"/int", func(t *testing.T) { tryMap(t, maker, IntKeys(500)) })
	}
	for _, maker := range Makers[string, int]() {
		t.Run(maker.Name+"/str", func(t *testing.T) { tryMap(t, maker, StringKeys(500)) })
	}
}

func tryMap[K Key](t *testing.T, maker Maker[K, int], keys []K) {
	m := maker.New(len(keys))
	m.Fill(keys, IntValues())
	assert.Equal(t, len(keys), m.Walk())
	for _, key := range keys {
		_, ok := m.Load(key)
		require.True(t, ok)
	}
	m.Store(keys[0], -5)
	v, ok := m.Load(keys[0])
	assert.True(t, ok)
	assert.Equal(t, -5, v)
	m.Delete(keys[0])
	_, ok = m.Load(keys[0])
	assert.False(t, ok)
}

func TestEveryRivalFindsAllKeysInAReadMix(t *testing.T) {
	keys := StringKeys(1000)
	for _, maker := range Makers[string, int]() {
		m := maker.New(len(keys))
		m.Fill(keys, IntValues())
		w := NewWorker(0, keys, IntValues(), 100)
		m.Mix(w, 5000)
		assert.EqualValues(t, 5000, w.Hits, maker.Name)
	}
}

// A counter is a map that only counts the calls.
type counter struct{ loads, stores, deletes int }

func (c *counter) Mix(w *Worker[int, int], n int) {
	for range n {
		switch _, op := w.next(); {
		case op < w.readBelow:
			c.loads++
		case op < w.storeBelow:
			c.stores++
		default:
			c.deletes++
		}
	}
}

func TestMixHoldsItsShares(t *testing.T) {
	const n = 200_000
	for _, mix := range []Mix{100, 99, 90, 50, 0} {
		var c counter
		c.Mix(NewWorker(1, []int{1, 2, 3}, IntValues(), mix), n)
		assert.InDelta(t, n*int(mix)/100, c.loads, n/100, "reads of %d", mix)
		assert.InDelta(t, c.stores, c.deletes, n/100, "writes of %d", mix)
	}
}

func TestWorkersDrawEveryKeyAndNotTheSame(t *testing.T) {
	a, b := NewWorker(0, IntKeys(64), IntValues(), 100), NewWorker(1, IntKeys(64), IntValues(), 100)
	seen, same := map[int]bool{}, 0
	for range 2000 {
		k, _ := a.next()
		l, _ := b.next()
		seen[k] = true
		if k == l {
			same++
		}
	}
	assert.Len(t, seen, 64)
	assert.Less(t, same, 200)
}

func TestKeysAreDifferent(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range StringKeys(10_000) {
		require.Len(t, key, 16)
		seen[key] = true
	}
	assert.Len(t, seen, 10_000)
}

func TestCheckNames(t *testing.T) {
	require.NoError(t, CheckNames(Names()))
	err := CheckNames([]string{"xsink"})
	require.ErrorContains(t, err, strconv.Quote("xsink"))
	require.ErrorContains(t, err, "sync.Map")
}

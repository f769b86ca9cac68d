package waitgroup_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitgroup"
)

// These are the tests of sync.WaitGroup, for Wait(bg).

// TestSyncRounds: one group waits for n goroutines, which wait at the other one until all
// have come.
func TestSyncRounds(t *testing.T) {
	var finished, exit waitgroup.Group
	const n = 16
	for range testkit.Scale(200, 40) {
		finished.Add(n)
		exit.Add(n)
		var passed atomic.Int32
		for range n {
			go func() {
				finished.Done()
				finished.Wait(bg)
				passed.Add(1)
				exit.Done()
			}()
		}
		require.NoError(t, finished.Wait(bg))
		require.NoError(t, exit.Wait(bg))
		require.EqualValues(t, n, passed.Load())
	}
}

// TestSyncMisuse: more is done than was added.
func TestSyncMisuse(t *testing.T) {
	var g waitgroup.Group
	g.Add(1)
	g.Done()
	require.PanicsWithValue(t, negative, g.Done)
	requireZero(t, &g)
}

// TestSyncWaitersRaceAdd: some goroutines wait while others add and count down. One count
// is held until all have added, so that the count does not reach zero meanwhile.
func TestSyncWaitersRaceAdd(t *testing.T) {
	for range testkit.Scale(500, 100) {
		var g waitgroup.Group
		var held, finished atomic.Int32
		const adders = 3
		g.Add(1)
		testkit.Together(2*adders, func(i int) {
			if i < adders {
				g.Wait(bg)
				if n := finished.Load(); n != adders {
					t.Errorf("released after %d of %d", n, adders)
				}
				return
			}
			g.Go(func() { runtime.Gosched(); finished.Add(1) })
			if held.Add(1) == adders {
				g.Done()
			}
		})
	}
}

// TestSyncAddInDone: Wait also waits for the count that a task adds before it is done.
func TestSyncAddInDone(t *testing.T) {
	for range testkit.Scale(1000, 200) {
		var g waitgroup.Group
		var n atomic.Int32
		g.Add(1)
		go func() {
			g.Add(2)
			for range 2 {
				go func() {
					runtime.Gosched()
					n.Add(1)
					g.Done()
				}()
			}
			n.Add(1)
			g.Done()
		}()
		require.NoError(t, g.Wait(bg))
		require.EqualValues(t, 3, n.Load())
	}
}

// TestSyncWaitTwice: at zero any number may wait, one after the other.
func TestSyncWaitTwice(t *testing.T) {
	for range testkit.Scale(300, 60) {
		var g waitgroup.Group
		done := false
		g.Go(func() { done = true })
		testkit.Together(3, func(int) {
			g.Wait(bg)
			g.Wait(bg)
			if !done {
				t.Error("released early")
			}
		})
	}
}

// TestSyncGo: Go is Add, go and Done.
func TestSyncGo(t *testing.T) {
	var g waitgroup.Group
	n := 0
	g.Go(func() { n++ })
	require.NoError(t, g.Wait(bg))
	require.Equal(t, 1, n)
}

// TestSyncAlignment: a group works at every offset in a struct.
func TestSyncAlignment(t *testing.T) {
	var s struct {
		_ byte
		a waitgroup.Group
		_ byte
		b [3]waitgroup.Group
		_ [3]byte
		c waitgroup.Group
	}
	for _, g := range []*waitgroup.Group{&s.a, &s.b[0], &s.b[1], &s.b[2], &s.c} {
		g.Add(1)
		requireCount(t, 1, g)
		go g.Done()
		require.NoError(t, g.Wait(bg))
		requireZero(t, g)
	}
}

// TestSyncManyTasks: as many as there may be.
func TestSyncManyTasks(t *testing.T) {
	var g waitgroup.Group
	n := testkit.Scale(20_000, 2000)
	var ran atomic.Int64
	for range n {
		g.Go(func() { ran.Add(1) })
	}
	require.NoError(t, g.Wait(bg))
	require.EqualValues(t, n, ran.Load())
	requireZero(t, &g)
}

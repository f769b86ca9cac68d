package faults_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A tally says how often each value was stored and taken.
type tally struct {
	mu              sync.Mutex
	stored          map[string]bool // true: certainly
	certain, unsure map[string]int  // times that it was taken
}

func newTally() *tally {
	return &tally{stored: make(map[string]bool), certain: make(map[string]int), unsure: make(map[string]int)}
}

// produce stores one value after the other, each when the one before was taken.
func (n *tally) produce(c *client, stop chan struct{}) {
	for i := 0; ; i++ {
		value := fmt.Sprint(i)
		for r := (response{}); !r.OK && !r.Unknown; {
			if isClosed(stop) {
				return
			}
			r = c.call(request{Op: "swap", Key: "queue", Value: value, Within: patience / 2})
			n.mu.Lock()
			if r.OK || r.Unknown {
				n.stored[value] = r.OK
			}
			n.mu.Unlock()
		}
	}
}

// takeAll takes values until nothing comes any more after ended was closed.
func (n *tally) takeAll(c *client, ended chan struct{}) {
	for {
		over := isClosed(ended)
		if !n.took(c.call(request{Op: "take", Key: "queue", Within: ttl})) && over {
			return
		}
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// took counts what a Take has returned, and reports whether it returned a value.
func (n *tally) took(r response) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case r.Err == "":
		n.certain[r.Value]++
	case r.Unknown:
		n.unsure[r.Value]++
	default:
		return false
	}
	return true
}

func (n *tally) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.certain)
}

// more waits until that many more values were taken.
func (n *tally) more(count int) {
	for before := n.count(); n.count() < before+count; {
		time.Sleep(time.Millisecond)
	}
}

// check fails if a value was taken twice, or was lost. left is what nobody has taken.
func (n *tally) check(t *testing.T, left response) {
	t.Helper()
	for value, times := range n.certain {
		require.Equal(t, 1, times, "value %s was taken %d times", value, times)
	}
	for value, certain := range n.stored {
		if certain && n.certain[value]+n.unsure[value] == 0 {
			require.True(t, left.OK && left.Value == value, "value %s was lost", value)
		}
	}
	t.Logf("%d values stored, %d taken, %d times with an unknown outcome", len(n.stored), len(n.certain), len(n.unsure))
}

// checkRandom is check if that many takers were killed.
func (n *tally) checkRandom(t *testing.T, gone int, left response) {
	lost := 0
	for value, certain := range n.stored {
		assert.LessOrEqual(t, n.certain[value], 1, "seed %d: value %s was taken several times", *seed, value)
		if certain && n.certain[value]+n.unsure[value] == 0 && left.Value != value {
			lost++
		}
	}
	assert.LessOrEqual(t, lost, gone, "seed %d: values were lost", *seed)
}

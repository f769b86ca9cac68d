package rows

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/bench/measure"
)

// TestLocksExclude: a rival that let two goroutines in would lose counts, and be faster.
func TestLocksExclude(t *testing.T) {
	const goroutines, ops = 8, 10_000
	counts := func(lockers []locker, want int) {
		for _, l := range lockers {
			loop, number := l.open()
			measure.Parallel(goroutines, func(int) { loop(ops) })
			assert.Equal(t, want, *number, l.name)
		}
	}
	counts(lockers(t.Context()), goroutines*ops)
	counts(rwlockers(t.Context()), goroutines*ops/oneWriteOf)
}

func TestPipesCountWhatTheyTake(t *testing.T) {
	for name, p := range map[string]pipe{
		"channel": newChannelPipe(), chanSelect: newSelectPipe(t.Context()), vigilQueue: newQueuePipe(t.Context()),
	} {
		var consumer sync.WaitGroup
		taken := 0
		consumer.Go(func() { taken = p.take() })
		p.put(2 * flowBuffer)
		p.end()
		consumer.Wait()
		assert.Equal(t, 2*flowBuffer, taken, name)
	}
}

// TestSelectsTellTheirCases: message i is case i modulo the number of cases.
func TestSelectsTellTheirCases(t *testing.T) {
	for _, n := range []int{1, 2, 4} {
		for _, m := range selects(n) {
			exchange(m.open(t.Context()), 2*n+1)
		}
	}
	for _, m := range selects(2)[2:] { // of the statement, each case is the right one
		table := m.open(t.Context())
		table.send(0, 0)
		assert.Panics(t, func() { table.receive(1, 0) }, m.name)
	}
}

func TestAWaitIsNextToItsSelect(t *testing.T) {
	for _, m := range waitsAndSelects {
		exchange(m.open(t.Context()), 3)
	}
	for _, a := range waitAims() {
		assert.Equal(t, strings.HasSuffix(a.ours, andCancel), strings.HasSuffix(a.theirs, andCancel))
		assert.Contains(t, a.ours, "Select")
		assert.NotContains(t, a.theirs, "Select")
	}
}

// TestGoalsAreNoted in each cell that has one.
func TestGoalsAreNoted(t *testing.T) {
	set := quick()
	set.Procs = []int{2}
	set.Select = regexp.MustCompile("^(lock/|sema/|queue/(flow/8|hand)$|select/(wait|objects/)|uring/lock/)")
	Run(Jobs(set), func(int, Cell) {}, func(c Cell) {
		goals := 0
		for _, note := range c.Notes {
			if strings.Contains(note, ", goal at ") {
				goals++
			}
		}
		assert.Positive(t, goals, c.ID())
	})
}

func TestAnAimIsMissedOrNot(t *testing.T) {
	series := []measure.Series{{Name: "a", Values: []float64{15, 15, 15}}, {Name: "b", Values: []float64{10, 10, 5}}}
	assert.Equal(t, "a / b, procs 2 (per round 1.5): 1.5, goal at most 1.5", aim{"a", "b", 1.5}.note(2, series))
	assert.Equal(t, "a / b, procs 2 (per round 1.5): 1.5, goal at most 1.3, MISSED", aim{"a", "b", 1.3}.note(2, series))
	require.Panics(t, func() { aim{"a", "c", 1}.note(2, series) })
}

// TestAllocationsAreCounted, and those of the measurement are not.
func TestAllocationsAreCounted(t *testing.T) {
	const rounds = 1000
	none := allocations(newChannels(1), rounds)
	assert.InDelta(t, 0, none.Value, 0.05)
	some := allocations(&allocating{newChannels(1)}, rounds)
	assert.InDelta(t, 2, some.Value, 0.05)
	assert.InDelta(t, 2*64, some.Alloc, 10)
}

// allocating allocates two objects for each message.
type allocating struct{ channels }

var kept [2]*[64]byte

func (t *allocating) send(i, side int) {
	for k := range kept {
		kept[k] = new([64]byte)
	}
	t.channels.send(i, side)
}

// TestUnderItsContext: each side of a table waits under the context that it was given.
func TestUnderItsContext(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, table := range map[string]interface {
		table
		under(side int, ctx context.Context)
	}{"mutex": newMutexWaits(t.Context()), "queue": newQueueWaits(t.Context())} {
		table.under(0, ended)
		assert.Panics(t, func() { table.receive(0, 0) }, name)
		table.send(0, 0) // by the other side
	}
}

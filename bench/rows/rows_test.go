package rows

import (
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/bench/measure"
)

func quick() *Settings {
	return &Settings{Procs: []int{1, 2}, Rounds: 1, Slice: 200 * time.Microsecond, Quick: true, Settle: true}
}

// TestEveryRowRuns checks that every cell runs and that every subject has a number.
func TestEveryRowRuns(t *testing.T) {
	set := quick()
	set.Select = regexp.MustCompile(".") // also those that run on request only
	seen := map[string]bool{}
	Run(Jobs(set), func(int, Cell) {}, func(c Cell) {
		seen[c.Row] = true
		require.NotEmpty(t, c.Series, c.ID())
		for _, s := range c.Series {
			require.Len(t, s.Values, max(1, len(s.Values)), c.ID())
			assert.GreaterOrEqual(t, s.Median(), 0.0, "%s %s", c.ID(), s.Name)
		}
	})
	for _, row := range All() {
		assert.True(t, seen[row.Name], row.Name)
	}
}

func TestTheMapTableHasSixteenCells(t *testing.T) {
	set := &Settings{Procs: []int{2}, Select: regexp.MustCompile("^map/")}
	assert.Len(t, Jobs(set), 16)
	set.Select = regexp.MustCompile("^map/int/1k/50$")
	assert.Len(t, Jobs(set), 1)
}

func TestRowsOnRequestWaitToBeNamed(t *testing.T) {
	set := &Settings{Procs: []int{2}}
	for _, job := range Jobs(set) {
		assert.NotEqual(t, "collect", job.Cell.Row)
	}
	set.Select = regexp.MustCompile("collect")
	assert.Len(t, Jobs(set), 1)
}

func TestRivalsCanBeChosen(t *testing.T) {
	set := quick()
	set.Rivals, set.Select = []string{"vigil", "xsync"}, regexp.MustCompile("^map/int/200/90")
	Run(Jobs(set), func(int, Cell) {}, func(c Cell) {
		assert.Len(t, c.Series, 2)
	})
}

func TestChosenKeysCollide(t *testing.T) {
	for _, h := range []uint64{0, 1, 0xabcd << 48, 1<<64 - 1, 0x123456789abcdef} {
		assert.Equal(t, h, xxhash(unxxhash(h)))
		assert.Equal(t, h, murmur(unmurmur(h)))
	}
	golden := uint64(0x9e3779b97f4a7c15)
	assert.Equal(t, uint64(1), golden*inverse(golden))
}

func TestKeySetsHoldDifferentKeys(t *testing.T) {
	for _, ks := range keySets {
		seen := map[int]bool{}
		for _, key := range ks.keys(5000) {
			seen[key] = true
		}
		assert.Len(t, seen, 5000, ks.name)
	}
}

func TestShort(t *testing.T) {
	for n, want := range map[int]string{1000: "1k", 1_000_000: "1M", 1_500_000: "1.5M", 200: "200", 700_000: "700k"} {
		assert.Equal(t, want, short(n))
	}
}

func TestEachWaiterIsWokenOnce(t *testing.T) {
	for _, h := range countedEvents(t.Context(), 100) {
		for _, subject := range []measure.Subject{allRan(h), latest(h)} {
			assert.Positive(t, subject.Run(0).Value, h.name)
		}
		assert.Equal(t, 200, h.waiters, h.name)
		assert.Equal(t, 200, h.once, h.name)
	}
}

func TestAMillionOnlyWhenAllowed(t *testing.T) {
	set := &Settings{Procs: []int{1, 2}, Rounds: 5, Select: regexp.MustCompile("^herd/.*/1M$")}
	assert.Empty(t, Jobs(set))
	set.Million = true
	assert.Len(t, Jobs(set), 2, "one GOMAXPROCS")
	set.Quick = true
	assert.Empty(t, Jobs(set))
}

func TestACellMayHaveABaseOfItsOwn(t *testing.T) {
	set := quick()
	set.Select = regexp.MustCompile("^notify/")
	for _, job := range Jobs(set) {
		want := "channel of 1"
		if job.Cell.Name == "ping-pong" {
			want = "channel"
		}
		assert.Equal(t, want, job.Cell.Base, job.Cell.Name)
	}
}

func TestNoGoroutineStaysBehind(t *testing.T) {
	set := quick()
	set.Select = regexp.MustCompile("^(group|notify|herd|lock|rwlock|sema|queue|select|tasks|once)/")
	before := runtime.NumGoroutine()
	Run(Jobs(set), func(int, Cell) {}, func(Cell) {})
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		runtime.Gosched() // a goroutine that has called Done is about to end
	}
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
}

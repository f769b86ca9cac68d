package rows

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/server"
)

func TestScoresKeepTheOrderOfTheFirstRound(t *testing.T) {
	all := scores{}
	for round, names := range [][]string{{"a", "b"}, {"b", "a"}} {
		for _, name := range names {
			all.add(cpuFigure, name, float64(round))
		}
	}
	assert.Equal(t, []measure.Series{{Name: "a", Values: []float64{0, 1}}, {Name: "b", Values: []float64{0, 1}}}, all[cpuFigure])
}

func TestAContestIsMeasuredOnceForAllItsFigures(t *testing.T) {
	measured := 0
	c := contest{
		name: "x",
		measure: func() (scores, []string) {
			measured++
			all := scores{}
			all.add("one", "a", 1)
			all.add("two", "a", 2)
			return all, []string{"noted"}
		},
		aims: func(figure string, _ []measure.Series) []string { return []string{figure} },
	}
	var names, notes []string
	var values []float64
	Run(contestJobs(quick(), []figure{{"one", ""}, {"two", ""}}, []contest{c}), func(int, Cell) {}, func(c Cell) {
		names, notes, values = append(names, c.Name), append(notes, c.Notes...), append(values, c.Series[0].Median())
	})
	assert.Equal(t, 1, measured)
	assert.Equal(t, []string{"one/x", "two/x"}, names)
	assert.Equal(t, []string{"noted", "one", "noted", "two"}, notes)
	assert.Equal(t, []float64{1, 2}, values)
}

func TestAShareIsOfCPUTime(t *testing.T) {
	series := []measure.Series{{Name: "ours", Values: []float64{2}}, {Name: "theirs", Values: []float64{4}}}
	assert.Equal(t, "ours per CPU second, times theirs (per round 2): 2, goal at least 1.3", share{"ours", "theirs", 1.3}.note(series))
	assert.Contains(t, share{"theirs", "ours", 1}.note(series), "MISSED")
}

func TestReadersReadUntilTheTimeIsUp(t *testing.T) {
	f := bigFile(4 * pageSize)
	defer f.Close()
	for _, depth := range []int{1, 3} {
		readers := pageReaders{depth: depth, pages: 4}
		n := readers.run(goroutineRunner, func(_ context.Context, p []byte, off int64) (int, error) { return f.ReadAt(p, off) })(time.Millisecond)
		assert.Positive(t, n)
	}
}

// TestEveryServerIsMeasured names what each figure of the servers must have.
func TestEveryServerIsMeasured(t *testing.T) {
	set := quick()
	set.Select = regexp.MustCompile("^io/(echo|http)/")
	figures := map[string]bool{}
	Run(Jobs(set), func(int, Cell) {}, func(c Cell) {
		what, _, _ := strings.Cut(c.Name, "/")
		figures[what] = true
		for _, s := range c.Series {
			require.Len(t, s.Values, 1, c.ID())
			if what != allocsFigure {
				assert.Positive(t, s.Median(), "%s %s", c.ID(), s.Name)
			}
		}
	})
	want := []string{cpuFigure, rateFigure, medianFigure, tailFigure, allocsFigure}
	if server.CanCountCalls() == nil {
		want = append(want, callsFigure)
	}
	for _, name := range want {
		assert.True(t, figures[name], name)
	}
	assert.Len(t, figures, len(want))
}

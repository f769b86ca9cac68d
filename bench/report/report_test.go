package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rows"
)

func cell(row, name string, values map[string]float64) rows.Cell {
	c := rows.Cell{Row: row, Name: name, Procs: 2, Unit: "ns/op"}
	for _, n := range []string{"vigil", "xsync", "sync.Map", "cornelk"} {
		if v, ok := values[n]; ok {
			c.Series = append(c.Series, measure.Series{Name: n, Values: []float64{v}})
		}
	}
	return c
}

func TestVersusTakesTheBestFitRival(t *testing.T) {
	r, name, ok := Versus(cell("map", "a", map[string]float64{"vigil": 10, "xsync": 15, "sync.Map": 30, "cornelk": 1}))
	require.True(t, ok)
	assert.Equal(t, "xsync", name, "cornelk loses entries and is no rival to be beaten by")
	assert.Equal(t, 1.5, r.OfMedians)
}

func TestVersusNeedsBothSides(t *testing.T) {
	_, _, ok := Versus(cell("map", "a", map[string]float64{"vigil": 10, "cornelk": 1}))
	assert.False(t, ok)
	_, _, ok = Versus(cell("map", "a", map[string]float64{"xsync": 10}))
	assert.False(t, ok)
}

func TestSummarize(t *testing.T) {
	s := Summarize([]rows.Cell{
		cell("map", "a", map[string]float64{"vigil": 10, "xsync": 20}),
		cell("map", "b", map[string]float64{"vigil": 20, "xsync": 10}),
		cell("map", "c", map[string]float64{"vigil": 10, "xsync": 9}),
		cell("map", "d", map[string]float64{"xsync": 9}),
	})
	assert.Equal(t, 3, s.Cells)
	assert.InDelta(t, 0.9655, s.OfMedians, 1e-4)
	assert.Equal(t, 0.5, s.Worst)
	assert.Contains(t, s.WorstAt, "map/b")
	assert.Equal(t, 2, s.BelowOne)
	assert.Equal(t, 1, s.Losses)
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{4.234: "4.23", 42.34: "42.3", 423.4: "423", 4234: "4,234", 1234567: "1,234,567"} {
		assert.Equal(t, want, Number(v))
	}
}

func TestTabulateTellsMultiplesOfTheBase(t *testing.T) {
	c := rows.Cell{Row: "wait", Name: "int", Procs: 2, Unit: "ns/op", Base: "Load", Series: []measure.Series{
		{Name: "Load", Values: []float64{10}}, {Name: "Wait", Values: []float64{11}},
	}}
	table := Tabulate([]rows.Cell{c})
	assert.Equal(t, []string{"ns/op", "procs", "Load", "Wait"}, table.Head)
	assert.Equal(t, []string{"wait/int", "2", "10.0", "11.0 (1.10×)"}, table.Lines[0])
}

func TestReportSurvivesItsFileAndDrawsEveryRow(t *testing.T) {
	set := &rows.Settings{Procs: []int{1, 2}, Rounds: 1, Slice: 100 * time.Microsecond, Quick: true}
	r := &Report{Machine: measure.ThisMachine("go run <it>"), Method: "m"}
	rows.Run(rows.Jobs(set), func(int, rows.Cell) {}, func(c rows.Cell) { r.Cells = append(r.Cells, c) })
	dir := t.TempDir()
	require.NoError(t, r.Write(dir))
	again, err := Read(filepath.Join(dir, "report.json"))
	require.NoError(t, err)
	assert.Equal(t, r.Cells, again.Cells)
	page, err := os.ReadFile(filepath.Join(dir, "index.html"))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, strings.Count(string(page), "<svg"), len(r.sections()))
	assert.NotContains(t, string(page), "src=", "the page loads nothing")
	assert.Contains(t, string(page), "go run &lt;it&gt;")
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.json")
	_, err := Read(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(path, []byte("no"), 0o600))
	_, err = Read(path)
	require.ErrorContains(t, err, "not a report.json")
}

func TestTheStandardLibraryIsNotOurs(t *testing.T) {
	assert.False(t, isOurs("sync.WaitGroup"))
	assert.True(t, isOurs("Wait, cancelable"))
	assert.True(t, isOurs("vigil Group"))
}

// TestCellsNamedByANumber: the row is what they measure.
func TestCellsNamedByANumber(t *testing.T) {
	for name, want := range map[string][2]string{"8": {"lock", "8"}, "flow/8": {"flow", "8"}, "hand": {"", "hand"}} {
		what, n := number(rows.Cell{Row: "lock", Name: name})
		assert.Equal(t, want, [2]string{what, n})
	}
}

func TestFiguresKeepTheColoursOfTheLegend(t *testing.T) {
	one := []measure.Series{{Name: "a", Values: []float64{1}}, {Name: "b", Values: []float64{2}}}
	cells := []rows.Cell{{Name: "x/1", Series: one}, {Name: "y/1", Series: one[1:]}}
	for _, row := range []string{"waiters", "group", "handoff"} {
		figures, err := Figures(row, cells)
		require.NoError(t, err)
		require.Len(t, figures, 2, row)
		want := Palette(Columns(cells))["b"]
		assert.Contains(t, strings.ToLower(figures[1].SVG), want, row)
	}
}

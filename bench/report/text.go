// Package report writes measured cells as tables and a page.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
	"github.com/vigil-go/vigil/bench/rows"
)

// Columns returns the names of all series of the cells, in order of appearance.
func Columns(cells []rows.Cell) []string {
	var names []string
	for _, c := range cells {
		for _, s := range c.Series {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// unfit rivals are shown but never count as the best, because they lose entries.
func unfit(name string) bool { return name == "cornelk" }

// Best returns the best rival in a cell. It is never ours.
func Best(c rows.Cell) (best measure.Series, ok bool) {
	for _, s := range c.Series {
		if s.Name == rivals.Ours || unfit(s.Name) {
			continue
		}
		if !ok || s.Median() < best.Median() {
			best, ok = s, true
		}
	}
	return best, ok
}

// Versus compares ours with the best rival of a cell. Cells with a base have no
// best rival.
func Versus(c rows.Cell) (measure.Ratio, string, bool) {
	if c.Base != "" || c.Paired() {
		return measure.Ratio{}, "", false
	}
	ours, ok := c.Get(rivals.Ours)
	best, found := Best(c)
	if !ok || !found {
		return measure.Ratio{}, "", false
	}
	return measure.Compare(best.Values, ours.Values), best.Name, true
}

// A Summary compares ours with the best rivals over many cells.
type Summary struct {
	Cells            int
	OfMedians        float64 // geometric mean of the ratios
	PerRound         float64
	Worst            float64 // smallest ratio of medians
	WorstAt          string
	BelowOne, Losses int // cells below 1.0 and below 0.85
}

// Summarize returns the summary of the cells that have both ours and a rival.
func Summarize(cells []rows.Cell) Summary {
	s := Summary{Worst: math.Inf(1)}
	var medians, rounds []float64
	for _, c := range cells {
		r, _, ok := Versus(c)
		if !ok {
			continue
		}
		medians, rounds = append(medians, r.OfMedians), append(rounds, r.PerRound)
		s.add(r.OfMedians, fmt.Sprintf("%s, %s", c.ID(), procsLabel(c.Procs)))
	}
	s.OfMedians, s.PerRound = measure.Geomean(medians), measure.Geomean(rounds)
	return s
}

func (s *Summary) add(ratio float64, at string) {
	s.Cells++
	if ratio < s.Worst {
		s.Worst, s.WorstAt = ratio, at
	}
	if ratio < 1 {
		s.BelowOne++
	}
	if ratio < 0.85 {
		s.Losses++
	}
}

func (s Summary) String() string {
	return fmt.Sprintf("best rival / ours over %d cells: geometric mean %.3f (per round %.3f), worst %.3f (%s), below 1.0: %d, below 0.85: %d",
		s.Cells, s.OfMedians, s.PerRound, s.Worst, s.WorstAt, s.BelowOne, s.Losses)
}

// Times returns how many times the cost of its cell's base a series has.
func Times(c rows.Cell, s measure.Series) (float64, bool) {
	base, ok := c.Get(c.Base)
	if !ok || s.Name == base.Name {
		return 0, false
	}
	return measure.Compare(s.Values, base.Values).OfMedians, true
}

// PairTimes is Times for rows that measure each rival twice: it compares with the
// series of the same rival on ordinary keys.
func PairTimes(c rows.Cell, s measure.Series) (float64, bool) {
	base, ok := c.Get(s.Name + rows.Ordinary)
	if !ok {
		return 0, false
	}
	return measure.Compare(s.Values, base.Values).OfMedians, true
}

// Text writes the cells of one row as a table for the terminal.
func Text(w io.Writer, cells []rows.Cell) {
	for _, part := range SameColumns(cells) {
		t := Tabulate(part)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(tw, strings.Join(t.Head, "\t")+"\t")
		for _, line := range t.Lines {
			fmt.Fprintln(tw, strings.Join(line, "\t")+"\t")
		}
		tw.Flush()
	}
	for _, note := range Notes(cells) {
		fmt.Fprintln(w, "  note:", note)
	}
}

// Notes returns the notes of the cells, each once.
func Notes(cells []rows.Cell) (notes []string) {
	for _, c := range cells {
		for _, text := range c.Notes {
			if note := c.Name + ": " + text; !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	return notes
}

// SameColumns splits the cells into runs that have the same series and unit.
func SameColumns(cells []rows.Cell) (parts [][]rows.Cell) {
	last := ""
	for _, c := range cells {
		key := c.Unit + strings.Join(fitColumns(c), "|")
		if key != last {
			parts, last = append(parts, nil), key
		}
		at := len(parts) - 1
		parts[at] = append(parts[at], c)
	}
	return parts
}

// fitColumns removes the subjects that take part in some cells of a row only.
func fitColumns(c rows.Cell) []string {
	return slices.DeleteFunc(Columns([]rows.Cell{c}), unfit)
}

// A Table is text in lines and columns.
type Table struct {
	Head  []string
	Lines [][]string
}

// Tabulate returns the table of cells of one row: medians and comparisons.
func Tabulate(cells []rows.Cell) Table {
	names := Columns(cells)
	t := Table{Head: append([]string{cells[0].Unit, "procs"}, names...)}
	versus := false
	for _, c := range cells {
		_, _, ok := Versus(c)
		versus = versus || ok
	}
	if versus {
		t.Head = append(t.Head, "best rival", "best / ours", "per round")
	}
	for _, c := range cells {
		line := append([]string{c.Row + "/" + c.Name, fmt.Sprint(c.Procs)}, values(c, names)...)
		if versus {
			line = append(line, verdict(c)...)
		}
		t.Lines = append(t.Lines, line)
	}
	return t
}

func values(c rows.Cell, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = "-"
		if s, ok := c.Get(name); ok {
			out[i] = Number(s.Median()) + multiple(c, s)
		}
	}
	return out
}

func multiple(c rows.Cell, s measure.Series) string {
	for _, times := range []func(rows.Cell, measure.Series) (float64, bool){Times, PairTimes} {
		if v, ok := times(c, s); ok {
			return fmt.Sprintf(" (%s×)", Number(v))
		}
	}
	return ""
}

func verdict(c rows.Cell) []string {
	r, name, ok := Versus(c)
	if !ok {
		return []string{"-", "-", "-"}
	}
	return []string{name, fmt.Sprintf("%.2f", r.OfMedians), fmt.Sprintf("%.2f", r.PerRound)}
}

// Number formats v with three significant digits and separators for thousands.
func Number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 1000:
		return grouped(int64(math.Round(v)))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func grouped(n int64) string {
	text := fmt.Sprint(n)
	var out []string
	for len(text) > 3 {
		out = append([]string{text[len(text)-3:]}, out...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, out...), ",")
}

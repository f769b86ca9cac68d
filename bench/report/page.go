package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rows"
)

// A Report has everything that was measured in one run.
type Report struct {
	Machine measure.Machine `json:"machine"`
	Method  string          `json:"method"`
	Cells   []rows.Cell     `json:"cells"`
}

// Read returns the report that Write left in a report.json.
func Read(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading measurements: %w", err)
	}
	r := new(Report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s is not a report.json of this program: %w", path, err)
	}
	return r, nil
}

// Write writes index.html, report.md and report.json into dir.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the report's folder: %w", err)
	}
	files := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"report.json", r.json}, {"report.md", r.markdown}, {"index.html", r.html},
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if err := write(f); err != nil {
		f.Close()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Close()
}

func (r *Report) json(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(r)
}

// A section is one row of the report in the page.
type section struct {
	rows.Row
	cells   []rows.Cell
	Tables  []Table
	Figures []Figure
	Legend  []swatch
	Notes   []string
	Lines   []string // the summary of the row
}

type swatch struct{ Name, Color string }

// sections are the measured rows, in the order of the report.
func (r *Report) sections() []section {
	var out []section
	for _, row := range rows.All() {
		s := section{Row: row}
		for _, c := range r.Cells {
			if c.Row == row.Name {
				s.cells = append(s.cells, c)
			}
		}
		if len(s.cells) > 0 {
			s.fill()
			out = append(out, s)
		}
	}
	return out
}

func (s *section) fill() {
	for _, part := range SameColumns(s.cells) {
		s.Tables = append(s.Tables, Tabulate(part))
	}
	s.Notes = Notes(s.cells)
	s.Lines = Summaries(s.cells)
	names := slices.DeleteFunc(Columns(s.cells), func(n string) bool { return strings.HasSuffix(n, rows.Ordinary) })
	s.Legend = swatches(names)
}

// Summaries sum up the cells that are compared with rivals, one line for each
// GOMAXPROCS.
func Summaries(cells []rows.Cell) (lines []string) {
	if len(cells) > 0 && cells[0].Row == "memory" {
		return nil // a mean over sizes means nothing
	}
	var counts []int
	for _, c := range cells {
		if !slices.Contains(counts, c.Procs) {
			counts = append(counts, c.Procs)
		}
	}
	slices.Sort(counts)
	for _, procs := range counts {
		if s := Summarize(atProcs(cells, procs)); s.Cells > 1 {
			lines = append(lines, fmt.Sprintf("%s: %s", procsLabel(procs), s))
		}
	}
	return lines
}

func (r *Report) markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# vigil: measurements\n\n%s\n\n%s\n", r.where(), r.Method)
	for _, s := range r.sections() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.Title, s.About)
		for _, line := range s.Lines {
			fmt.Fprintf(&b, "\n**%s**\n", line)
		}
		for _, t := range s.Tables {
			t.markdown(&b)
		}
		for _, note := range s.Notes {
			fmt.Fprintf(&b, "\n- %s", note)
		}
		if len(s.Notes) > 0 {
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Table) markdown(b *strings.Builder) {
	escape := strings.NewReplacer("|", "\\|", "*", "\\*")
	line := func(fields []string) {
		b.WriteString("|")
		for _, f := range fields {
			b.WriteString(" " + escape.Replace(f) + " |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	line(t.Head)
	b.WriteString("|---|" + strings.Repeat("---:|", len(t.Head)-1) + "\n")
	for _, fields := range t.Lines {
		line(fields)
	}
}

func (r *Report) where() string {
	m := r.Machine
	return fmt.Sprintf("%s, %d cores, %s, %s, %s: `%s`", m.CPU, m.Cores, m.System, m.Go,
		m.When.Format("2006-01-02 15:04 MST"), m.Command)
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"svg":    func(f Figure) template.HTML { return template.HTML(f.SVG) },
	"swatch": func(s swatch) template.CSS { return template.CSS("background:" + s.Color) },
	"class":  cellClass,
}).Parse(pageText))

func (r *Report) html(w io.Writer) error {
	all := r.sections()
	for i := range all {
		figures, err := Figures(all[i].Name, all[i].cells)
		if err != nil {
			return err
		}
		all[i].Figures = figures
	}
	return page.Execute(w, struct {
		*Report
		Sections []section
		Cards    []card
	}{r, all, r.cards()})
}

// A card is one number at the top of the page.
type card struct{ Value, Label, Detail, Class string }

func (r *Report) cards() (out []card) {
	var table []rows.Cell
	for _, c := range r.Cells {
		if c.Row == "map" {
			table = append(table, c)
		}
	}
	if len(table) == 0 {
		return nil
	}
	procs := headline(table)
	s := Summarize(atProcs(table, procs))
	if s.Cells == 0 {
		return nil
	}
	return []card{
		{fmt.Sprintf("%.2f×", s.OfMedians), "as fast as the best rival of each cell",
			fmt.Sprintf("geometric mean over %d cells at %d procs", s.Cells, procs), grade(s.OfMedians)},
		{fmt.Sprintf("%.2f×", s.Worst), "in the worst cell", s.WorstAt, grade(s.Worst)},
		{fmt.Sprintf("%d of %d", s.Cells-s.BelowOne, s.Cells), "cells won or even",
			fmt.Sprintf("%d below 0.85", s.Losses), grade(float64(s.Cells-s.BelowOne) / float64(s.Cells))},
	}
}

func grade(ratio float64) string {
	switch {
	case ratio >= 1:
		return "won"
	case ratio < 0.85:
		return "lost"
	}
	return "even"
}

// cellClass colors a table's ratios and marks the columns that are ours.
func cellClass(head, text string) string {
	switch {
	case head == "best / ours" || head == "per round":
		var v float64
		if _, err := fmt.Sscanf(text, "%g", &v); err == nil {
			return grade(v)
		}
	case isOurs(head) && !strings.HasSuffix(head, rows.Ordinary):
		return "ours"
	}
	return ""
}

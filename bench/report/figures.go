package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"

	"github.com/vigil-go/vigil/bench/rows"
)

// A Figure is one plot in the page.
type Figure struct {
	SVG    string
	Wide   bool
	Legend []swatch // what differs from the legend of the section
}

const (
	panelWidth  = 380 * vg.Length(1)
	wideWidth   = 780 * vg.Length(1)
	panelHeight = 230 * vg.Length(1)
)

// Figures draws the plots of one row.
func Figures(row string, cells []rows.Cell) ([]Figure, error) {
	switch row {
	case "map", "values":
		return mixFigures(cells)
	case "memory":
		return memoryFigures(cells)
	case "collide":
		return collideFigures(cells)
	case "iterate", "waiters", "collect", "cancel":
		return barsByName(cells)
	case "group", "notify", "herd", "lock", "rwlock", "sema", "queue", "select", "tasks", "once",
		"io/echo", "io/http", "io/file":
		return barsByNumber(cells)
	default:
		return barsByProcs(cells)
	}
}

// split returns a cell's name without its last part, and that part.
func split(name string) (string, string) {
	at := strings.LastIndex(name, "/")
	if at < 0 {
		return "", name
	}
	return name[:at], name[at+1:]
}

// panels groups cells by key, in order of appearance.
func panels(cells []rows.Cell, key func(rows.Cell) string) (names []string, groups map[string][]rows.Cell) {
	groups = map[string][]rows.Cell{}
	for _, c := range cells {
		k := key(c)
		if groups[k] == nil {
			names = append(names, k)
		}
		groups[k] = append(groups[k], c)
	}
	return names, groups
}

func median(cells []rows.Cell) func(string, int) (float64, bool) {
	return func(name string, g int) (float64, bool) {
		s, ok := cells[g].Get(name)
		return s.Median(), ok
	}
}

func labels(cells []rows.Cell, label func(rows.Cell) string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = label(c)
	}
	return out
}

// barPanels draws one bar panel per group of cells, in the colours of all
// cells.
func barPanels(cells []rows.Cell, key, label func(rows.Cell) string) ([]Figure, error) {
	return coloredPanels(Palette(Columns(cells)), cells, key, label)
}

func coloredPanels(colors map[string]string, cells []rows.Cell, key, label func(rows.Cell) string) ([]Figure, error) {
	var out []Figure
	names, groups := panels(cells, key)
	for _, name := range names {
		part := groups[name]
		p := Panel{Title: name, Unit: part[0].Unit, Groups: labels(part, label), Names: Columns(part), Colors: colors, Value: median(part)}
		wide := len(part)*len(p.Names) > 30
		text, err := p.Bars(widthOf(wide), panelHeight)
		if err != nil {
			return nil, err
		}
		out = append(out, Figure{SVG: text, Wide: wide})
	}
	return out, nil
}

func widthOf(wide bool) vg.Length {
	if wide {
		return wideWidth
	}
	return panelWidth
}

// mixFigures draws the ratios of all cells, then bars per key type and size under
// one GOMAXPROCS.
func mixFigures(cells []rows.Cell) ([]Figure, error) {
	ratios, err := ratioFigure(cells)
	if err != nil {
		return nil, err
	}
	one := atProcs(cells, headline(cells))
	bars, err := barPanels(one, func(c rows.Cell) string {
		panel, _ := split(c.Name)
		return panel + ", " + procsLabel(c.Procs)
	}, func(c rows.Cell) string {
		_, mix := split(c.Name)
		return mix + "% reads"
	})
	return append(ratios, bars...), err
}

func procsLabel(n int) string { return fmt.Sprintf("GOMAXPROCS %d", n) }

func swatches(names []string) (out []swatch) {
	palette := Palette(names)
	for _, name := range names {
		out = append(out, swatch{name, palette[name]})
	}
	return out
}

func headline(cells []rows.Cell) int {
	if slices.ContainsFunc(cells, func(c rows.Cell) bool { return c.Procs == 2 }) {
		return 2
	}
	return cells[0].Procs
}

func atProcs(cells []rows.Cell, procs int) (out []rows.Cell) {
	for _, c := range cells {
		if c.Procs == procs {
			out = append(out, c)
		}
	}
	return out
}

// ratioFigure shows the ratio of ours to the best rival for each cell.
func ratioFigure(cells []rows.Cell) ([]Figure, error) {
	var counts []string
	names, groups := panels(cells, func(c rows.Cell) string { return c.Name })
	slices.Reverse(names) // the first line is at the top
	for _, c := range cells {
		if label := procsLabel(c.Procs); !slices.Contains(counts, label) {
			counts = append(counts, label)
		}
	}
	p := Panel{
		Title: "How many times faster than the best rival of each cell", Unit: "best rival's time / ours",
		Groups: names, Names: counts,
		Value: func(label string, g int) (float64, bool) {
			for _, c := range groups[names[g]] {
				if procsLabel(c.Procs) == label {
					r, _, ok := Versus(c)
					return r.OfMedians, ok
				}
			}
			return 0, false
		},
	}
	if s := Summarize(cells); s.Cells == 0 {
		return nil, nil
	}
	text, err := p.Dots(wideWidth, vg.Length(70+17*len(names)))
	return []Figure{{text, true, swatches(counts)}}, err
}

func memoryFigures(cells []rows.Cell) ([]Figure, error) {
	var out []Figure
	var rest []rows.Cell
	names, groups := panels(cells, func(c rows.Cell) string { kind, _ := split(c.Name); return kind })
	for _, name := range names {
		part := groups[name]
		if len(part) < 2 {
			rest = append(rest, part...)
			continue
		}
		p := Panel{
			Title: name + " → int", Unit: part[0].Unit, Names: Columns(part), Value: median(part),
			Groups: labels(part, func(c rows.Cell) string { _, n := split(c.Name); return n }),
		}
		text, err := p.Lines(sizes(p.Groups), panelWidth, panelHeight)
		if err != nil {
			return nil, err
		}
		out = append(out, Figure{SVG: text})
	}
	if len(rest) == 0 {
		return out, nil
	}
	bars, err := barPanels(rest, func(rows.Cell) string { return "other values" }, func(c rows.Cell) string { return c.Name })
	return append(out, bars...), err
}

// sizes returns the numbers that short names of sizes mean: 100k, 1.5M.
func sizes(labels []string) []float64 {
	out := make([]float64, len(labels))
	for i, label := range labels {
		factor := 1.0
		switch {
		case strings.HasSuffix(label, "k"):
			factor = 1e3
		case strings.HasSuffix(label, "M"):
			factor = 1e6
		}
		_, _ = fmt.Sscanf(strings.TrimRight(label, "kM"), "%g", &out[i])
		out[i] *= factor
	}
	return out
}

// collideFigures shows how many times as expensive chosen keys are as random ones.
func collideFigures(cells []rows.Cell) ([]Figure, error) {
	var out []Figure
	names, groups := panels(cells, func(c rows.Cell) string {
		head, n := split(c.Name)
		op, _ := split(head)
		return op + ", " + n + " keys"
	})
	for _, name := range names {
		part := groups[name]
		p := Panel{
			Title: name + ": chosen keys over random ones", Unit: "times", Log: true,
			Names: slices.DeleteFunc(Columns(part), func(s string) bool { return strings.HasSuffix(s, rows.Ordinary) }),
			Groups: labels(part, func(c rows.Cell) string {
				head, _ := split(c.Name)
				_, set := split(head)
				return strings.Replace(set, ", same ", "\n", 1)
			}),
			Value: func(rival string, g int) (float64, bool) {
				s, ok := part[g].Get(rival)
				if !ok {
					return 0, false
				}
				return PairTimes(part[g], s)
			},
		}
		text, err := p.Bars(wideWidth, panelHeight)
		if err != nil {
			return nil, err
		}
		out = append(out, Figure{SVG: text, Wide: true})
	}
	return out, nil
}

func barsByName(cells []rows.Cell) ([]Figure, error) {
	parts := SameColumns(cells)
	var out []Figure
	for _, part := range parts {
		title := part[0].Name
		if len(part) > 1 {
			title = ""
		}
		figures, err := coloredPanels(Palette(Columns(cells)), part,
			func(rows.Cell) string { return title }, func(c rows.Cell) string { return c.Name })
		if err != nil {
			return nil, err
		}
		out = append(out, figures...)
	}
	return out, nil
}

func barsByProcs(cells []rows.Cell) ([]Figure, error) {
	return barPanels(cells, func(c rows.Cell) string { return c.Name },
		func(c rows.Cell) string { return procsLabel(c.Procs) })
}

// barsByNumber draws the cells of each GOMAXPROCS side by side if they differ in
// the number of goroutines, and the others by GOMAXPROCS.
func barsByNumber(cells []rows.Cell) ([]Figure, error) {
	return barPanels(cells, func(c rows.Cell) string {
		if head, _ := number(c); head != "" {
			return head + ", " + procsLabel(c.Procs)
		}
		return c.Name
	}, func(c rows.Cell) string {
		if head, n := number(c); head != "" {
			return n
		}
		return procsLabel(c.Procs)
	})
}

// number returns what a cell measures, and the number of goroutines. What is empty if
// there is no number.
func number(c rows.Cell) (what, n string) {
	what, n = split(c.Name)
	if _, err := strconv.Atoi(c.Name); err == nil {
		what = c.Row
	}
	return what, n
}

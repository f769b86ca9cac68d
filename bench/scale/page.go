package scale

import (
	_ "embed"
	"fmt"
	"math"
	"strings"
	"text/template"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/report"
)

//go:embed page.md.tmpl
var text string

// Fleet is the place that the page is about.
var Fleet = Place{Cores: 8, Link: 10e9 / 8, Hop: 100e-6}

// sizes are the numbers of followers in the table.
var sizes = []int{1, 3, 10, 30, 100, 300, 1000}

// A row has what so many followers can follow.
type row struct {
	Most
	Synced, OneCore Most
}

// A spread is a thousand machines with so many buckets, each on a server of its own.
type spread struct {
	Buckets       int
	All, Share    float64 // writes a second of all buckets, if each machine follows all or one
	AllIn, AllCPU float64 // bytes a second into each machine, and processors that following takes
}

// machinesOfPage is the number of machines that the page is about.
const machinesOfPage = 1000

// A page is what the template is about.
type page struct {
	Inputs
	Costs  Costs
	Place  Place
	Checks []Check
	Rows   []row
	Spread []spread
}

// Page returns the page, in Markdown, and its plot, in SVG.
func (in Inputs) Page() (markdown, plot string, err error) {
	c, err := in.Costs()
	if err != nil {
		return "", "", err
	}
	p := page{Inputs: in, Costs: c, Place: Fleet, Checks: in.Checks(c)}
	p.Rows = make([]row, len(sizes))
	measure.Parallel(len(sizes), func(i int) { p.Rows[i] = findRow(c, sizes[i]) })
	for _, buckets := range []int{1, 10, 100} {
		all, share := p.most(machinesOfPage).Writes, p.most(machinesOfPage/buckets).Writes
		k := float64(buckets)
		p.Spread = append(p.Spread, spread{buckets, k * all, k * share, k * all * c.Event, k * all * c.Follow})
	}
	var b strings.Builder
	if err := template.Must(template.New("").Funcs(functions).Parse(text)).Execute(&b, p); err != nil {
		return "", "", err
	}
	plot, err = drawMost(p.Rows)
	return b.String(), plot, err
}

func findRow(c Costs, followers int) row {
	synced, one := Fleet, Fleet
	synced.Synced, one.Cores = true, 1
	return row{FindMost(c, Fleet, followers), FindMost(c, synced, followers), FindMost(c, one, followers)}
}

// Tells is how many times a second the server's processors can tell a process of a write.
func (p page) Tells() float64 { return float64(p.Place.Cores) / p.Costs.Deliver }

// TellsSlowly is Tells if each event goes by itself.
func (p page) TellsSlowly() float64 { return float64(p.Place.Cores) / p.SlowDeliver() }

// Carried is how many events a second the server's network connection carries.
func (p page) Carried() float64 { return p.Place.Link / p.Costs.Event }

// Stream is how many writes a second a stream takes.
func (p page) Stream() float64 { return 1 / p.Costs.Write }

// LargeValue is the size of values with which the connection is as slow as the processors.
func (p page) LargeValue() float64 {
	return p.Place.Link/p.Tells() - (p.Costs.Event - float64(p.Value))
}

// Worst is by how many percent the most writes of the simulation are off.
func (p page) Worst() (worst float64) {
	for _, c := range p.Checks {
		worst = max(worst, 100*math.Abs(c.Full.Writes/c.Run.Full.Writes-1))
	}
	return worst
}

// most returns a row.
func (p page) most(followers int) row {
	for _, r := range p.Rows {
		if r.Followers == followers {
			return r
		}
	}
	panic(fmt.Sprintf("scale: no row of %d followers", followers))
}

// functions are those of the template.
var functions = template.FuncMap{
	"num":   number,
	"us":    func(seconds float64) string { return number(seconds * 1e6) },
	"ms":    func(seconds float64) string { return number(seconds * 1e3) },
	"mb":    func(bytes float64) string { return number(bytes / 1e6) },
	"gb":    func(bytes float64) string { return number(bytes / 1e9) },
	"times": func(vs ...float64) float64 { return product(vs) },
	"over":  func(a, b float64) float64 { return a / b },
	"plus":  func(a, b float64) float64 { return a + b },
	"float": func(n int) float64 { return float64(n) },
}

func product(vs []float64) float64 {
	p := 1.0
	for _, v := range vs {
		p *= v
	}
	return p
}

// number returns v with two digits that matter.
func number(v float64) string {
	if v <= 0 {
		return "0"
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	v = math.Round(v/unit) * unit
	if v >= 1000 {
		return report.Number(v)
	}
	return fmt.Sprintf("%.3g", v)
}

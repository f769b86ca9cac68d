package main

import (
	_ "embed"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"text/template"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
)

// The plot has a panel for each workload and quantity: latency above, rate below.
// A line of a panel is a path and a doorbell; what it shows is also said in
// numbers at its end, so that nothing depends on colors.

//go:embed plot.svg.tmpl
var plotText string

var plotTemplate = template.Must(template.New("plot").Parse(plotText))

// Measures of the plot, in pixels.
const (
	labelsWidth = 275
	panelWidth  = 300
	valuesWidth = 150 // for numbers that begin at the very end of a panel
	lineHeight  = 18
	groupGap    = 9
	headHeight  = 78
	panelHead   = 30
	panelFoot   = 44
	footHeight  = 62
)

// A plot is what the template draws.
type plot struct {
	Width, Height int
	Caption       string
	Foot          int // where the explanation begins
	Panels        []panel
}

// A panel is one diagram. Its lines have a name each if it is the leftmost.
type panel struct {
	X, Y, Width, Height int
	Title, Axis         string
	Ticks               []tick
	Lines               []line
	Names               []label
	Doorbells           []label
}

type tick struct {
	X    float64
	Text string
}

type label struct {
	Y    int
	Text string
}

// A line is a bar, as long as its median; and for latencies a whisker up to the
// 99th percentile.
type line struct {
	Y         int
	Doorbell  string // the class: how the bar is filled
	Bar, Tail float64
	Value     string
	ValueX    float64
}

// draw writes the plot to the file that was asked for.
func (b *benchmark) draw(stdout io.Writer) error {
	return cli.WritePlot(stdout, b.cfg.out, "crossring", plotTemplate, newPlot(b))
}

func newPlot(b *benchmark) *plot {
	p := &plot{Width: labelsWidth + int(workloads)*(panelWidth+valuesWidth), Caption: b.caption()}
	y := headHeight
	for _, q := range quantities {
		height, scale := 0, newScale(b.sections, q)
		for w := range workloads {
			at := panel{X: labelsWidth + int(w)*(panelWidth+valuesWidth), Y: y + panelHead, Width: panelWidth}
			at.fill(b.sections, w, q, scale)
			p.Panels = append(p.Panels, at)
			height = at.Height
		}
		y += panelHead + height + panelFoot
	}
	p.Foot, p.Height = y, y+footHeight
	return p
}

// caption says what is compared, and where.
func (b *benchmark) caption() string {
	loops := "no loops"
	if len(b.loops) > 0 {
		loops = fmt.Sprintf("%d loops for each doorbell", b.cfg.loops)
	}
	return fmt.Sprintf("%d against %d, %s, %d turns of %v; %s/%s, %d processors, %s", b.cfg.workers, b.cfg.workers, loops,
		b.rounds, b.slice.Round(time.Millisecond), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version())
}

// A quantity is what a row of panels shows: numbers of which the second is not
// less than the first.
type quantity struct {
	title, axis string
	of          func(*result) (bar, tail float64)
	tick        func(float64) string
	value       func(*result, path) string
}

var quantities = []quantity{{
	title: "latency",
	axis:  "time from the call that wakes until the woken runs (log scale)",
	of: func(r *result) (float64, float64) {
		return float64(r.wakes.Quantile(.50)), float64(r.wakes.Quantile(.99))
	},
	tick:  func(x float64) string { return duration(time.Duration(x)) },
	value: func(r *result, _ path) string { return latency(r, .50) + " / " + latency(r, .99) },
}, {
	title: "rate",
	axis:  "wakes per second (log scale)",
	of:    func(r *result) (float64, float64) { return r.perSecond(), r.perSecond() },
	tick:  digits,
	value: func(r *result, p path) string {
		if p == goToGo || r.wakes.Count() == 0 {
			return rate(r)
		}
		return rate(r) + ", " + calls(r, p) + " calls"
	},
}}

// fill draws a workload's results, path by path.
func (at *panel) fill(sections []*section, w workload, q quantity, scale scale) {
	at.Title, at.Axis = workloadNames[w]+": "+q.title, q.axis
	y := groupGap
	for p := range paths {
		top := y
		for _, s := range sections {
			if s.results[p][w] == nil {
				continue
			}
			at.addLine(s, p, w, q, scale, y)
			y += lineHeight
		}
		if y > top {
			at.Names = append(at.Names, label{(top + y) / 2, pathNames[p]})
			y += groupGap
		}
	}
	at.Height = y
	at.Ticks = scale.ticks(q.tick)
	if w > 0 { // the leftmost panel says it for all
		at.Names, at.Doorbells = nil, nil
	}
}

func (at *panel) addLine(s *section, p path, w workload, q quantity, scale scale, y int) {
	r := s.results[p][w]
	l := line{Y: y, Doorbell: strings.Fields(s.doorbell)[0], Value: q.value(r, p)}
	if r.wakes.Count() > 0 {
		bar, tail := q.of(r)
		l.Bar, l.Tail = scale.at(bar), scale.at(tail)
	}
	l.ValueX = l.Tail + 6
	at.Lines = append(at.Lines, l)
	at.Doorbells = append(at.Doorbells, label{y + lineHeight/2, s.doorbell})
}

// A scale is logarithmic and has decades from one end to the other. Both
// workloads use it, so that they can be compared.
type scale struct{ first, last int }

func newScale(sections []*section, q quantity) scale {
	low, high := math.Inf(1), 0.0
	eachPath(sections, func(s *section, p path) {
		for _, r := range s.results[p] {
			if r.wakes.Count() > 0 {
				bar, tail := q.of(r)
				low, high = min(low, max(1, bar)), max(high, tail)
			}
		}
	})
	if low > high {
		return scale{0, 1}
	}
	first := int(math.Floor(math.Log10(low * .8))) // no bar without a length
	return scale{first, max(first+1, int(math.Ceil(math.Log10(high))))}
}

// at is where x lies in a panel.
func (s scale) at(x float64) float64 {
	part := (math.Log10(max(1, x)) - float64(s.first)) / float64(s.last-s.first)
	return max(0, math.Round(10*panelWidth*part)/10)
}

func (s scale) ticks(text func(float64) string) (ticks []tick) {
	for d := s.first; d <= s.last; d++ {
		x := math.Pow10(d)
		ticks = append(ticks, tick{s.at(x), text(x)})
	}
	return ticks
}

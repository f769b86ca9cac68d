package main

import (
	_ "embed"
	"fmt"
	"math"
	"runtime"
	"text/template"
	"time"

	"github.com/vigil-go/vigil/internal/lineplot"
)

//go:embed plot.svg.tmpl
var plotText string

var plotTemplate = template.Must(template.New("plot").Parse(plotText))

// Measures of the plot, in pixels.
const (
	plotWidth   = 860
	panelHeight = 190
	panelGap    = 70
	plotLeft    = 60
	plotTop     = 150
	colors      = 6 // that plot.svg.tmpl has
)

type plot struct {
	Width, Height, Left, Top, Right, Bottom float64
	Caption                                 string
	Panels                                  []panel
	Marks                                   []mark
	Names                                   []label
	Seconds                                 []label
}

// A panel has a line for each worker.
type panel struct {
	Y                 float64
	Title, Half, Full string // of the scale
	Lines             []line
}

type line struct {
	Class int
	Path  string
}

// A mark is an event, with its text above the panels.
type mark struct {
	X, Y float64
	Text string
}

type label struct {
	X     float64
	Class int
	Text  string
}

func (d *demo) plot() *plot {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := &plot{
		Width: plotLeft + plotWidth + 40, Left: plotLeft, Top: plotTop, Right: plotWidth,
		Caption: fmt.Sprintf("%d servers, %d workers with %d clients each, %d keys (Zipf, s = %v), pages valid for about %v; %s/%s, %d processors, %s",
			d.c.Servers, d.c.Workers, d.c.Clients, d.c.Keys, d.c.Skew, d.c.Fresh, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()),
	}
	p.add(d, "requests per second", func(p pace) float64 { return p.requests })
	p.add(d, "loads per second", func(p pace) float64 { return p.loads })
	p.Bottom = p.Panels[len(p.Panels)-1].Y + panelHeight
	p.Height = plotTop + p.Bottom + 50
	p.addTimes(d)
	return p
}

// add adds a panel for one of the numbers of a pace.
func (p *plot) add(d *demo, title string, of func(pace) float64) {
	at := panel{Y: float64(len(p.Panels)) * (panelHeight + panelGap), Title: title}
	var times []time.Time
	values := make([][]float64, len(d.workers))
	top := 0.0
	for i, s := range d.samples {
		times = append(times, s.at)
		for w := range d.workers {
			v := of(d.paceOf(w, i))
			if i == 0 || s.dead[w] {
				v = math.NaN()
			} else {
				top = max(top, v)
			}
			values[w] = append(values[w], v)
		}
	}
	frame := lineplot.Frame{Width: plotWidth, Height: panelHeight, Top: lineplot.RoundUp(top)}
	at.Half, at.Full = fmt.Sprint(frame.Top/2), fmt.Sprint(frame.Top)
	for w := range d.workers {
		at.Lines = append(at.Lines, line{w % colors, frame.Path(times, values[w])})
	}
	p.Panels = append(p.Panels, at)
}

// addTimes adds the marks, the seconds and the names.
func (p *plot) addTimes(d *demo) {
	for i, m := range d.workers {
		p.Names = append(p.Names, label{float64(i%8) * 110, i % colors, m.process.Name})
	}
	if len(d.samples) < 2 {
		return
	}
	first, last := d.samples[0].at, d.samples[len(d.samples)-1].at
	x := func(at time.Time) float64 {
		return math.Round(10*plotWidth*float64(at.Sub(first))/float64(last.Sub(first))) / 10
	}
	for _, e := range d.events {
		if e.label != "" {
			p.Marks = append(p.Marks, mark{x(e.at), -14 * float64(1+len(p.Marks)%2), e.label})
		}
	}
	step := time.Duration(lineplot.RoundUp(last.Sub(d.start).Seconds()/12)) * time.Second
	for at := step; !d.start.Add(at).After(last); at += step {
		p.Seconds = append(p.Seconds, label{X: x(d.start.Add(at)), Text: at.String()})
	}
}

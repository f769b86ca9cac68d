package main

import (
	_ "embed"
	"fmt"
	"io"
	"text/template"

	"github.com/vigil-go/vigil/internal/cli"
)

//go:embed plot.svg.tmpl
var plotText string

var plotTemplate = template.Must(template.New("plot").Parse(plotText))

// Sizes in the plot.
const (
	plotBar    = 240 // the longest bar
	plotPanel  = 380
	plotLabels = 100
	plotLine   = 15
)

// A bar is what a contestant has reached in a discipline.
type bar struct {
	X, Y, Width float64
	Who         int // which color
	Text        string
}

type label struct {
	X, Y float64
	Text string
}

type plot struct {
	Width, Height float64
	Labels        []label
	Bars          []bar
}

// draw writes the plot to the file that was asked for.
func (c *contest) draw(stdout io.Writer) error {
	return cli.WritePlot(stdout, c.cfg.out, "rendezvous", plotTemplate, c.plot())
}

// plot has a panel for the rates and one for the processor time. In each, the longest bar
// is as long as there is room.
func (c *contest) plot() *plot {
	p := &plot{Width: plotLabels + 2*plotPanel}
	p.addPanel(c, 0, "requests per second (more is better)", "%.0f", (*result).rate)
	p.addPanel(c, 1, "CPU seconds per million requests (less is better)", "%.2f", (*result).perMillion)
	y := 50.0
	for _, d := range disciplines {
		p.Labels = append(p.Labels, label{10, y + plotLine, d.String()})
		y += float64(len(c.contestants))*plotLine + 10
	}
	for i, who := range c.contestants {
		p.Bars = append(p.Bars, bar{plotLabels, y + 10 + float64(i)*plotLine, 20, i, who.name})
	}
	p.Height = y + 20 + float64(len(c.contestants))*plotLine
	return p
}

func (p *plot) addPanel(c *contest, panel int, title, format string, of func(*result) float64) {
	x, y, longest := float64(plotLabels+panel*plotPanel), 50.0, 0.0
	p.Labels = append(p.Labels, label{x, 30, title})
	for _, row := range c.results {
		for _, r := range row {
			longest = max(longest, of(r))
		}
	}
	for _, row := range c.results {
		for i, r := range row {
			p.Bars = append(p.Bars, bar{x, y, plotBar * of(r) / max(longest, 1e-9), i, fmt.Sprintf(format, of(r))})
			y += plotLine
		}
		y += 10
	}
}

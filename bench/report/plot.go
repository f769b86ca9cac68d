package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The plots are drawn by gonum.org/v1/plot as SVG and put into the page unchanged.
// go-echarts draws better interactive charts, but its pages load a script of a
// megabyte from the network, and this page must open without one.

var (
	ink  = color.NRGBA{0x3b, 0x42, 0x4c, 0xff}
	rule = color.NRGBA{0xe3, 0xe6, 0xea, 0xff}
	mark = color.NRGBA{0x9a, 0xa3, 0xad, 0xff}
)

// ours has bright colors, the others have muted ones.
var colors = map[string]string{
	"vigil":    "#e4572e",
	"xsync":    "#2d6a8f",
	"sync.Map": "#6fb3c8",
	"sharded":  "#7d8597",
	"haxmap":   "#a98ec9",
	"orcaman":  "#c8a84b",
	"cornelk":  "#c3c7cc",
}

var (
	steps = map[string]string{"GOMAXPROCS 1": "#c8a84b", "GOMAXPROCS 2": "#e4572e", "GOMAXPROCS 8": "#2d6a8f"}

	warm = []string{"#e4572e", "#f0895f", "#f6b48f", "#b83d1a"}
	cool = []string{"#2d6a8f", "#6fb3c8", "#7d8597", "#a98ec9", "#c8a84b"}
)

// Palette returns the color of each name. Ours are warm.
func Palette(names []string) map[string]string {
	out := map[string]string{}
	warms, cools := 0, 0
	for _, name := range names {
		switch known, ok := colors[name]; {
		case ok:
			out[name] = known
		case steps[name] != "":
			out[name] = steps[name]
		case isOurs(name):
			out[name] = warm[warms%len(warm)]
			warms++
		default:
			out[name] = cool[cools%len(cool)]
			cools++
		}
	}
	return out
}

func isOurs(name string) bool {
	if strings.HasPrefix(name, "sync.") { // WaitGroup
		return false
	}
	for _, word := range []string{"vigil", "Wait", "Future"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func parseColor(hex string) color.Color {
	var r, g, b uint8
	if _, err := fmt.Sscanf(hex, "#%02x%02x%02x", &r, &g, &b); err != nil {
		return ink
	}
	return color.NRGBA{r, g, b, 0xff}
}

// A Panel is one plot: groups along one axis, and a bar or point of each name in
// each group.
type Panel struct {
	Title  string
	Unit   string
	Groups []string
	Names  []string
	Log    bool
	Colors map[string]string // nil: the palette of Names
	Value  func(name string, group int) (float64, bool)
}

func newPlot(title, unit string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Title.Text = title
	p.Title.Padding = vg.Points(8)
	p.Title.TextStyle.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 11, Weight: 2}
	p.Title.TextStyle.Color = ink
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color = color.Transparent
		axis.Tick.Color = color.Transparent
		axis.Tick.Label.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 9}
		axis.Tick.Label.Color = ink
		axis.Label.TextStyle.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 9}
		axis.Label.TextStyle.Color = mark
		axis.Padding = vg.Points(3)
	}
	p.Y.Label.Text = unit
	p.Y.Tick.Marker = plot.TickerFunc(plainTicks)
	return p
}

// plainTicks are the library's ticks without trailing zeros.
func plainTicks(lo, hi float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(lo, hi)
	for i := range ticks {
		if !ticks[i].IsMinor() {
			ticks[i].Label = fmt.Sprint(ticks[i].Value)
		}
	}
	return ticks
}

// horizontal draws horizontal lines only, which help to read a height.
func addRules(p *plot.Plot) {
	grid := plotter.NewGrid()
	grid.Vertical.Color = color.Transparent
	grid.Horizontal.Color = rule
	p.Add(grid)
}

// Bars draws the panel as grouped bars.
func (panel Panel) Bars(w, h vg.Length) (string, error) {
	p := newPlot(panel.Title, panel.Unit)
	if panel.Log {
		panel.logAxis(p)
	}
	addRules(p)
	palette := panel.Colors
	if palette == nil {
		palette = Palette(panel.Names)
	}
	width := (w - vg.Points(60)) / vg.Length(len(panel.Groups)) * 0.8 / vg.Length(len(panel.Names))
	width = min(width, vg.Points(26))
	for i, name := range panel.Names {
		offset := width * vg.Length(float64(i)-float64(len(panel.Names)-1)/2)
		p.Add(bars{panel: panel, name: name, width: width * 0.92, offset: offset, color: parseColor(palette[name])})
	}
	p.NominalX(panel.Groups...)
	p.X.Color, p.X.Tick.Color = mark, color.Transparent
	p.X.Min, p.X.Max = -0.5, float64(len(panel.Groups))-0.5
	return svg(p, w, h)
}

func (panel Panel) logAxis(p *plot.Plot) {
	p.Y.Scale = plot.LogScale{}
	p.Y.Tick.Marker = plot.TickerFunc(func(lo, hi float64) (ticks []plot.Tick) {
		for v := math.Pow(10, math.Floor(math.Log10(lo))); v <= hi*1.001; v *= 10 {
			if v >= lo*0.999 {
				ticks = append(ticks, plot.Tick{Value: v, Label: Number(v)})
			}
		}
		return ticks
	})
}

// bars are the bars of one name. The library's own support neither gaps nor
// logarithmic axes, on which a bar cannot start at zero.
type bars struct {
	panel         Panel
	name          string
	width, offset vg.Length
	color         color.Color
}

func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for g := range b.panel.Groups {
		v, ok := b.panel.Value(b.name, g)
		if !ok {
			continue
		}
		left := x(float64(g)) + b.offset - b.width/2
		foot, top := y(p.Y.Min), y(v)
		c.FillPolygon(b.color, []vg.Point{
			{X: left, Y: foot}, {X: left, Y: top}, {X: left + b.width, Y: top}, {X: left + b.width, Y: foot},
		})
	}
}

func (b bars) DataRange() (xmin, xmax, ymin, ymax float64) {
	for g := range b.panel.Groups {
		if v, ok := b.panel.Value(b.name, g); ok {
			ymax = max(ymax, v)
		}
	}
	if b.panel.Log {
		ymin = 0.1
		ymax *= 1.2
	}
	return 0, float64(len(b.panel.Groups) - 1), ymin, ymax
}

// Lines draws the panel with a line for each name over numbers.
func (panel Panel) Lines(xs []float64, w, h vg.Length) (string, error) {
	p := newPlot(panel.Title, panel.Unit)
	addRules(p)
	palette := Palette(panel.Names)
	for _, name := range panel.Names {
		var points plotter.XYs
		for g := range panel.Groups {
			if v, ok := panel.Value(name, g); ok {
				points = append(points, plotter.XY{X: xs[g], Y: v})
			}
		}
		if err := addLine(p, points, parseColor(palette[name])); err != nil {
			return "", err
		}
	}
	p.Y.Min = 0
	p.X.Tick.Marker = panel.ticks(xs)
	p.X.Max += (p.X.Max - p.X.Min) / 25 // room for the last label
	p.X.Color = mark
	return svg(p, w, h)
}

// ticks labels the sizes, except those too close to the one before.
func (panel Panel) ticks(xs []float64) plot.Ticker {
	var ticks plot.ConstantTicks
	last := math.Inf(-1)
	for g, label := range panel.Groups {
		if xs[g]-last < (xs[len(xs)-1]-xs[0])/12 {
			label = ""
		} else {
			last = xs[g]
		}
		ticks = append(ticks, plot.Tick{Value: xs[g], Label: label})
	}
	return ticks
}

func addLine(p *plot.Plot, points plotter.XYs, c color.Color) error {
	if len(points) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return fmt.Errorf("drawing a line: %w", err)
	}
	line.Width, line.Color = vg.Points(1.8), c
	dots.Shape, dots.Radius, dots.Color = draw.CircleGlyph{}, vg.Points(2.4), c
	p.Add(line, dots)
	return nil
}

// Dots draws one line of points per group. Values are along a logarithmic x axis
// with a mark at 1: to the right of it ours is better.
func (panel Panel) Dots(w, h vg.Length) (string, error) {
	p := newPlot(panel.Title, "")
	p.X.Scale = plot.LogScale{}
	p.X.Label.Text = panel.Unit
	lo, hi := 0.8, 1.25
	for _, name := range panel.Names {
		for g := range panel.Groups {
			if v, ok := panel.Value(name, g); ok {
				lo, hi = min(lo, v*0.95), max(hi, v*1.05)
			}
		}
	}
	p.X.Min, p.X.Max = lo, hi
	p.X.Tick.Marker = ratioTicks
	addUpright(p, len(panel.Groups))
	palette := Palette(panel.Names)
	for _, name := range panel.Names {
		if err := panel.addDots(p, name, parseColor(palette[name])); err != nil {
			return "", err
		}
	}
	p.NominalY(panel.Groups...)
	p.Y.Color, p.Y.Tick.Color = color.Transparent, color.Transparent
	p.Y.Min, p.Y.Max = -0.6, float64(len(panel.Groups))-0.4
	return svg(p, w, h)
}

var ratioTicks = plot.TickerFunc(func(lo, hi float64) (ticks []plot.Tick) {
	for _, v := range []float64{0.1, 0.25, 0.5, 0.7, 0.85, 1, 1.25, 1.5, 2, 3, 4, 6, 10} {
		if v >= lo && v <= hi {
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g×", v)})
		}
	}
	return ticks
})

func (panel Panel) addDots(p *plot.Plot, name string, c color.Color) error {
	var points plotter.XYs
	for g := range panel.Groups {
		if v, ok := panel.Value(name, g); ok {
			points = append(points, plotter.XY{X: v, Y: float64(g)})
		}
	}
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return fmt.Errorf("drawing points: %w", err)
	}
	dots.Shape, dots.Radius, dots.Color = draw.CircleGlyph{}, vg.Points(3.6), c
	p.Add(dots)
	return nil
}

// addUpright draws the vertical lines of a ratio plot: one per tick, and a heavy
// one at 1.
func addUpright(p *plot.Plot, groups int) {
	for _, tick := range ratioTicks(p.X.Min, p.X.Max) {
		line := &plotter.Line{XYs: plotter.XYs{{X: tick.Value, Y: -0.6}, {X: tick.Value, Y: float64(groups) - 0.4}}}
		line.Color, line.Width = rule, vg.Points(0.8)
		if tick.Value == 1 {
			line.Color, line.Width = ink, vg.Points(1.2)
		}
		p.Add(line)
	}
}

func svg(p *plot.Plot, w, h vg.Length) (string, error) {
	c := vgsvg.New(w, h)
	p.Draw(draw.New(c))
	var out bytes.Buffer
	if _, err := c.WriteTo(&out); err != nil {
		return "", fmt.Errorf("writing a plot: %w", err)
	}
	text := out.String()
	return text[strings.Index(text, "<svg"):], nil // the page has its own header
}

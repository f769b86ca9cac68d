package scale

import (
	"bytes"
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/vigil-go/vigil/bench/report"
)

// drawMost draws the most writes over the number of followers, both logarithmic.
func drawMost(rows []row) (string, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "processes that follow the bucket", "most writes a second"
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Scale, axis.Tick.Marker = plot.LogScale{}, plot.TickerFunc(decades)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe0}, color.Gray{0xe0}
	p.Add(grid)
	p.Legend.Top = true
	for _, one := range []struct {
		name  string
		color color.Color
		of    func(row) float64
	}{
		{fmt.Sprintf("%d processors of the server", Fleet.Cores), color.NRGBA{0xe4, 0x57, 0x2e, 0xff}, func(r row) float64 { return r.Writes }},
		{"one processor of the server", color.NRGBA{0x2d, 0x6a, 0x8f, 0xff}, func(r row) float64 { return r.OneCore.Writes }},
		{"each write synced", color.NRGBA{0x7d, 0x85, 0x97, 0xff}, func(r row) float64 { return r.Synced.Writes }},
	} {
		points := make(plotter.XYs, len(rows))
		for i, r := range rows {
			points[i] = plotter.XY{X: float64(r.Followers), Y: one.of(r)}
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return "", err
		}
		line.Color, line.Width, dots.Color = one.color, vg.Points(1.8), one.color
		p.Add(line, dots)
		p.Legend.Add(one.name, line)
	}
	canvas := vgsvg.New(640, 380)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	_, err := canvas.WriteTo(&b)
	return b.String(), err
}

// decades are the ticks of a logarithmic axis.
func decades(low, high float64) (ticks []plot.Tick) {
	for v := 1.0; v <= high*1.001; v *= 10 {
		if v >= low*0.999 {
			ticks = append(ticks, plot.Tick{Value: v, Label: report.Number(v)})
		}
	}
	return ticks
}

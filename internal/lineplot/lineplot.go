// Package lineplot draws how numbers change over time as paths of SVG.
package lineplot

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A Frame is where lines are drawn: from 0 to Width, and from Top at 0 to zero at Height.
type Frame struct{ Width, Height, Top float64 }

// Path returns the d of a path element that joins neighboring values, the first time at the left
// and the last one at the right. It leaves gaps where a value is NaN. A value without a neighbor
// becomes a dot: a line of no length, for round ends.
func (f Frame) Path(times []time.Time, values []float64) string {
	var b strings.Builder
	pen := "M"
	for i, v := range values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		x := f.Width
		if end := times[len(times)-1].Sub(times[0]); end > 0 {
			x *= float64(times[i].Sub(times[0])) / float64(end)
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", pen, x, f.Height*(1-v/f.Top))
		if pen == "M" {
			b.WriteString("h0")
		}
		pen = "L"
	}
	return b.String()
}

// RoundUp returns the next of 1, 2, 5, 10, 20, ... for the top of a frame, so that it seldom
// changes.
func RoundUp(v float64) float64 {
	if v <= 1 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 5} {
		if v <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}

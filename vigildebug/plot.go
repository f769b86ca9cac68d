package vigildebug

import (
	"fmt"
	"math"
	"strings"

	"github.com/vigil-go/vigil/internal/lineplot"
)

// The size of a plot, in units of its own. page.html draws its frame.
const plotWidth, plotHeight = 320, 80

// A chart says what one plot shows of a thing's history.
type chart struct {
	title   string
	percent bool // the scale is 0 to 100
	curves  []curve
}

// A curve has a value at the i-th sample, or NaN if there is none.
type curve struct {
	label string
	at    func(h History, i int) float64
}

// charts has the plots of each kind.
var charts = map[string][]chart{
	"map":   {{"Waiting", false, []curve{level("waiters"), level("awaited_keys")}}},
	"group": {{"In flight", false, []curve{level("waiters"), level("flights")}}},
	"cache": {
		{"Hits of all calls, coalesced of all misses, percent", true, []curve{share("hits", "hits", "misses"), share("coalesced", "misses")}},
		{"Calls per second", false, []curve{rate("hits"), rate("misses"), rate("loads")}},
	},
	"notify":    {{"Waiting", false, []curve{level("waiters")}}},
	"waitgroup": {{"Pending", false, []curve{level("pending")}}},
	"mutex":     {{"Waiting", false, []curve{level("waiters")}}},
	"rwmutex":   {{"Reading and waiting", false, []curve{level("readers"), level("waiters")}}},
	"semaphore": {
		{"Permits", false, []curve{level("held"), level("limit")}},
		{"Waiting", false, []curve{level("waiters")}},
	},
	"queue": {
		{"Values", false, []curve{level("entries"), level("capacity")}},
		{"Waiting", false, []curve{level("putters"), level("takers")}},
	},
	"loop": {
		{"Turns and sleeps per second", false, []curve{rate("turns"), rate("sleeps")}},
		{"Spins and doorbells per second", false, []curve{rate("spins"), rate("spin_hits"), rate("doorbells")}},
	},
}

func label(metric string) string { return strings.ReplaceAll(metric, "_", " ") }

// level is the values of a gauge.
func level(metric string) curve {
	return curve{label(metric), func(h History, i int) float64 { return h.Values[metric][i] }}
}

// growth returns by how much a counter grew since the previous sample.
func growth(h History, i int, metric string) float64 {
	if i == 0 {
		return math.NaN()
	}
	return max(0, h.Values[metric][i]-h.Values[metric][i-1])
}

// rate is a counter's growth per second.
func rate(metric string) curve {
	return curve{label(metric), func(h History, i int) float64 {
		if i == 0 {
			return math.NaN()
		}
		return growth(h, i, metric) / h.Times[i].Sub(h.Times[i-1]).Seconds()
	}}
}

// share is the growth of part in percent of the growth of all, or NaN if all did not grow.
func share(part string, all ...string) curve {
	return curve{label(part), func(h History, i int) float64 {
		sum := 0.0
		for _, metric := range all {
			sum += growth(h, i, metric)
		}
		if !(sum > 0) {
			return math.NaN()
		}
		return min(100, 100*growth(h, i, part)/sum)
	}}
}

// A plot is a chart of a history, ready for the page.
type plot struct {
	Title, Top, Span string // what it shows, the top of its scale, how far it goes back
	Lines            []plotLine
}

type plotLine struct {
	Class, Label, Now, Path string // Path is that of an SVG path element
}

func (c chart) draw(h History) plot {
	p := plot{Title: c.title, Span: span(h)}
	values := make([][]float64, len(c.curves))
	top := 0.0
	for k, curve := range c.curves {
		values[k] = make([]float64, len(h.Times))
		for i := range h.Times {
			values[k][i] = curve.at(h, i)
			if !math.IsNaN(values[k][i]) {
				top = max(top, values[k][i])
			}
		}
	}
	if top = lineplot.RoundUp(top); c.percent {
		top = 100
	}
	p.Top = number(top)
	frame := lineplot.Frame{Width: plotWidth, Height: plotHeight, Top: top}
	for k, curve := range c.curves {
		p.Lines = append(p.Lines, plotLine{fmt.Sprintf("line%d", k), curve.label, last(values[k]), frame.Path(h.Times, values[k])})
	}
	return p
}

// span returns a text that says how far a history goes back.
func span(h History) string {
	if len(h.Times) < 2 {
		return "one sample so far"
	}
	return "last " + age(h.Times[len(h.Times)-1].Sub(h.Times[0]))
}

func last(values []float64) string {
	if n := len(values); n > 0 && !math.IsNaN(values[n-1]) {
		return number(values[n-1])
	}
	return "–"
}

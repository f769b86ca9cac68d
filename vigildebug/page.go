package vigildebug

import (
	_ "embed"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
)

// A view is what the page shows: a Snapshot in words.
type view struct {
	Style  template.CSS
	Script template.JS
	Time   string
	Oldest []waitView // of all things
	Things []thingView
}

type thingView struct {
	ID, Kind, Name, Since string // Since is the head of a column of times
	Error                 string
	Metrics               []metricView
	Plots                 []plot
	Waits                 []waitView
	More                  int
	Holder                *holderView
}

type holderView struct {
	Func, Place     string
	Clock, ISO, Age string // Since, in UTC, and how long ago that is
}

type metricView struct{ Name, Help, Value string }

type waitView struct {
	Kind, Thing, Key string
	Waiters          int
	At               time.Time
	Clock, ISO, Age  string // At, in UTC, and how long ago that is
}

// maxOldest bounds the table of the oldest waits of all things.
const maxOldest = 10

// writePage writes s as HTML.
func writePage(w io.Writer, s Snapshot) error {
	v := view{
		Style: template.CSS(pageCSS), Script: template.JS(pageJS),
		Time: s.Time.UTC().Format(time.RFC3339),
	}
	for i, t := range s.Things {
		tv := viewOf(t, s.Time)
		tv.ID = "thing" + strconv.Itoa(i)
		v.Things = append(v.Things, tv)
		v.Oldest = append(v.Oldest, tv.Waits[:min(len(tv.Waits), maxOldest)]...)
	}
	slices.SortStableFunc(v.Oldest, func(a, b waitView) int { return a.At.Compare(b.At) })
	v.Oldest = v.Oldest[:min(len(v.Oldest), maxOldest)]
	return pageTemplate.Execute(w, v)
}

func viewOf(t Thing, now time.Time) thingView {
	v := thingView{Kind: t.Kind, Name: t.Name, More: t.MoreWaits, Since: "Load started", Error: t.Error}
	if t.Kind == "map" {
		v.Since = "Waits since"
	}
	for _, m := range t.Metrics {
		v.Metrics = append(v.Metrics, metricView{label(m.Name), m.Help, number(m.Value)})
	}
	for _, c := range charts[t.Kind] {
		v.Plots = append(v.Plots, c.draw(t.History))
	}
	if h := t.Holder; h != nil {
		v.Holder = &holderView{
			Func: h.Func, Place: h.File + ":" + strconv.Itoa(h.Line),
			Clock: h.Since.UTC().Format("15:04:05.000"), Age: age(now.Sub(h.Since)),
			ISO: h.Since.UTC().Format(time.RFC3339Nano),
		}
	}
	for _, w := range t.Waits {
		v.Waits = append(v.Waits, waitView{
			Kind: t.Kind, Thing: t.Name, Key: w.Key, Waiters: w.Waiters, At: w.Since,
			Clock: w.Since.UTC().Format("15:04:05.000"), Age: age(now.Sub(w.Since)),
			ISO: w.Since.UTC().Format(time.RFC3339Nano),
		})
	}
	return v
}

// number formats whole numbers in full, and others with few digits.
func number(v float64) string {
	switch {
	case v == math.Trunc(v):
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v < 0.001:
		return "<0.001"
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// age formats a duration with as many digits as a reader needs.
func age(d time.Duration) string {
	precision := time.Millisecond
	switch {
	case d >= 10*time.Second:
		precision = time.Second
	case d >= time.Second:
		precision = 100 * time.Millisecond
	}
	return max(0, d).Round(precision).String()
}

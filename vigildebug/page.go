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

	Facts      []metricView
	Parts      bool // the waits say in which part they are
	Leases     []leaseView
	MoreLeases int
}

type leaseView struct {
	In, Key, Holder string
	Ours            bool
	Fence           uint64
	sinceView
}

// A sinceView is a time in UTC, and how long ago that is.
type sinceView struct{ Clock, ISO, Age string }

type holderView struct {
	Func, Place string
	sinceView
}

type metricView struct{ Name, Help, Value string }

type waitView struct {
	Kind, Thing, In, Key string
	Waiters              int
	At                   time.Time
	sinceView
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
	slices.SortStableFunc(v.Oldest, func(a, b waitView) int { return count(later(a.At, b.At)) - count(later(b.At, a.At)) })
	v.Oldest = v.Oldest[:min(len(v.Oldest), maxOldest)]
	return pageTemplate.Execute(w, v)
}

func viewOf(t Thing, now time.Time) thingView {
	v := thingView{Kind: t.Kind, Name: t.Name, More: t.MoreWaits, Since: "Load started", Error: t.Error}
	if t.Kind != "group" && t.Kind != "cache" {
		v.Since = "Waits since"
	}
	for _, m := range t.Metrics {
		v.Metrics = append(v.Metrics, metricView{label(m.Name), m.Help, number(m.Value)})
	}
	for _, c := range t.charts {
		v.Plots = append(v.Plots, c.draw(t.History))
	}
	if h := t.Holder; h != nil {
		v.Holder = &holderView{Func: h.Func, Place: h.File + ":" + strconv.Itoa(h.Line), sinceView: since(h.Since, now)}
	}
	for _, w := range t.Waits {
		v.Parts = v.Parts || w.In != ""
		v.Waits = append(v.Waits, waitView{
			Kind: t.Kind, Thing: t.Name, In: w.In, Key: w.Key, Waiters: w.Waiters, At: w.Since, sinceView: since(w.Since, now),
		})
	}
	for _, f := range t.Facts {
		v.Facts = append(v.Facts, metricView{Name: label(f.Name), Value: f.Text})
	}
	for _, l := range t.Leases {
		v.Leases = append(v.Leases, leaseView{l.In, l.Key, l.Holder, l.Ours, l.Fence, since(l.Since, now)})
	}
	v.MoreLeases = t.MoreLeases
	return v
}

// since is empty if the time is not known.
func since(at, now time.Time) (v sinceView) {
	if at.IsZero() {
		return v
	}
	return sinceView{at.UTC().Format("15:04:05.000"), at.UTC().Format(time.RFC3339Nano), age(now.Sub(at))}
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

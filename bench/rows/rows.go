// Package rows holds what is measured: each row of the report is a list of
// cells, each cell measures its subjects side by side.
package rows

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
)

// Settings are the choices of the command line.
type Settings struct {
	Procs  []int          // GOMAXPROCS to measure under
	Rounds int            // rounds per cell
	Slice  time.Duration  // time per measurement
	Quick  bool           // tiny sizes, to check that everything runs
	Settle bool           // bring mixed maps to their steady half first
	Rivals []string       // names to measure; nil is all
	Select *regexp.Regexp // cells to measure; nil is all
	// Million allows a million goroutines at once, which take gigabytes.
	Million bool
}

// A Cell is one line of a table: subjects measured side by side.
type Cell struct {
	Row    string           `json:"row"`
	Name   string           `json:"name"`
	Procs  int              `json:"procs"`
	Unit   string           `json:"unit"`
	Series []measure.Series `json:"series"`
	Notes  []string         `json:"notes,omitempty"`
	// Base is the series that the others are shown as multiples of. If it is empty,
	// ours is compared with the best rival.
	Base string `json:"base,omitempty"`
}

// ID returns the name that -rows is matched against.
func (c Cell) ID() string { return c.Row + "/" + c.Name }

// Get returns the series of that name.
func (c Cell) Get(name string) (measure.Series, bool) {
	for _, s := range c.Series {
		if s.Name == name {
			return s, true
		}
	}
	return measure.Series{}, false
}

// Ordinary ends the name of the series that a paired row compares with.
const Ordinary = " random"

// Paired reports whether each subject was also measured on ordinary keys.
func (c Cell) Paired() bool {
	return slices.ContainsFunc(c.Series, func(s measure.Series) bool {
		return strings.HasSuffix(s.Name, Ordinary)
	})
}

// A Row is one table of the report.
type Row struct {
	Name  string // first part of its cells' IDs
	Title string
	About string // what is measured and how, for the reader of the report
	// OnRequest rows run only when -rows names them.
	OnRequest bool
	Base      string // see Cell
	jobs      func(*Settings) []Job
}

// A Job measures one cell.
type Job struct {
	Cell    Cell
	run     func() ([]measure.Series, []string)
	release func() // drops what the job keeps for the next of its group
	group   string
}

// All returns the rows in the order of the report.
func All() []Row {
	return append([]Row{
		mapRow(), insertRow(), memoryRow(), iterateRow(), valuesRow(), collideRow(),
		waitRow(), handoffRow(), fanoutRow(), groupRow(), notifyRow(),
		lockRow(), rwlockRow(), semaRow(), queueRow(), selectRow(), awaitTasksRow(), onceRow(), wakeManyRow(), waitersRow(), cancelRow(), collectRow(), dedupRow(), clusterRow(),
	}, append(ringRows(), uringRows()...)...)
}

// Jobs returns the selected cells of all rows, in order.
func Jobs(set *Settings) []Job {
	var jobs []Job
	for _, row := range All() {
		for _, job := range row.jobs(set) {
			job.Cell.Row, job.Cell.Base = row.Name, cmp.Or(job.Cell.Base, row.Base)
			if set.selects(row, job.Cell.ID()) {
				jobs = append(jobs, job)
			}
		}
	}
	return jobs
}

func (set *Settings) selects(row Row, id string) bool {
	if set.Select == nil {
		return !row.OnRequest
	}
	return set.Select.MatchString(id)
}

// Run measures the jobs in order and passes each cell to after. What a group of
// cells shares is dropped before the next group begins.
func Run(jobs []Job, before func(k int, c Cell), after func(Cell)) {
	for k, job := range jobs {
		before(k, job.Cell)
		cell := job.Cell
		measure.WithProcs(cell.Procs, func() { cell.Series, cell.Notes = job.run() })
		if job.release != nil && (k+1 == len(jobs) || jobs[k+1].group != job.group) {
			job.release()
		}
		runtime.GC()
		after(cell)
	}
}

// sideBySide returns a job that measures its subjects in turns. Their context can
// be canceled, and is canceled when they are done.
func sideBySide(set *Settings, cell Cell, subjects func(ctx context.Context) []measure.Subject) Job {
	return Job{Cell: cell, run: func() ([]measure.Series, []string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		series := measure.Interleave(subjects(ctx), set.Rounds, set.Slice)
		return series, allocNotes(series)
	}}
}

// overProcs returns such a job under each GOMAXPROCS.
func overProcs(set *Settings, cell Cell, subjects func(ctx context.Context) []measure.Subject) []Job {
	var jobs []Job
	for _, cell.Procs = range set.Procs {
		jobs = append(jobs, sideBySide(set, cell, subjects))
	}
	return jobs
}

// together is a subject of goroutines that share one thing. Open makes it again for
// each measurement and returns n operations of one goroutine on it.
func together(name string, goroutines int, open func() func(n int)) measure.Subject {
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		loop := open()
		return measure.Slice(goroutines, slice, func(int) int {
			loop(rivals.Batch)
			if goroutines > 1 {
				runtime.Gosched() // a goroutine that never sleeps would otherwise keep the others out for 10 ms
			}
			return rivals.Batch
		})
	}}
}

// wants reports whether a rival was asked for.
func (set *Settings) wants(name string) bool {
	return set.Rivals == nil || slices.Contains(set.Rivals, name)
}

// makers returns the rivals asked for, restricted to names if there are any.
func makers[K rivals.Key, V any](set *Settings, names ...string) []rivals.Maker[K, V] {
	var out []rivals.Maker[K, V]
	for _, m := range rivals.Makers[K, V]() {
		if set.wants(m.Name) && (names == nil || slices.Contains(names, m.Name)) {
			out = append(out, m)
		}
	}
	return out
}

// headline returns the GOMAXPROCS of rows that are measured under one only.
func (set *Settings) headline() int {
	if slices.Contains(set.Procs, 2) {
		return 2
	}
	return set.Procs[0]
}

// alone returns set with the headline's GOMAXPROCS only.
func (set *Settings) alone() *Settings {
	one := *set
	one.Procs = []int{set.headline()}
	return &one
}

// size is a number of entries and its name in a cell.
type size struct {
	name string
	n    int
}

func (set *Settings) small() size {
	if set.Quick {
		return size{"200", 200}
	}
	return size{"1k", 1000}
}

func (set *Settings) large() size {
	if set.Quick {
		return size{"20k", 20_000}
	}
	return size{"1M", 1_000_000}
}

func (set *Settings) scaled(full, quick int) int {
	if set.Quick {
		return quick
	}
	return full
}

// short returns the name of a number of entries: 1000000 is 1M, 200000 is 200k.
func short(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return fmt.Sprintf("%gM", float64(n)/1e6)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}

// find returns the series of that name, which there is.
func find(series []measure.Series, name string) measure.Series {
	for _, s := range series {
		if s.Name == name {
			return s
		}
	}
	panic("rows: no series " + name)
}

// goal returns whether a figure is as small as it should be, as a note.
func goal(what string, measured, most float64) string {
	return verdict(what, "at most", measured, most, measured <= most)
}

// goalAtLeast returns whether a figure is as large as it should be, as a note.
func goalAtLeast(what string, measured, least float64) string {
	return verdict(what, "at least", measured, least, measured >= least)
}

func verdict(what, bound string, measured, limit float64, met bool) string {
	text := fmt.Sprintf("%s: %.4g, goal %s %.4g", what, measured, bound, limit)
	if !met {
		text += ", MISSED"
	}
	return text
}

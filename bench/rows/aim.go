package rows

import (
	"fmt"

	"github.com/vigil-go/vigil/bench/measure"
)

// An aim is the goal that a series takes at most so many times as long as another of
// its cell.
type aim struct {
	ours, theirs string
	most         float64
}

func (a aim) note(procs int, series []measure.Series) string {
	times := measure.Compare(find(series, a.ours).Values, find(series, a.theirs).Values)
	what := fmt.Sprintf("%s / %s, procs %d (per round %.3g)", a.ours, a.theirs, procs, times.PerRound)
	return goal(what, times.OfMedians, a.most)
}

// aiming adds notes with the aims of their cells to the jobs.
func aiming(jobs []Job, aims func(c Cell) []aim) []Job {
	for i, job := range jobs {
		jobs[i].run = func() ([]measure.Series, []string) {
			series, notes := job.run()
			for _, a := range aims(job.Cell) {
				notes = append(notes, a.note(job.Cell.Procs, series))
			}
			return series, notes
		}
	}
	return jobs
}

// always are the aims of all cells of a row.
func always(aims ...aim) func(Cell) []aim {
	return func(Cell) []aim { return aims }
}

// A share is the goal that a series does at least so many times as much per CPU second
// as another, of series that have the CPU time of a thing.
type share struct {
	ours, theirs string
	least        float64
}

func (s share) note(series []measure.Series) string {
	times := measure.Compare(find(series, s.theirs).Values, find(series, s.ours).Values)
	what := fmt.Sprintf("%s per CPU second, times %s (per round %.3g)", s.ours, s.theirs, times.PerRound)
	return goalAtLeast(what, times.OfMedians, s.least)
}

package rows

import (
	"time"

	"github.com/vigil-go/vigil/bench/measure"
)

func uringRows() []Row {
	if noRing() != nil {
		return nil
	}
	return append([]Row{handRow(), uringLockRow(), completeRow(), nopRow(), readRow(), busyRow(), fileRow(), lateRow(), wakeRow(), tasksRow()}, ioRows()...)
}

// A meter is a subject that returns several figures at once, one for each series.
type meter struct {
	name    string
	figures []string
	run     func(slice time.Duration) []float64
}

// interleaveMeters is measure.Interleave for meters.
func interleaveMeters(meters []meter, rounds int, slice time.Duration) (out []measure.Series) {
	first := make([]int, len(meters))
	for i, m := range meters {
		first[i] = len(out)
		for _, figure := range m.figures {
			out = append(out, measure.Series{Name: m.name + " " + figure})
		}
	}
	for r := range rounds {
		for i := range meters {
			at := (i + r) % len(meters)
			for k, v := range meters[at].run(slice) {
				s := &out[first[at]+k]
				s.Values = append(s.Values, v)
			}
		}
	}
	return out
}

// floors adds C programs to the subjects, and notes for the programs that cannot
// run. The result ends the programs.
func floors(subjects *[]measure.Subject, notes *[]string, programs ...inFloor) (end func()) {
	var ends []func() error
	for _, p := range programs {
		proc, missing := startFloor(p.program, p.args...)
		if missing != nil {
			*notes = append(*notes, missing.Error())
			continue
		}
		ends = append(ends, proc.Close)
		*subjects = append(*subjects, floorSubject(p.name, proc))
	}
	return func() {
		for _, end := range ends {
			mustNot(end())
		}
	}
}

// inFloor is a program of package floor.
type inFloor struct {
	name    string
	program string
	args    []string
}

package rows

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/vigil-go/vigil/bench/load"
	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/server"
)

func ioRows() []Row { return []Row{echoRow(), helloRow(), fileIORow(), copyRow(), cachesRow()} }

// A figure of servers has a table of its own.
type figure struct{ name, unit string }

const (
	cpuFigure    = "cpu"
	rateFigure   = "rate"
	medianFigure = "p50"
	tailFigure   = "p99"
	callsFigure  = "calls"
	allocsFigure = "allocs"
)

// serverFigures returns the figures of servers that answer messages, or what else the
// thing is called.
func serverFigures(thing string) []figure {
	figures := []figure{
		{cpuFigure, "us of CPU/" + thing},
		{rateFigure, thing + "s/s"},
		{medianFigure, "us"},
		{tailFigure, "us"},
		{allocsFigure, "objects/" + thing},
	}
	if server.CanCountCalls() == nil {
		figures = append(figures, figure{callsFigure, "system calls/" + thing})
	}
	return figures
}

// The scores of a contest are the series of each figure.
type scores map[string][]measure.Series

func (t scores) add(figure, name string, v float64) {
	series := t[figure]
	for i := range series {
		if series[i].Name == name {
			series[i].Values = append(series[i].Values, v)
			return
		}
	}
	t[figure] = append(series, measure.Series{Name: name, Values: []float64{v}})
}

// A contest is what rivals are compared in.
type contest struct {
	name    string
	measure func() (scores, []string)
	aims    func(figure string, series []measure.Series) []string
}

// contestJobs returns a job for each figure of each contest. The first job of a contest
// that runs measures all its figures.
func contestJobs(set *Settings, figures []figure, contests []contest) (jobs []Job) {
	results := make([]func() (scores, []string), len(contests))
	for i, c := range contests {
		results[i] = sync.OnceValues(c.measure)
	}
	for _, f := range figures {
		for i, c := range contests {
			jobs = append(jobs, Job{
				Cell: Cell{Name: f.name + "/" + c.name, Unit: f.unit, Procs: set.headline()},
				run: func() ([]measure.Series, []string) {
					all, notes := results[i]()
					return all[f.name], append(slices.Clone(notes), c.aims(f.name, all[f.name])...)
				},
			})
		}
	}
	return jobs
}

// A crowd is clients that servers are compared by.
type crowd struct {
	conns  int
	batch  int // messages that a client sends at once, before it waits for all
	buffer int // bytes that a server reads at once
	script func(address string) load.Script
}

// A rival is a server that is measured beside others.
type rival struct {
	name  string
	start func(size int) (*server.Proc, error)
	inC   bool // it does not count what it allocates
}

func (set *Settings) inGo(name string, kind server.Kind) rival {
	return rival{name: name, start: func(size int) (*server.Proc, error) {
		return server.Start(kind, size, set.headline())
	}}
}

// A competitor is a server with its clients.
type competitor struct {
	rival
	proc    *server.Proc
	clients *load.Clients
}

// measure starts the servers and measures them in turns.
func (c crowd) measure(set *Settings, rivals []rival) (results scores, notes []string) {
	var all []competitor
	for _, r := range rivals {
		proc, err := r.start(c.buffer)
		if errors.Is(err, errors.ErrUnsupported) {
			notes = append(notes, err.Error())
			continue
		}
		mustNot(err)
		defer func() { mustNot(proc.Close()) }()
		clients, err := load.Dial(proc.Ready, c.conns, c.script(proc.Ready))
		mustNot(err)
		defer func() { mustNot(clients.Close()) }()
		all = append(all, competitor{r, proc, clients})
	}
	results = scores{}
	for r := range set.Rounds {
		for i := range all {
			c.sample(set, &all[(i+r)%len(all)], results)
		}
	}
	for i := range all {
		c.countCalls(set, &all[i], results)
	}
	return results, notes
}

// serverSlice is long enough for many batches of all connections.
func (set *Settings) serverSlice() time.Duration {
	if set.Quick {
		return set.Slice
	}
	return max(set.Slice, 200*time.Millisecond)
}

// settle is the time in which a server that has nothing to do goes to sleep.
const settle = 2 * time.Millisecond

func (c crowd) sample(set *Settings, one *competitor, results scores) {
	slice := set.serverSlice()
	one.run(slice / 10) // not counted, as in measure.Slice
	time.Sleep(settle)
	allocs, cpu := one.allocs(), one.cpu()
	r := one.run(slice)
	time.Sleep(settle)
	took, n := one.cpu()-cpu, float64(r.Batches*c.batch)
	results.add(cpuFigure, one.name, took.Seconds()*1e6/n)
	results.add(rateFigure, one.name, n/r.Wall.Seconds())
	results.add(medianFigure, one.name, measure.Quantile(r.Times, 0.5)/1e3)
	results.add(tailFigure, one.name, measure.Quantile(r.Times, 0.99)/1e3)
	if !one.inC {
		results.add(allocsFigure, one.name, (one.allocs()-allocs)/n)
	}
}

// countCalls is apart from the rest, because calls that are counted take longer.
func (c crowd) countCalls(set *Settings, one *competitor, results scores) {
	if server.CanCountCalls() != nil {
		return
	}
	end, err := one.proc.CountCalls()
	mustNot(err)
	r := one.run(set.serverSlice())
	calls, err := end()
	mustNot(err)
	results.add(callsFigure, one.name, calls/float64(r.Batches*c.batch))
}

func (one *competitor) run(d time.Duration) load.Result {
	r, err := one.clients.Run(d)
	mustNot(err)
	return r
}

func (one *competitor) cpu() time.Duration {
	d, err := one.proc.CPU()
	mustNot(err)
	return d
}

func (one *competitor) allocs() float64 {
	if one.inC {
		return 0
	}
	n, err := one.proc.Allocs()
	mustNot(err)
	return n
}

// Command report measures the map against its rivals and writes one page, one
// Markdown file and the raw numbers.
//
//	go run -C bench ./cmd/report -quick
//	go run -C bench ./cmd/report -rows 'int/1k/' -rivals xsync,vigil -procs 2
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/report"
	"github.com/vigil-go/vigil/bench/rivals"
	"github.com/vigil-go/vigil/bench/rows"
)

func main() {
	opt, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	if err := run(opt); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

type options struct {
	rows.Settings
	out  string
	from string
	list bool
}

// parse parses the command line. An error is one line with the valid values.
func parse(args []string, help io.Writer) (*options, error) {
	opt := &options{}
	fs := flag.NewFlagSet("report", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	quick := fs.Bool("quick", false, "tiny sizes and slices: shows that everything runs, measures nothing")
	pattern := fs.String("rows", "", "measure only the cells that match this regular expression, e.g. '^map/int/1k/'")
	names := fs.String("rivals", "", "measure only these, e.g. xsync,vigil")
	procs := fs.String("procs", "1,2,8", "GOMAXPROCS to measure under")
	fs.IntVar(&opt.Rounds, "rounds", 5, "interleaved rounds per cell")
	fs.DurationVar(&opt.Slice, "slice", 80*time.Millisecond, "time of one measurement")
	fs.BoolVar(&opt.Settle, "settle", true, "delete a random half of the keys before mixed loads, where such a mix settles")
	fs.BoolVar(&opt.Million, "million", false, "also measure a million goroutines, which takes gigabytes of memory")
	fs.StringVar(&opt.out, "out", "report/out", "folder for index.html, report.md and report.json")
	fs.StringVar(&opt.from, "from", "", "measure nothing: draw the page again from this report.json")
	fs.BoolVar(&opt.list, "list", false, "list the cells and measure nothing")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fs.SetOutput(help)
			fs.Usage()
		}
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; rows are chosen by -rows", fs.Arg(0))
	}
	return opt, opt.check(fs, *quick, *pattern, *names, *procs)
}

func (opt *options) check(fs *flag.FlagSet, quick bool, pattern, names, procs string) (err error) {
	if opt.Procs, err = parseProcs(procs); err != nil {
		return err
	}
	if names != "" {
		opt.Rivals = strings.Split(names, ",")
		if err := rivals.CheckNames(opt.Rivals); err != nil {
			return err
		}
	}
	if pattern != "" {
		if opt.Select, err = regexp.Compile(pattern); err != nil {
			return fmt.Errorf("-rows: %w", err)
		}
	}
	if opt.Rounds < 1 {
		return fmt.Errorf("-rounds must be at least 1, not %d", opt.Rounds)
	}
	if opt.Slice <= 0 {
		return fmt.Errorf("-slice must be more than nothing, not %v", opt.Slice)
	}
	if quick {
		opt.quick(fs)
	}
	return nil
}

// quick shrinks what the command line did not set.
func (opt *options) quick(fs *flag.FlagSet) {
	opt.Quick = true
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["rounds"] {
		opt.Rounds = 1
	}
	if !given["slice"] {
		opt.Slice = time.Millisecond
	}
}

func parseProcs(text string) ([]int, error) {
	var out []int
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 || n > 1024 {
			return nil, fmt.Errorf("-procs wants numbers from 1 to 1024 like 1,2,8, not %q", text)
		}
		out = append(out, n)
	}
	return out, nil
}

func run(opt *options) error {
	if opt.from != "" {
		old, err := report.Read(opt.from)
		if err != nil {
			return err
		}
		return finish(old, opt.out)
	}
	jobs := rows.Jobs(&opt.Settings)
	if len(jobs) == 0 {
		return errors.New("no cell matches -rows; -list shows them")
	}
	if opt.list {
		for _, job := range jobs {
			fmt.Printf("%s (procs %d)\n", job.Cell.ID(), job.Cell.Procs)
		}
		return nil
	}
	r := &report.Report{Machine: measure.ThisMachine(commandLine()), Method: method(opt)}
	if err := measureAll(r, jobs, opt.out); err != nil {
		return err
	}
	return finish(r, opt.out)
}

// commandLine returns the command that repeats this run.
func commandLine() string {
	words := []string{"go run -C bench ./cmd/report"}
	for _, arg := range os.Args[1:] {
		if strings.ContainsAny(arg, " |()*?$'[]") {
			arg = strconv.Quote(arg)
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

func method(opt *options) string {
	text := fmt.Sprintf("Medians of %d interleaved rounds, %v a measurement, order rotated each round. A ratio above 1 means ours is better; "+
		"\"per round\" is the median of the ratios taken within each round.", opt.Rounds, opt.Slice)
	if opt.Quick {
		return "A smoke run at tiny sizes: these numbers mean nothing. " + text
	}
	return text
}

func finish(r *report.Report, dir string) error {
	if err := r.Write(dir); err != nil {
		return err
	}
	page, err := filepath.Abs(filepath.Join(dir, "index.html"))
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "wrote", page)
	return nil
}

// measureAll runs the jobs. When a row is done it prints the row's table and writes
// the report, so that the results of an interrupted run are kept.
func measureAll(r *report.Report, jobs []rows.Job, dir string) (err error) {
	start := time.Now()
	var row []rows.Cell
	flush := func() {
		report.Text(os.Stdout, row)
		for _, line := range report.Summaries(row) {
			fmt.Println(line)
		}
		fmt.Println()
		row = nil
		err = errors.Join(err, r.Write(dir))
	}
	rows.Run(jobs, func(k int, c rows.Cell) {
		if len(row) > 0 && row[0].Row != c.Row {
			flush()
		}
		fmt.Fprintf(os.Stderr, "[%d/%d] %5.0fs  %s, procs %d\n", k+1, len(jobs), time.Since(start).Seconds(), c.ID(), c.Procs)
	}, func(c rows.Cell) {
		row, r.Cells = append(row, c), append(r.Cells, c)
	})
	flush()
	return err
}

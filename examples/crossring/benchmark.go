package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/uringwake"
)

// A benchmark is all measurements, which take turns.
type benchmark struct {
	cfg          *config
	shared       *shared
	sections     []*section // the one without a doorbell comes first
	measurements []*measurement
	loops        []*uringwake.Loop
	notes        []string // what is not measured, and why

	rounds int           // planned, then made
	slice  time.Duration // of a measurement in a round
	start  time.Time
}

// work is the program after its flags: it measures, shows and draws.
func work(ctx context.Context, cfg *config, stdout, _ io.Writer) (err error) {
	b, err := newBenchmark(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	b.introduce(stdout)
	screen := cli.NewScreen(stdout, cfg.plain)
	if err := b.run(ctx, screen); err != nil {
		return err
	}
	screen.Draw("\n" + table(b.sections) + legend(b.sections))
	if ctx.Err() != nil {
		fmt.Fprintf(stdout, "\nStopped early (%v): these are the measurements until then.\n", context.Cause(ctx))
	}
	if b.wakes() == 0 {
		return nil
	}
	return b.draw(stdout)
}

// newBenchmark makes the loops and the measurements. It must be closed.
func newBenchmark(cfg *config) (*benchmark, error) {
	b := &benchmark{cfg: cfg, shared: newShared()}
	b.addGoroutines()
	if err := cfg.supported(); err != nil {
		b.note("There are no loops: %v.", err)
		b.note("So only goroutines are measured.")
	} else if err := b.addDoorbells(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	const aim = 20 * time.Millisecond // about what a slice takes
	turns := time.Duration(len(b.measurements))
	b.rounds = max(1, int(cfg.duration/(turns*aim)))
	b.slice = cfg.duration / (turns * time.Duration(b.rounds))
	return b, nil
}

func (b *benchmark) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// close ends the loops. No measurement may be running.
func (b *benchmark) close() error {
	var errs []error
	for _, l := range b.loops {
		errs = append(errs, l.Close(context.Background()))
	}
	return errors.Join(errs...)
}

// addDoorbells adds a section for each doorbell that there is.
func (b *benchmark) addDoorbells() error {
	for _, d := range doorbells[b.cfg.doorbell] {
		if err := uringwake.HaveMsgRing(); d == uringwake.DoorbellMsgRing && err != nil {
			b.note("There is no msgring: %v.", err)
			continue
		}
		if err := uringwake.HaveSendMsgRing(); d == uringwake.DoorbellMsgRing && err != nil {
			b.note("Goroutines ring an eventfd instead of msgring: %v.", err)
		}
		loops, err := b.newLoops(d)
		if err != nil {
			return fmt.Errorf("cannot start a loop: %w", err)
		}
		b.addTasks(doorbellName(d, loops[0].Doorbell()), loops)
	}
	return nil
}

func (b *benchmark) newLoops(d uringwake.Doorbell) ([]*uringwake.Loop, error) {
	o := &uringwake.LoopOptions{Doorbell: d, SpinFor: b.cfg.spin}
	if o.SpinFor == 0 {
		o.SpinFor = -1 // never; 0 would be the package's choice
	}
	for range b.cfg.loops {
		l, err := uringwake.NewLoop(o)
		if err != nil {
			return nil, err
		}
		b.loops = append(b.loops, l)
	}
	return b.loops[len(b.loops)-b.cfg.loops:], nil
}

// doorbellName says what was asked for, and what has come of it.
func doorbellName(asked, got uringwake.Doorbell) string {
	name := "eventfd"
	if got == uringwake.DoorbellMsgRing {
		name = "msgring"
	}
	if asked == uringwake.DoorbellAuto {
		name += " (auto)"
	}
	return name
}

func (b *benchmark) addGoroutines() {
	s := &section{doorbell: "none"}
	b.sections = append(b.sections, s)
	g := goroutines(b.cfg.workers)
	for w := range workloads {
		r := new(result)
		s.results[goToGo][w] = r
		b.measurements = append(b.measurements, &measurement{workload: w, near: g, far: g, out: r, back: r})
	}
}

// addTasks adds the measurements that tasks take part in, on these loops.
func (b *benchmark) addTasks(doorbell string, loops []*uringwake.Loop) {
	s := &section{doorbell: doorbell}
	b.sections = append(b.sections, s)
	for p := goToTask; p < paths; p++ {
		s.results[p] = [workloads]*result{new(result), new(result)}
	}
	n := b.cfg.workers
	add := func(w workload, out, back path, near, far []starter) {
		b.measurements = append(b.measurements, &measurement{workload: w, near: near, far: far, loops: loops,
			out: s.results[out][w], back: s.results[back][w]})
	}
	add(pingPong, goToTask, taskToGo, goroutines(n), tasks(n, loops, 0))
	add(pingPong, taskToTask, taskToTask, tasks(n, loops, 0), tasks(n, loops, 0))
	add(pingPong, taskAcross, taskAcross, tasks(n, loops, 0), tasks(n, loops, 1))
	add(fanOut, goToTask, goToTask, goroutines(1), tasks(n, loops, 0))
	add(fanOut, taskToGo, taskToGo, tasks(1, loops, 0), goroutines(n))
	add(fanOut, taskToTask, taskToTask, tasks(1, loops, 0), tasks(n, loops[:1], 0))
	add(fanOut, taskAcross, taskAcross, tasks(1, loops, 0), tasks(n, loops[1:], 0))
}

func goroutines(n int) (starters []starter) {
	for range n {
		starters = append(starters, onGoroutine)
	}
	return starters
}

// tasks returns n starters on the loops in turns, from the one of that number on.
func tasks(n int, loops []*uringwake.Loop, first int) (starters []starter) {
	for i := range n {
		starters = append(starters, loops[(first+i)%len(loops)].Go)
	}
	return starters
}

// run makes all rounds, or fewer if they take longer than they should. It shows
// how far it is between two measurements, where that disturbs none.
func (b *benchmark) run(ctx context.Context, screen *cli.Screen) error {
	b.start = time.Now()
	for round := range b.rounds {
		if round > 0 && time.Since(b.start) > b.cfg.duration {
			b.rounds = round
			return nil
		}
		for _, m := range b.measurements {
			if err := m.run(ctx, b.shared, b.slice); err != nil {
				return err
			}
			b.show(screen)
			if ctx.Err() != nil {
				b.rounds = round + 1
				return nil
			}
		}
	}
	return nil
}

func (b *benchmark) wakes() (n uint64) {
	eachPath(b.sections, func(s *section, p path) {
		for _, r := range s.results[p] {
			n += r.wakes.Count()
		}
	})
	return n
}

func (b *benchmark) introduce(w io.Writer) {
	fmt.Fprintf(w, "%d against %d, each measurement in %d turns of %v, %v in all.\n",
		b.cfg.workers, b.cfg.workers, b.rounds, b.slice.Round(time.Millisecond), b.cfg.duration)
	for _, note := range b.notes {
		fmt.Fprintln(w, note)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/vigil-go/vigil/uringwake"
)

// A contest is all matches, which take turns on one court.
type contest struct {
	cfg     *config
	court   *court
	boards  []*board // what is woken without a doorbell comes first
	matches []*match
	loops   []*uringwake.Loop
	notes   []string // what is not played, and why

	rounds int           // planned, then played
	slice  time.Duration // of a match in a round
	start  time.Time
}

// compete is the program after its flags: it plays, shows and draws.
func compete(ctx context.Context, cfg *config, stdout io.Writer) (err error) {
	c, err := newContest(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	c.introduce(stdout)
	s := newScreen(stdout, cfg.plain)
	if err := c.run(ctx, s); err != nil {
		return err
	}
	s.last(table(c.boards) + legend(c.boards))
	if ctx.Err() != nil {
		fmt.Fprintf(stdout, "\nStopped early (%v): these are the matches until then.\n", context.Cause(ctx))
	}
	if c.wakes() == 0 {
		return nil
	}
	return c.draw(stdout)
}

// newContest makes the loops and the matches. It must be closed.
func newContest(cfg *config) (*contest, error) {
	c := &contest{cfg: cfg, court: newCourt()}
	c.addGoroutines()
	if err := cfg.supported(); err != nil {
		c.note("There are no loops: %v.", err)
		c.note("So goroutines play alone.")
	} else if err := c.addDoorbells(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	const hundredths = 20 * time.Millisecond // about what a slice takes
	turns := time.Duration(len(c.matches))
	c.rounds = max(1, int(cfg.duration/(turns*hundredths)))
	c.slice = cfg.duration / (turns * time.Duration(c.rounds))
	return c, nil
}

func (c *contest) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// close ends the loops. Nobody plays any more.
func (c *contest) close() error {
	var errs []error
	for _, l := range c.loops {
		errs = append(errs, l.Close(context.Background()))
	}
	return errors.Join(errs...)
}

// addDoorbells adds a board for each doorbell that there is.
func (c *contest) addDoorbells() error {
	for _, d := range doorbells[c.cfg.doorbell] {
		if err := uringwake.HaveMsgRing(); d == uringwake.DoorbellMsgRing && err != nil {
			c.note("There is no msgring: %v.", err)
			continue
		}
		if err := uringwake.HaveSendMsgRing(); d == uringwake.DoorbellMsgRing && err != nil {
			c.note("Goroutines ring an eventfd instead of msgring: %v.", err)
		}
		loops, err := c.newLoops(d)
		if err != nil {
			return fmt.Errorf("cannot start a loop: %w", err)
		}
		c.addTasks(doorbellName(d, loops[0].Doorbell()), loops)
	}
	return nil
}

func (c *contest) newLoops(d uringwake.Doorbell) ([]*uringwake.Loop, error) {
	o := &uringwake.LoopOptions{Doorbell: d, SpinFor: c.cfg.spin}
	if o.SpinFor == 0 {
		o.SpinFor = -1 // never; 0 would be the package's choice
	}
	for range c.cfg.loops {
		l, err := uringwake.NewLoop(o)
		if err != nil {
			return nil, err
		}
		c.loops = append(c.loops, l)
	}
	return c.loops[len(c.loops)-c.cfg.loops:], nil
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

func (c *contest) addGoroutines() {
	b := &board{doorbell: "none"}
	c.boards = append(c.boards, b)
	g := goroutines(c.cfg.crowd)
	for play := range games {
		s := new(score)
		b.scores[goToGo][play] = s
		c.matches = append(c.matches, &match{game: play, near: g, far: g, out: s, back: s})
	}
}

// addTasks adds the matches that tasks take part in, on these loops.
func (c *contest) addTasks(doorbell string, loops []*uringwake.Loop) {
	b := &board{doorbell: doorbell}
	c.boards = append(c.boards, b)
	for p := goToTask; p < paths; p++ {
		b.scores[p] = [games]*score{new(score), new(score)}
	}
	n := c.cfg.crowd
	add := func(game game, p, back path, near, far []seat) {
		c.matches = append(c.matches, &match{game: game, near: near, far: far, loops: loops,
			out: b.scores[p][game], back: b.scores[back][game]})
	}
	add(pingPong, goToTask, taskToGo, goroutines(n), tasks(n, loops, 0))
	add(pingPong, taskToTask, taskToTask, tasks(n, loops, 0), tasks(n, loops, 0))
	add(pingPong, taskAcross, taskAcross, tasks(n, loops, 0), tasks(n, loops, 1))
	add(fanOut, goToTask, goToTask, goroutines(1), tasks(n, loops, 0))
	add(fanOut, taskToGo, taskToGo, tasks(1, loops, 0), goroutines(n))
	add(fanOut, taskToTask, taskToTask, tasks(1, loops, 0), tasks(n, loops[:1], 0))
	add(fanOut, taskAcross, taskAcross, tasks(1, loops, 0), tasks(n, loops[1:], 0))
}

func goroutines(n int) (seats []seat) {
	for range n {
		seats = append(seats, onGoroutine)
	}
	return seats
}

// tasks are seats on the loops in turns, from the one of that number on.
func tasks(n int, loops []*uringwake.Loop, first int) (seats []seat) {
	for i := range n {
		seats = append(seats, loops[(first+i)%len(loops)].Go)
	}
	return seats
}

// run plays all rounds, or fewer if they take longer than they should. It shows
// how things stand between two matches, where that disturbs nobody.
func (c *contest) run(ctx context.Context, s *screen) error {
	c.start = time.Now()
	for round := range c.rounds {
		if round > 0 && time.Since(c.start) > c.cfg.duration {
			c.rounds = round
			return nil
		}
		for _, m := range c.matches {
			if err := m.play(ctx, c.court, c.slice); err != nil {
				return err
			}
			s.show(c)
			if ctx.Err() != nil {
				c.rounds = round + 1
				return nil
			}
		}
	}
	return nil
}

func (c *contest) wakes() (n uint64) {
	lines(c.boards, func(b *board, p path) {
		for _, s := range b.scores[p] {
			n += s.wakes.count
		}
	})
	return n
}

func (c *contest) introduce(w io.Writer) {
	fmt.Fprintf(w, "%d against %d, each match in %d turns of %v, %v in all.\n",
		c.cfg.crowd, c.cfg.crowd, c.rounds, c.slice.Round(time.Millisecond), c.cfg.duration)
	for _, note := range c.notes {
		fmt.Fprintln(w, note)
	}
}

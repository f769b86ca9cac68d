package main

import (
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/uringwake"
)

// config is what the flags say.
type config struct {
	duration time.Duration
	loops    int
	workers  int
	doorbell string
	spin     time.Duration
	out      string
	plain    bool

	// supported tells why there are no loops here, if so.
	supported func() error
}

// doorbells are the values of -doorbell, and what is measured then.
var doorbells = map[string][]uringwake.Doorbell{
	"all":     {uringwake.DoorbellEventFD, uringwake.DoorbellMsgRing},
	"eventfd": {uringwake.DoorbellEventFD},
	"msgring": {uringwake.DoorbellMsgRing},
	"auto":    {uringwake.DoorbellAuto},
}

func flagSet(c *config) *flag.FlagSet {
	f := cli.NewFlagSet("crossring")
	f.DurationVar(&c.duration, "duration", 8*time.Second, "how long to measure, 100ms to 1h")
	f.IntVar(&c.loops, "loops", 2, "how many loops for each doorbell, 2 to 64")
	f.IntVar(&c.workers, "goroutines", 4, "how many on each side, and as many tasks, 1 to 1000")
	f.StringVar(&c.doorbell, "doorbell", "all", "how a loop is woken: eventfd, msgring, auto or all")
	f.DurationVar(&c.spin, "spin", 50*time.Microsecond, "how long a loop looks for work before it sleeps")
	f.StringVar(&c.out, "out", "", "file for the plot, SVG; a temporary one if not given")
	f.BoolVar(&c.plain, "plain", false, "no table while it runs, only a line per second")
	return f
}

// parse reads the flags. Its errors are one line that says what is wrong.
func parse(args []string) (*config, error) {
	c := &config{supported: uringwake.Supported}
	if err := cli.Parse(flagSet(c), args); err != nil {
		return nil, err
	}
	return c, c.check()
}

func (c *config) check() error {
	switch {
	case c.duration < 100*time.Millisecond || c.duration > time.Hour:
		return fmt.Errorf("-duration %v: must be from 100ms to 1h", c.duration)
	case c.loops < 2 || c.loops > 64:
		return fmt.Errorf("-loops %d: must be from 2 to 64", c.loops)
	case c.workers < 1 || c.workers > 1000:
		return fmt.Errorf("-goroutines %d: must be from 1 to 1000", c.workers)
	case doorbells[c.doorbell] == nil:
		return fmt.Errorf("-doorbell %q: must be eventfd, msgring, auto or all", c.doorbell)
	case c.spin < 0 || c.spin > time.Second:
		return fmt.Errorf("-spin %v: must be from 0 to 1s", c.spin)
	}
	return cli.CheckOut(c.out)
}

func help() string {
	var b strings.Builder
	b.WriteString(`crossring measures what it takes to wake a goroutine or a task, from a goroutine
or a task, on one io_uring loop or across two; by doorbell, which is how a
sleeping loop is woken.

  go run ./examples/crossring

Flags:
`)
	flagSet(new(config)).VisitAll(func(f *flag.Flag) { cli.WriteFlags(&b, f) })
	b.WriteString(`
SIGINT or SIGTERM ends it early; it shows what there is by then.
Exit status: 0 done, 1 failed, 2 bad flags.
`)
	return b.String()
}

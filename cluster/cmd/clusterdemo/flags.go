package main

import (
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
)

// config is what the flags say. It is passed on to the workers.
type config struct {
	Duration time.Duration
	Servers  int
	Workers  int
	Clients  int
	Keys     int
	Skew     float64
	Load     time.Duration
	Fresh    time.Duration
	TTL      time.Duration
	Kill     string
	Out      string
	Plain    bool
	Debug    string
}

func flagSet(c *config) *flag.FlagSet {
	f := cli.NewFlagSet("clusterdemo")
	f.DurationVar(&c.Duration, "duration", 25*time.Second, "how long the workers ask, 2s to 1h")
	f.IntVar(&c.Servers, "servers", 3, "how many servers, 3 to 9; one is killed")
	f.IntVar(&c.Workers, "workers", 3, "how many workers, 3 to 50; one is killed, one cut off")
	f.IntVar(&c.Clients, "clients", 20, "how many clients of each worker ask one after the other, 1 to 1000")
	f.IntVar(&c.Keys, "keys", 200, "how many keys there are, 1 to 100000")
	f.Float64Var(&c.Skew, "skew", 1.1, "the parameter s of the Zipf distribution of keys, above 1 to 10")
	f.DurationVar(&c.Load, "load", 10*time.Millisecond, "how long a load takes on average, 1ms to 1s")
	f.DurationVar(&c.Fresh, "fresh", 5*time.Second, "how long a page is valid on average, 100ms to 1h")
	f.DurationVar(&c.TTL, "ttl", 2*time.Second, "when another machine may load if the holder has died, 1s to 1m")
	f.StringVar(&c.Kill, "kill", "leader", "which server is killed: the leader of the bucket, or a follower")
	f.StringVar(&c.Out, "out", "", "file for the plot, SVG; a temporary one if not given")
	f.BoolVar(&c.Plain, "plain", false, "no table while it runs, only a line per second")
	f.StringVar(&c.Debug, "debug", "", "host:port at which each worker serves vigil's debug page; port 0 is any,\n"+
		strings.Repeat(" ", 15)+"with another one worker n uses port+n")
	return f
}

// parse reads the flags. Its errors are one line that says what is wrong.
func parse(args []string) (*config, error) {
	c := new(config)
	if err := cli.Parse(flagSet(c), args); err != nil {
		return nil, err
	}
	return c, c.check()
}

func (c *config) check() error {
	switch {
	case c.Duration < 2*time.Second || c.Duration > time.Hour:
		return fmt.Errorf("-duration %v: must be from 2s to 1h", c.Duration)
	case c.Servers < 3 || c.Servers > 9:
		return fmt.Errorf("-servers %d: must be from 3 to 9", c.Servers)
	case c.Workers < 3 || c.Workers > 50:
		return fmt.Errorf("-workers %d: must be from 3 to 50", c.Workers)
	case c.Clients < 1 || c.Clients > 1000:
		return fmt.Errorf("-clients %d: must be from 1 to 1000", c.Clients)
	case c.Keys < 1 || c.Keys > 100_000:
		return fmt.Errorf("-keys %d: must be from 1 to 100000", c.Keys)
	case !(c.Skew > 1 && c.Skew <= 10):
		return fmt.Errorf("-skew %v: must be above 1, at most 10", c.Skew)
	case c.Load < time.Millisecond || c.Load > time.Second:
		return fmt.Errorf("-load %v: must be from 1ms to 1s", c.Load)
	case c.Fresh < 100*time.Millisecond || c.Fresh > time.Hour:
		return fmt.Errorf("-fresh %v: must be from 100ms to 1h", c.Fresh)
	case c.Kill != "leader" && c.Kill != "follower":
		return fmt.Errorf("-kill %q: must be leader or follower", c.Kill)
	case c.TTL < time.Second || c.TTL > time.Minute:
		return fmt.Errorf("-ttl %v: must be from 1s to 1m", c.TTL)
	}
	if c.Debug != "" {
		if _, err := c.debugAddress(0); err != nil {
			return fmt.Errorf("-debug %q: want host:port", c.Debug)
		}
	}
	return cli.CheckOut(c.Out)
}

// debugAddress returns the address of a worker's page.
func (c *config) debugAddress(worker int) (string, error) {
	host, text, err := net.SplitHostPort(c.Debug)
	if err != nil {
		return "", err
	}
	port, err := strconv.Atoi(text)
	if err != nil || port == 0 {
		return c.Debug, err
	}
	return net.JoinHostPort(host, strconv.Itoa(port+worker)), nil
}

func help() string {
	var b strings.Builder
	b.WriteString(`clusterdemo shows what vigil's package cluster does while machines fail: workers
share what they have loaded through NATS servers, all processes of their own. One
worker and one server are killed, and another worker is cut off for a while.

  go run -C cluster ./cmd/clusterdemo

Flags:
`)
	flagSet(new(config)).VisitAll(func(f *flag.Flag) { cli.WriteFlags(&b, f) })
	b.WriteString(`
hits: requests that found a valid page. shared: those that got a page that was
loaded for another one. waiting: those that wait for a load. lag: the revisions of
the bucket that a worker has not seen yet; ? if no server answers it.

The times of the failures are parts of the duration. SIGINT or SIGTERM ends it
early; it shows what there is by then.
Exit status: 0 done, 1 failed, or a load or request was not as it should be, 2 bad flags.
`)
	return b.String()
}

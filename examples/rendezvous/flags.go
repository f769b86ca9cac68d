package main

import (
	"flag"
	"fmt"
	"net"
	"runtime"
	"strings"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/uringwake"
)

// config is what the flags say.
type config struct {
	addr  string
	loops int
	net   bool
	plain bool

	// The comparison.
	bench    bool
	requests int
	rounds   int
	clients  int
	out      string

	// supported tells why there are no loops here, if so.
	supported func() error
}

func flagSet(c *config) *flag.FlagSet {
	f := cli.NewFlagSet("rendezvous")
	f.StringVar(&c.addr, "addr", "127.0.0.1:6380", "the address to serve")
	f.IntVar(&c.loops, "loops", runtime.GOMAXPROCS(0), "how many loops, 1 to 64")
	f.BoolVar(&c.net, "net", false, "serve by goroutines on package net, not by tasks")
	f.BoolVar(&c.bench, "bench", false, "compare with redis-server; nothing else is served")
	f.IntVar(&c.requests, "requests", 100_000, "requests in each measurement, 1000 to 100000000")
	f.IntVar(&c.rounds, "rounds", 5, "how often each is measured, 1 to 1000")
	f.IntVar(&c.clients, "clients", 50, "how many connections, 1 to 10000")
	f.StringVar(&c.out, "out", "", "file for the plot, SVG; a temporary one if not given")
	f.BoolVar(&c.plain, "plain", false, "no progress that is drawn over, only lines")
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
	_, port, err := net.SplitHostPort(c.addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	switch {
	case err != nil:
		return fmt.Errorf("-addr %q: want host:port or :port", c.addr)
	case c.loops < 1 || c.loops > 64:
		return fmt.Errorf("-loops %d: must be from 1 to 64", c.loops)
	case c.requests < 1000 || c.requests > 100_000_000:
		return fmt.Errorf("-requests %d: must be from 1000 to 100000000", c.requests)
	case c.rounds < 1 || c.rounds > 1000:
		return fmt.Errorf("-rounds %d: must be from 1 to 1000", c.rounds)
	case c.clients < 1 || c.clients > 10_000:
		return fmt.Errorf("-clients %d: must be from 1 to 10000", c.clients)
	}
	return cli.CheckOut(c.out)
}

func help() string {
	var b strings.Builder
	b.WriteString(`rendezvous is a server that speaks Redis' protocol: strings, lists that can be
waited for, and messages to subscribers.

  go run ./examples/rendezvous
      serves until SIGINT or SIGTERM, and says how to talk to it.

  go run ./examples/rendezvous -bench
      compares it with redis-server, in turns, by redis-benchmark (Debian:
      redis-server and redis-tools).

`)
	f := flagSet(new(config))
	section := func(title string, names ...string) {
		fmt.Fprintf(&b, "%s:\n", title)
		for _, name := range names {
			cli.WriteFlags(&b, f.Lookup(name))
		}
	}
	section("The server", "addr", "loops", "net")
	section("The comparison", "bench", "requests", "rounds", "clients", "out", "plain")
	b.WriteString("\nExit status: 0 done, 1 failed, 2 bad flags.\n")
	return b.String()
}

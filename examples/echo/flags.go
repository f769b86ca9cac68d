package main

import (
	"flag"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/uringwake"
)

// config is what the flags say.
type config struct {
	addr  string
	loops int
	net   bool

	peer        bool
	connections int
	size        int
	pipeline    int
	duration    time.Duration
	plain       bool

	// supported tells why there are no loops here, if so.
	supported func() error
}

func flagSet(c *config) *flag.FlagSet {
	f := cli.NewFlagSet("echo")
	f.StringVar(&c.addr, "addr", "127.0.0.1:7007", "the address to serve")
	f.IntVar(&c.loops, "loops", runtime.GOMAXPROCS(0), "how many loops, 1 to 64")
	f.BoolVar(&c.net, "net", false, "serve by goroutines on package net, not by tasks")
	f.BoolVar(&c.peer, "peer", false, "compare tasks with goroutines; nothing else is served")
	f.IntVar(&c.connections, "connections", 50, "how many clients, 1 to 10000")
	f.IntVar(&c.size, "size", 64, "bytes of a message, 1 to 1048576")
	f.IntVar(&c.pipeline, "pipeline", 1, "messages that a client sends at once, 1 to 1000")
	f.DurationVar(&c.duration, "duration", 10*time.Second, "how long to compare, 100ms to 1h")
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
	case c.connections < 1 || c.connections > 10_000:
		return fmt.Errorf("-connections %d: must be from 1 to 10000", c.connections)
	case c.size < 1 || c.size > 1<<20:
		return fmt.Errorf("-size %d: must be from 1 to 1048576", c.size)
	case c.pipeline < 1 || c.pipeline > 1000:
		return fmt.Errorf("-pipeline %d: must be from 1 to 1000", c.pipeline)
	case c.size*c.pipeline > maxUnread:
		return fmt.Errorf("-size %d, -pipeline %d: a client sends %d bytes at once at most", c.size, c.pipeline, maxUnread)
	case c.duration < 100*time.Millisecond || c.duration > time.Hour:
		return fmt.Errorf("-duration %v: must be from 100ms to 1h", c.duration)
	}
	return nil
}

func help() string {
	var b strings.Builder
	b.WriteString(`echo is a TCP server that sends back what it is sent. Each connection is a task
of an io_uring loop.

  go run ./examples/echo
      serves until SIGINT or SIGTERM.

  go run ./examples/echo -peer
      compares it with the same server of goroutines on package net.

`)
	f := flagSet(new(config))
	section := func(title string, names ...string) {
		fmt.Fprintf(&b, "%s:\n", title)
		for _, name := range names {
			cli.WriteFlags(&b, f.Lookup(name))
		}
	}
	section("The server", "addr", "loops", "net")
	section("The comparison", "peer", "connections", "size", "pipeline", "duration", "loops", "plain")
	b.WriteString("\nExit status: 0 done, 1 failed, 2 bad flags.\n")
	return b.String()
}

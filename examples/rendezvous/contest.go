package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/examples/internal/child"
	"github.com/vigil-go/vigil/internal/cli"
)

// A contestant is a server in a process of its own.
type contestant struct {
	name    string
	start   func(ctx context.Context) (p *child.Process, port string, err error)
	process *child.Process
	port    string
}

// A discipline is a command of redis-benchmark and how many are sent at once. The lists
// that LPUSH fills are what LPOP empties.
type discipline struct {
	command  string
	pipeline int
}

var disciplines = []discipline{
	{"SET", 1}, {"GET", 1}, {"LPUSH", 1}, {"LPOP", 1},
	{"SET", 16}, {"GET", 16}, {"LPUSH", 16}, {"LPOP", 16},
}

func (d discipline) String() string { return fmt.Sprintf("%s -P %d", d.command, d.pipeline) }

// requests is how many a measurement makes: with a pipeline more, since they take less
// time and the processor time is known in steps of 10 ms.
func (d discipline) requests(cfg *config) int { return cfg.requests * max(1, d.pipeline/2) }

// A result is what was measured of a contestant in a discipline.
type result struct {
	rates    []float64 // requests per second
	requests int
	cpu      time.Duration // of the server's process, for all of them
}

// rate is the median.
func (r *result) rate() float64 {
	if len(r.rates) == 0 {
		return 0
	}
	sorted, n := slices.Sorted(slices.Values(r.rates)), len(r.rates)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// perMillion is the processor time of a million requests, in seconds.
func (r *result) perMillion() float64 { return r.cpu.Seconds() * 1e6 / float64(max(1, r.requests)) }

// A contest is all measurements.
type contest struct {
	cfg         *config
	benchmark   string // the path of redis-benchmark
	contestants []*contestant
	results     [][]*result // by discipline and contestant
}

// hold makes the comparison and prints it.
func hold(ctx context.Context, cfg *config, stdout io.Writer) error {
	c, err := newContest(cfg, stdout)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := c.start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d measurements: %d rounds of %d commands to %d servers, one after the other.\n",
		c.measurements(), cfg.rounds, len(disciplines), len(c.contestants))
	if err := c.run(ctx, cli.NewScreen(stdout, cfg.plain)); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s", c.table())
	return c.draw(stdout)
}

func newContest(cfg *config, stdout io.Writer) (*contest, error) {
	benchmark, err := exec.LookPath("redis-benchmark")
	if err != nil {
		return nil, errors.New("redis-benchmark is not installed (Debian: redis-tools)")
	}
	c := &contest{cfg: cfg, benchmark: benchmark}
	if err := cfg.supported(); err != nil {
		fmt.Fprintf(stdout, "io_uring cannot be used here: %v\nSo tasks are not measured.\n", err)
	} else {
		c.addTasks(1) // as redis-server, which has one thread for commands
		if cfg.loops > 1 {
			c.addTasks(cfg.loops)
		}
	}
	c.contestants = append(c.contestants, &contestant{name: "goroutines", start: startSelf("-net")})
	if redis, err := exec.LookPath("redis-server"); err != nil {
		fmt.Fprintln(stdout, "redis-server is not installed (Debian: redis-server), so it is not measured.")
	} else {
		c.contestants = append(c.contestants, &contestant{name: "redis-server", start: startRedis(redis)})
	}
	c.newResults()
	return c, nil
}

func (c *contest) addTasks(loops int) {
	n := strconv.Itoa(loops)
	c.contestants = append(c.contestants, &contestant{name: "tasks, loops: " + n, start: startSelf("-loops", n)})
}

// newResults makes a result for each contestant in each discipline.
func (c *contest) newResults() {
	for range disciplines {
		row := make([]*result, len(c.contestants))
		for i := range row {
			row[i] = new(result)
		}
		c.results = append(c.results, row)
	}
}

// startSelf returns a function that starts this program as a server.
func startSelf(flags ...string) func(ctx context.Context) (*child.Process, string, error) {
	return func(ctx context.Context) (*child.Process, string, error) {
		p, err := child.StartSelf(ctx, append([]string{"-addr", "127.0.0.1:0"}, flags...)...)
		if err != nil {
			return nil, "", err
		}
		line, err := p.Line()
		address, _, _ := strings.Cut(line, " ") // as introduce prints it
		_, port, _ := net.SplitHostPort(address)
		return p, port, err
	}
}

// startRedis returns a function that starts a redis-server that keeps nothing on disk.
func startRedis(path string) func(ctx context.Context) (*child.Process, string, error) {
	return func(ctx context.Context) (*child.Process, string, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, "", err
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		l.Close() // the port is free now
		p, err := child.Start(ctx, path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--loglevel", "warning")
		if err != nil {
			return nil, "", err
		}
		return p, port, waitFor(ctx, port)
	}
}

// waitFor returns when there is a server at port.
func waitFor(ctx context.Context, port string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Second, errors.New("redis-server does not begin to serve"))
	defer cancel()
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			return conn.Close()
		}
		if err := await.Sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func (c *contest) start(ctx context.Context) (err error) {
	for _, who := range c.contestants {
		if who.process, who.port, err = who.start(ctx); err != nil {
			return fmt.Errorf("%s: %w", who.name, err)
		}
	}
	return nil
}

func (c *contest) stop() {
	for _, who := range c.contestants {
		if who.process != nil {
			who.process.Close()
		}
	}
}

func (c *contest) measurements() int { return c.cfg.rounds * len(disciplines) * len(c.contestants) }

// run makes all rounds. In each round each discipline is measured of one contestant after
// the other, and each round begins with another one.
func (c *contest) run(ctx context.Context, screen *cli.Screen) error {
	done, all := 0, c.measurements()
	for round := range c.cfg.rounds {
		for i, d := range disciplines {
			for k := range c.contestants {
				k = (round + k) % len(c.contestants)
				if err := c.measure(ctx, d, c.contestants[k], c.results[i][k]); err != nil {
					return err
				}
				if done++; screen.Due() {
					screen.Draw(fmt.Sprintf("%s %d of %d: %v, %s, %.0f/s\n", cli.Bar(float64(done)/float64(all), 24),
						done, all, d, c.contestants[k].name, c.results[i][k].rates[round]))
				}
			}
		}
	}
	return nil
}

// measure runs redis-benchmark once.
func (c *contest) measure(ctx context.Context, d discipline, who *contestant, r *result) error {
	before, err := who.process.CPU()
	if err != nil {
		return err
	}
	n := d.requests(c.cfg)
	cmd := exec.CommandContext(ctx, c.benchmark, "-h", "127.0.0.1", "-p", who.port, "-c", strconv.Itoa(c.cfg.clients), "-n", strconv.Itoa(n),
		"-r", "100000", "-P", strconv.Itoa(d.pipeline), "-t", strings.ToLower(d.command), "--csv")
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return failed(err, out)
	}
	rate, err := rateOf(out, d.command)
	if err != nil {
		return err
	}
	after, err := who.process.CPU()
	r.rates, r.requests, r.cpu = append(r.rates, rate), r.requests+n, r.cpu+after-before
	return err
}

// failed is the error of a redis-benchmark that printed out.
func failed(err error, out []byte) error {
	if out = bytes.TrimSpace(out); len(out) == 0 {
		return fmt.Errorf("redis-benchmark: %w", err)
	}
	return fmt.Errorf("redis-benchmark: %w: %s", err, out)
}

// rateOf finds the requests per second in what redis-benchmark prints with --csv.
func rateOf(out []byte, command string) (float64, error) {
	table := csv.NewReader(bytes.NewReader(out))
	table.FieldsPerRecord = -1
	for {
		row, err := table.Read()
		if err != nil {
			return 0, fmt.Errorf("redis-benchmark says nothing of %s: %s", command, bytes.TrimSpace(out))
		}
		if len(row) > 1 && row[0] == command {
			return strconv.ParseFloat(row[1], 64)
		}
	}
}

// table shows all results.
func (c *contest) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s", "")
	for _, who := range c.contestants {
		fmt.Fprintf(&b, " %16s", who.name)
	}
	fmt.Fprintf(&b, "\n%-12s", "")
	for range c.contestants {
		fmt.Fprintf(&b, " %8s %7s", "req/s", "CPU s/M")
	}
	b.WriteByte('\n')
	for i, d := range disciplines {
		fmt.Fprintf(&b, "%-12s", d)
		for _, r := range c.results[i] {
			fmt.Fprintf(&b, " %8.0f %7.2f", r.rate(), r.perMillion())
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, `
tasks: this server, by tasks of io_uring loops. goroutines: this server, on
package net. -P 16: each connection sends 16 requests, then reads the answers.
req/s: requests per second, the median of %d rounds. redis-benchmark, with %d
connections, uses the same processors as the server, so it depends on both.
CPU s/M: seconds of processor time of the server's process per million requests.
`, c.cfg.rounds, c.cfg.clients)
	return b.String()
}

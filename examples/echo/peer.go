package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/vigil-go/vigil/examples/internal/child"
	"github.com/vigil-go/vigil/examples/internal/histogram"
	"github.com/vigil-go/vigil/internal/cli"
)

// A side is one of the servers that are compared, and what was measured of it.
type side struct {
	name    string
	process *child.Process
	crowd   *crowd

	latency histogram.Histogram
	took    time.Duration
	cpu     time.Duration
	noCPU   error // why the processor time is not known
}

// compare loads the servers in turns and prints a table.
func compare(ctx context.Context, cfg *config, stdout io.Writer) error {
	fmt.Fprintf(stdout, "%d clients send %d message(s) of %d bytes and wait for the echo, for %v.\n",
		cfg.connections, cfg.pipeline, cfg.size, cfg.duration)
	sides, err := start(ctx, cfg, stdout)
	defer stop(sides)
	if err != nil {
		return err
	}
	if err := takeTurns(ctx, cfg, sides, cli.NewScreen(stdout, cfg.plain)); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s", table(sides))
	return nil
}

// start starts the servers that can run here, and connects the clients.
func start(ctx context.Context, cfg *config, stdout io.Writer) (sides []*side, err error) {
	if err := cfg.supported(); err != nil {
		fmt.Fprintf(stdout, "io_uring cannot be used here: %v\nSo only package net is measured.\n", err)
	} else {
		sides = append(sides, &side{name: fmt.Sprintf("tasks, loops: %d", cfg.loops)})
	}
	sides = append(sides, &side{name: "goroutines, net"})
	for i, s := range sides {
		goroutines := i == len(sides)-1
		s.process, err = child.StartSelf(ctx, "-addr", "127.0.0.1:0", "-loops", strconv.Itoa(cfg.loops), "-net="+strconv.FormatBool(goroutines))
		if err != nil {
			return sides, err
		}
		address, err := s.process.Line()
		if err != nil {
			return sides, err
		}
		if s.crowd, err = newCrowd(cfg, address); err != nil {
			return sides, err
		}
	}
	return sides, nil
}

func stop(sides []*side) {
	for _, s := range sides {
		if s.crowd != nil {
			s.crowd.close()
		}
		if s.process != nil {
			s.process.Close()
		}
	}
}

// takeTurns measures for about the duration, in slices, after a slice that does not count.
func takeTurns(ctx context.Context, cfg *config, sides []*side, screen *cli.Screen) error {
	const aim = 500 * time.Millisecond // about what a slice takes
	rounds := max(1, int(cfg.duration/(time.Duration(len(sides))*aim)))
	slice := cfg.duration / time.Duration(rounds*len(sides))
	for _, s := range sides {
		if err := s.crowd.load(ctx, min(slice, aim)/4, new(histogram.Histogram)); err != nil {
			return err
		}
	}
	for round := range rounds {
		for i := range sides {
			if err := sides[(round+i)%len(sides)].measure(ctx, slice); err != nil {
				return err
			}
			if screen.Due() {
				screen.Draw(cli.Bar((float64(round)+float64(i+1)/float64(len(sides)))/float64(rounds), 24) + " " + rates(sides) + "\n")
			}
		}
	}
	return nil
}

// measure adds what a slice of load shows.
func (s *side) measure(ctx context.Context, slice time.Duration) error {
	before, _ := s.process.CPU()
	began := time.Now()
	if err := s.crowd.load(ctx, slice, &s.latency); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.took += time.Since(began)
	after, err := s.process.CPU()
	s.cpu, s.noCPU = s.cpu+after-before, err
	return nil
}

func (s *side) rate() float64 {
	return float64(s.latency.Count()) / max(s.took, 1).Seconds()
}

func rates(sides []*side) string {
	var parts []string
	for _, s := range sides {
		parts = append(parts, fmt.Sprintf("%s %.0f/s", s.name, s.rate()))
	}
	return strings.Join(parts, ", ")
}

// table compares the sides.
func table(sides []*side) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s %12s %10s %10s %14s\n", "server", "messages/s", "p50", "p99", "CPU/message")
	for _, s := range sides {
		cpu := "-"
		if s.noCPU == nil && s.latency.Count() > 0 {
			cpu = micros(s.cpu / time.Duration(s.latency.Count()))
		}
		fmt.Fprintf(&b, "%-20s %12.0f %10s %10s %14s\n", s.name, s.rate(), micros(s.latency.Quantile(.50)), micros(s.latency.Quantile(.99)), cpu)
	}
	fmt.Fprintf(&b, `
p50, p99: from before the write of a message until its echo was read.
CPU/message: processor time of the server's process. The clients use the same
%d processors, so messages/s depends on them too. Only ratios within a run count.
`, runtime.NumCPU())
	for _, s := range sides {
		if s.noCPU != nil {
			fmt.Fprintf(&b, "%v\n", s.noCPU)
			break
		}
	}
	return b.String()
}

func micros(d time.Duration) string { return fmt.Sprintf("%.2fµs", float64(d)/1e3) }

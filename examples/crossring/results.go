package main

import (
	"time"

	"github.com/vigil-go/vigil/examples/internal/histogram"
)

// A path says what wakes what.
type path int

const (
	goToGo path = iota
	goToTask
	taskToGo
	taskToTask
	taskAcross
	paths // how many
)

var pathNames = [paths]string{
	"goroutine to goroutine",
	"goroutine to task",
	"task to goroutine",
	"task to task, 1 loop",
	"task to task, 2 loops",
}

// A workload is a way to make wakes.
type workload int

const (
	pingPong workload = iota
	fanOut
	workloads // how many
)

var workloadNames = [workloads]string{"ping-pong: Store, Take", "fan-out: NotifyWaiters"}

// A result is what was measured of a workload on a path, with a doorbell.
type result struct {
	wakes histogram.Histogram
	took  time.Duration
	calls float64 // system calls of the loops
}

// perSecond is the rate of wakes.
func (r *result) perSecond() float64 {
	if r.took <= 0 {
		return 0
	}
	return float64(r.wakes.Count()) / r.took.Seconds()
}

// perWake is the number of system calls for each wake.
func (r *result) perWake() float64 { return r.calls / float64(max(1, r.wakes.Count())) }

// A section is the results with one doorbell.
type section struct {
	doorbell string                    // "none": goroutines alone
	results  [paths][workloads]*result // nil: not measured
}

// eachPath calls f for each path of each section that is measured.
func eachPath(sections []*section, f func(s *section, p path)) {
	for _, s := range sections {
		for p := range paths {
			if s.results[p][pingPong] != nil {
				f(s, p)
			}
		}
	}
}

package main

import (
	"fmt"
	"strings"
	"time"
)

// table shows all scores, 80 columns wide.
func table(boards []*board) string {
	var b strings.Builder
	const label, half, gap = "%-22s", " %7s %5s %6s %6s", " "
	fmt.Fprintf(&b, label+"%28s"+gap+"%28s\n", "", gameNames[pingPong], gameNames[fanOut])
	fmt.Fprintf(&b, label+half+gap+half+"\n", "", "wakes/s", "calls", "p50", "p99", "wakes/s", "calls", "p50", "p99")
	var last *board
	lines(boards, func(on *board, p path) {
		if on != last {
			fmt.Fprintf(&b, "doorbell: %s\n", on.doorbell)
			last = on
		}
		var cells [games]string
		for game, s := range on.scores[p] {
			cells[game] = fmt.Sprintf(half, rate(s), calls(s, p), latency(s, .50), latency(s, .99))
		}
		fmt.Fprintf(&b, label+"%s"+gap+"%s\n", pathNames[p], cells[pingPong], cells[fanOut])
	})
	return b.String()
}

// legend says what the columns mean.
func legend(boards []*board) string {
	s := "\np50, p99: the time from before the call that wakes until the woken runs.\n"
	if len(boards) > 1 {
		s += "calls: system calls by the loops, and to wake them, for each wake.\n"
	}
	return s
}

func rate(s *score) string {
	if s.wakes.count == 0 {
		return "-"
	}
	return digits(s.perSecond())
}

// digits shows a large number with three digits.
func digits(x float64) string {
	for _, unit := range []string{"", "k", "M"} {
		if x < 999.5 {
			return three(x) + unit
		}
		x /= 1000
	}
	return three(x) + "G"
}

// calls shows a number of system calls, where there are loops to make any.
func calls(s *score, p path) string {
	if p == goToGo || s.wakes.count == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", s.perWake())
}

func latency(s *score, q float64) string {
	if s.wakes.count == 0 {
		return "-"
	}
	return duration(s.wakes.quantile(q))
}

// duration shows d with three digits or so.
func duration(d time.Duration) string {
	x := float64(d)
	for _, unit := range []string{"ns", "µs", "ms"} {
		if x < 999.5 {
			return three(x) + unit
		}
		x /= 1000
	}
	return three(x) + "s"
}

func three(x float64) string {
	switch {
	case x == float64(int(x)) || x >= 99.95:
		return fmt.Sprintf("%.0f", x)
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

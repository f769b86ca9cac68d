package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/uringwake"
)

// samples returns sections with results that are as wide as they get.
func samples(doorbells ...string) []*section {
	sections := []*section{{doorbell: "none"}}
	for _, d := range doorbells {
		sections = append(sections, &section{doorbell: d})
	}
	for i, s := range sections {
		for p := range paths {
			if (p == goToGo) == (i == 0) {
				s.results[p] = [workloads]*result{sample(int(p)), sample(int(p) + 1)}
			}
		}
	}
	return sections
}

func sample(i int) *result {
	r := &result{took: time.Second, calls: 12.345}
	r.wakes.Record(time.Duration(100+i) * time.Nanosecond)
	r.wakes.Record(time.Duration(12345+i) * time.Microsecond)
	return r
}

func TestTableFitsIntoATerminal(t *testing.T) {
	s := table(samples("eventfd", "msgring")) + legend(samples("eventfd"))
	requireNarrow(t, s)
	require.Less(t, strings.Count(s, "\n"), 23)
	require.Contains(t, s, "doorbell: none\ngoroutine to goroutine ")
	require.Contains(t, s, "doorbell: msgring\ngoroutine to task ")
	require.Contains(t, s, "  6.17  101ns")
}

func TestTableOfNothing(t *testing.T) {
	sections := []*section{{doorbell: "none"}}
	sections[0].results[goToGo] = [workloads]*result{new(result), new(result)}
	require.Contains(t, table(sections), "goroutine to goroutine       -     -      -      -        -     -      -      -\n")
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ns", 7: "7ns", 999: "999ns", 1000: "1µs", 1234: "1.23µs", 12345: "12.3µs", 99_950: "100µs",
		999_499: "999µs", 999_500: "1.00ms", 12_345_678: "12.3ms", 2 * time.Second: "2s", 1234 * time.Second: "1234s",
	} {
		require.Equal(t, want, duration(d))
	}
	for x, want := range map[float64]string{
		0: "0", 1: "1", .5: "0.50", 999: "999", 1000: "1k", 12_345: "12.3k", 999_600: "1.00M", 1e6: "1M", 1e9: "1G", 1e12: "1000G",
	} {
		require.Equal(t, want, digits(x))
	}
}

func TestDoorbellName(t *testing.T) {
	require.Equal(t, "eventfd", doorbellName(uringwake.DoorbellEventFD, uringwake.DoorbellEventFD))
	require.Equal(t, "msgring (auto)", doorbellName(uringwake.DoorbellAuto, uringwake.DoorbellMsgRing))
}

func TestProgressOnATerminalIsATable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := &benchmark{cfg: newConfig(t), sections: samples("eventfd"), start: time.Now()}
		screen := cli.NewScreen(&out, false)
		screen.Terminal = true
		b.show(screen)
		require.Empty(t, out.String(), "not yet")
		time.Sleep(time.Second)
		b.show(screen)
		require.Contains(t, out.String(), table(b.sections))
		require.Contains(t, out.String(), "1.0s of 8s, 20 wakes\n")
	})
}

func TestProgressElsewhereIsALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		b := &benchmark{cfg: newConfig(t), sections: samples("eventfd"), start: time.Now()}
		screen := cli.NewScreen(&out, false)
		time.Sleep(time.Second)
		b.show(screen)
		require.Equal(t, "[###.....................] 1.0s of 8s, 20 wakes\n", out.String())
	})
}

// drawn returns the plot of these sections, as text and checked to be XML.
func drawn(t *testing.T, sections []*section) string {
	t.Helper()
	b := &benchmark{cfg: newConfig(t), sections: sections, rounds: 1}
	var text strings.Builder
	require.NoError(t, plotTemplate.Execute(&text, newPlot(b)))
	for d := xml.NewDecoder(strings.NewReader(text.String())); ; {
		if _, err := d.Token(); err == io.EOF {
			return text.String()
		} else {
			require.NoError(t, err)
		}
	}
}

func TestPlotSaysEverythingInWords(t *testing.T) {
	s := drawn(t, samples("eventfd", "msgring"))
	for _, name := range pathNames {
		require.Equal(t, 2, strings.Count(s, ">"+name+"<"), "once for each row of panels")
	}
	for workload := range workloads {
		require.Contains(t, s, ">"+workloadNames[workload]+": latency<")
		require.Contains(t, s, ">"+workloadNames[workload]+": rate<")
	}
	require.Equal(t, 8, strings.Count(s, ">msgring<"))
	require.Equal(t, 18, strings.Count(s, `class="tail"`))
	require.Contains(t, s, ">101ns / 12.3ms<")
	require.Contains(t, s, ">2, 6.17 calls<")
}

// TestPlotStaysInside: no bar is negative or longer than its panel, no line
// lies on another.
func TestPlotStaysInside(t *testing.T) {
	empty := samples("eventfd (auto)")
	empty[1].results[taskToGo][fanOut] = new(result)
	for _, sections := range [][]*section{samples("eventfd", "msgring"), samples(), empty} {
		for _, p := range newPlot(&benchmark{cfg: newConfig(t), sections: sections}).Panels {
			bottom := 0
			for _, l := range p.Lines {
				require.GreaterOrEqual(t, l.Bar, 0.0)
				require.GreaterOrEqual(t, l.Tail, l.Bar)
				require.LessOrEqual(t, l.Tail, float64(panelWidth))
				require.GreaterOrEqual(t, l.Y, bottom)
				bottom = l.Y + lineHeight
			}
			require.LessOrEqual(t, bottom, p.Height)
			for i := range len(p.Ticks) - 1 {
				require.Greater(t, p.Ticks[i+1].X-p.Ticks[i].X, 20.0)
			}
		}
	}
}

func TestScaleHasWholeDecades(t *testing.T) {
	s := scale{2, 5}
	require.Zero(t, s.at(100))
	require.Zero(t, s.at(0))
	require.InDelta(t, panelWidth, s.at(1e5), .1)
	require.InDelta(t, panelWidth/3.0, s.at(1000), .1)
	require.Len(t, s.ticks(digits), 4)

	sections := []*section{{doorbell: "none"}}
	sections[0].results[goToGo] = [workloads]*result{new(result), new(result)}
	require.Equal(t, scale{0, 1}, newScale(sections, quantities[0]), "nothing was counted")
}

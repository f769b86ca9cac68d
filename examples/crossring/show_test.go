package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
)

func TestHistogramBucketsAreInOrderAndNarrow(t *testing.T) {
	require.Zero(t, bucketOf(0))
	for i := range len(histogram{}.buckets) - 1 {
		last := lastOf(i)
		require.Equal(t, i, bucketOf(last), "bucket %d ends at %d", i, last)
		require.Equal(t, i+1, bucketOf(last+1), "and the next begins")
		require.LessOrEqual(t, float64(lastOf(i+1)-last), 1+float64(last)/30)
	}
	require.Greater(t, lastOf(len(histogram{}.buckets)-1), uint64(18*time.Minute))
}

// TestHistogramAgainstASortedList: a quantile is the element of that rank,
// rounded up by 1/32 at most.
func TestHistogramAgainstASortedList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		parts := make([]histogram, 1+random.IntN(4))
		var list []time.Duration
		for range 1 + random.IntN(500) {
			d := time.Duration(random.Uint64N(1 << random.IntN(40)))
			parts[random.IntN(len(parts))].record(d)
			list = append(list, d)
		}
		var all histogram
		for i := range parts {
			all.add(&parts[i])
		}
		slices.Sort(list)
		for _, q := range []float64{0, .01, .25, .5, .9, .99, .999, 1} {
			rank := max(1, ceil(q*float64(len(list))))
			want, got := list[rank-1], all.quantile(q)
			require.GreaterOrEqual(t, got, want, "%v of %d", q, len(list))
			require.LessOrEqual(t, got, want+want/32, "%v of %d", q, len(list))
		}
	}
}

// ceil is the least integer that is not below x.
func ceil(x float64) int {
	n := int(x)
	if float64(n) < x {
		n++
	}
	return n
}

func TestHistogramTakesWhatIsOutOfRange(t *testing.T) {
	var h histogram
	require.Zero(t, h.quantile(.5), "it is empty")
	h.record(-time.Second)
	require.Zero(t, h.quantile(1))
	h.record(1<<63 - 1)
	require.Greater(t, h.quantile(1), 18*time.Minute)
	require.EqualValues(t, 2, h.count)
}

// samples are boards with scores that are as wide as they get.
func samples(doorbells ...string) []*board {
	boards := []*board{{doorbell: "none"}}
	for _, d := range doorbells {
		boards = append(boards, &board{doorbell: d})
	}
	for i, b := range boards {
		for p := range paths {
			if (p == goToGo) == (i == 0) {
				b.scores[p] = [games]*score{sample(int(p)), sample(int(p) + 1)}
			}
		}
	}
	return boards
}

func sample(i int) *score {
	s := &score{took: time.Second, calls: 12.345}
	s.wakes.record(time.Duration(100+i) * time.Nanosecond)
	s.wakes.record(time.Duration(12345+i) * time.Microsecond)
	return s
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
	boards := []*board{{doorbell: "none"}}
	boards[0].scores[goToGo] = [games]*score{new(score), new(score)}
	require.Contains(t, table(boards), "goroutine to goroutine       -     -      -      -        -     -      -      -\n")
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

func TestScreenDrawsOverItself(t *testing.T) {
	var out bytes.Buffer
	c := &contest{cfg: newConfig(t), boards: samples("eventfd"), start: time.Now()}
	s := &screen{out: &out, terminal: true}
	s.show(c)
	first := out.String()
	require.NotContains(t, first, "\x1b")
	require.Contains(t, first, "of 8s")
	out.Reset()
	s.show(c)
	require.Empty(t, out.String(), "it has just shown something")

	s.last("the end\n")
	require.Equal(t, "\r\x1b["+digits(float64(strings.Count(first, "\n")))+"A\x1b[J\nthe end\n", out.String())
}

func TestScreenElsewhereIsALineASecond(t *testing.T) {
	var out bytes.Buffer
	c := &contest{cfg: newConfig(t), boards: samples("eventfd"), start: time.Now()}
	s := newScreen(&out, false)
	s.shown = time.Time{}
	s.show(c)
	require.Regexp(t, `^\[[#.]{24}\] \d+\.\ds of 8s, 20 wakes\n$`, out.String())
	out.Reset()
	s.last("the end\n")
	require.Equal(t, "\nthe end\n", out.String())
}

func TestFileIsNoTerminal(t *testing.T) {
	t.Setenv("TERM", "xterm")
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer f.Close()
	require.False(t, isTerminal(f))
	require.False(t, isTerminal(&bytes.Buffer{}))
}

func TestBar(t *testing.T) {
	require.Equal(t, "[........................]", bar(0))
	require.Equal(t, "[############............]", bar(.5))
	require.Equal(t, "[########################]", bar(7))
}

// drawn returns the plot of these boards, as text and checked to be XML.
func drawn(t *testing.T, boards []*board) string {
	t.Helper()
	c := &contest{cfg: newConfig(t), boards: boards, rounds: 1}
	var b strings.Builder
	require.NoError(t, plotTemplate.Execute(&b, newPlot(c)))
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		if _, err := d.Token(); err == io.EOF {
			return b.String()
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
	for game := range games {
		require.Contains(t, s, ">"+gameNames[game]+": latency<")
		require.Contains(t, s, ">"+gameNames[game]+": rate<")
	}
	require.Equal(t, 8, strings.Count(s, ">msgring<"))
	require.Equal(t, 18, strings.Count(s, `class="tail"`))
	require.Contains(t, s, ">101ns / 12.6ms<")
	require.Contains(t, s, ">2, 6.17 calls<")
}

// TestPlotStaysInside: no bar is negative or longer than its panel, no line
// lies on another.
func TestPlotStaysInside(t *testing.T) {
	empty := samples("eventfd (auto)")
	empty[1].scores[taskToGo][fanOut] = new(score)
	for _, boards := range [][]*board{samples("eventfd", "msgring"), samples(), empty} {
		for _, p := range newPlot(&contest{cfg: newConfig(t), boards: boards}).Panels {
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

	boards := []*board{{doorbell: "none"}}
	boards[0].scores[goToGo] = [games]*score{new(score), new(score)}
	require.Equal(t, scale{0, 1}, newScale(boards, quantities[0]), "nothing was counted")
}

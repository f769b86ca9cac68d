package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/uringwake"
)

// requireFits requires that no line is wider than a terminal.
func requireFits(t *testing.T, text string) {
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, len([]rune(line)), 81, line)
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range []string{"-addr=x", "-addr=:x", "-loops=0", "-requests=1", "-rounds=0", "-clients=0", "-out=.", "-out=none/x", "-x", "x"} {
		_, err := parse([]string{bad})
		require.Error(t, err, bad)
	}
	requireFits(t, help())
}

// TestProgramSaysHowToTalkToIt, and that clients are goroutines where there are no rings.
func TestProgramSaysHowToTalkToIt(t *testing.T) {
	cfg, err := parse([]string{"-addr=127.0.0.1:0"})
	require.NoError(t, err)
	cfg.supported = func() error { return errors.New("no rings today") }
	ctx, cancel := context.WithCancel(t.Context())
	var text bytes.Buffer
	require.NoError(t, work(ctx, cfg, io.MultiWriter(&text, writer(cancel)), io.Discard))
	require.Contains(t, text.String(), " speaks Redis' protocol")
	require.Contains(t, text.String(), "Clients are goroutines, on package net, because io_uring cannot be used here: no rings today.\n")
	require.Contains(t, text.String(), "redis-cli -h 127.0.0.1 -p ")
}

// A writer is called when something is written.
type writer func()

func (f writer) Write(p []byte) (int, error) { f(); return len(p), nil }

func TestAddressInUse(t *testing.T) {
	_, address := serve(t, true)
	var stderr bytes.Buffer
	require.Equal(t, cli.Failed, program.Run(t.Context(), []string{"-addr", address}, io.Discard, &stderr))
	require.Contains(t, stderr.String(), "address already in use")
}

// TestContest is a small one.
func TestContest(t *testing.T) {
	tool(t, "redis-benchmark")
	plot := filepath.Join(t.TempDir(), "plot.svg")
	cfg, err := parse([]string{"-bench", "-plain", "-requests=1000", "-rounds=1", "-clients=5", "-loops=2", "-out", plot})
	require.NoError(t, err)
	cfg.requests = 50
	var stdout bytes.Buffer
	require.NoError(t, work(t.Context(), cfg, &stdout, io.Discard))
	require.Contains(t, stdout.String(), "LPOP -P 16")
	if uringwake.Supported() == nil {
		require.Contains(t, stdout.String(), "tasks, loops: 1  tasks, loops: 2")
	}
	_, err = os.Stat(plot)
	require.NoError(t, err)
}

func TestTableAndPlot(t *testing.T) {
	c := &contest{cfg: &config{rounds: 3, clients: 50}, contestants: []*contestant{{name: "tasks, loops: 1"}, {name: "tasks, loops: 2"}, {name: "goroutines"}, {name: "redis-server"}}}
	for range disciplines {
		c.results = append(c.results, []*result{
			{rates: []float64{1, 1_000_000, 3}, requests: 1000, cpu: 10 * time.Millisecond},
			{rates: []float64{5}, requests: 1000, cpu: 20 * time.Millisecond},
			new(result),
			{rates: []float64{9}, requests: 1000, cpu: time.Millisecond},
		})
	}
	require.Contains(t, c.table(), "SET -P 1            3   10.00        5   20.00        0    0.00        9    1.00\n")
	requireFits(t, c.table())
	var b bytes.Buffer
	require.NoError(t, plotTemplate.Execute(&b, c.plot()))
	require.NoError(t, xml.Unmarshal(b.Bytes(), new(struct{})), b.String())
	require.Contains(t, b.String(), "LPOP -P 16")
}

func TestRateIsTheMedian(t *testing.T) {
	for want, rates := range map[float64][]float64{0: nil, 5: {5}, 6: {8, 4}, 3: {1, 1000, 3}, 7: {9, 1, 5, 1000}} {
		require.Equal(t, want, (&result{rates: rates}).rate())
	}
}

func TestFailureEndsWithItsReason(t *testing.T) {
	require.EqualError(t, failed(io.ErrUnexpectedEOF, []byte("\n")), "redis-benchmark: unexpected EOF")
	require.EqualError(t, failed(io.ErrUnexpectedEOF, []byte("no\n")), "redis-benchmark: unexpected EOF: no")
}

func TestRate(t *testing.T) {
	rate, err := rateOf([]byte("\"test\",\"rps\",\"avg\"\n\"GET\",\"123.45\",\"1\"\n"), "GET")
	require.NoError(t, err)
	require.Equal(t, 123.45, rate)
	_, err = rateOf([]byte("Error from server"), "GET")
	require.ErrorContains(t, err, "Error from server")
}

package main

import (
	"bytes"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgressFitsIntoATerminal(t *testing.T) {
	cfg, err := parse(nil)
	require.NoError(t, err)
	f, err := newFront(cfg, &url.URL{Scheme: "http", Host: "origin.test"}, realTransport(), true, newLogger(io.Discard))
	require.NoError(t, err)
	defer f.close()
	l := &lab{origin: newOrigin(1), front: f, crowd: &crowd{}, planned: 1, limit: time.Hour, start: time.Now()}
	l.crowd.answered.Store(99_999)
	l.origin.asked.Store(99_999)
	line := l.line("without coalescing")
	require.Less(t, len(line), 80, line)
	require.Contains(t, line, "[########]")
}

func TestTableComparesTwoColumns(t *testing.T) {
	a := &outcome{name: "without coalescing", took: time.Second, requests: 12345, asked: 400, p99: 600e6, p50: 2e5}
	b := &outcome{name: "with coalescing", took: time.Second, requests: 12345, asked: 100, p99: 50e6, p50: 1e5, joined: 9}
	s := table(a, b)
	require.Contains(t, s, "origin requests                      400              100    4.0x less\n")
	require.Contains(t, s, "latency p99                       600 ms          50.0 ms     12x less\n")
	require.Contains(t, s, "12,345           12,345\n")
	require.Contains(t, s, "0.20 ms          0.10 ms\n", "two small numbers are not compared")
	require.NotContains(t, s, "passed through", "the demo has nothing of the kind")
	require.NotContains(t, conclusion(a, b), "cut off")
	b.requests--
	require.Contains(t, conclusion(a, b), "cut off")
	for line := range strings.Lines(s + conclusion(a, b)) {
		require.LessOrEqual(t, len(line), 80, line)
	}
}

func TestIntroductionFitsIntoATerminal(t *testing.T) {
	var out bytes.Buffer
	cfg, err := parse(nil)
	require.NoError(t, err)
	introduce(&out, cfg)
	for line := range strings.Lines(out.String()) {
		require.LessOrEqual(t, len(line), 80, line)
	}
}

func TestRatio(t *testing.T) {
	require.Equal(t, " 2.0x less", ratio(2, 1))
	require.Equal(t, " 2.0x more", ratio(1, 2))
	require.Equal(t, "the same", ratio(100, 101))
	require.Equal(t, "", ratio(0, 1))
	require.Equal(t, "", ratio(1, 0))
}

func TestCountAndLatency(t *testing.T) {
	require.Equal(t, "0", count(0))
	require.Equal(t, "999", count(999))
	require.Equal(t, "1,234,567", count(1234567))
	require.Equal(t, "0.05 ms", latency(50_000))
	require.Equal(t, "12.5 ms", latency(12_500_000))
	require.Equal(t, "1,234 ms", latency(1_234_000_000))
}

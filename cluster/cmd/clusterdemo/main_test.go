package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/cluster/internal/lab"
	"github.com/vigil-go/vigil/internal/cli"
)

func TestMain(m *testing.M) {
	lab.Register(workerFunction, work)
	lab.Main()
	goleak.VerifyTestMain(m)
}

// TestDemo runs it, as short as it can be.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	file := filepath.Join(t.TempDir(), "plot.svg")
	var stdout, stderr bytes.Buffer
	status := program.Run(t.Context(), []string{"-duration=2s", "-ttl=1s", "-kill=follower", "-keys=50", "-clients=5", "-debug=127.0.0.1:0", "-out=" + file}, &stdout, &stderr)
	require.Equal(t, cli.OK, status, "%s%s", &stdout, &stderr)
	for _, want := range []string{
		"debug page of worker2: http://127.0.0.1:", "killed worker1 during a load", "cut worker2 off", "brought worker2 back",
		"killed server", "\nduplicates     0 ", "\nfailed         0 ", "\ntakeover ", "\nplot: " + file,
	} {
		require.Contains(t, stdout.String(), want)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	requireXML(t, text)
	require.Contains(t, string(text), "worker1 killed</text>")
}

func requireXML(t *testing.T, text []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else {
			require.NoError(t, err)
		}
	}
}

func TestInterruptedWhileItStarts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	require.Equal(t, cli.Failed, program.Run(ctx, nil, io.Discard, &stderr))
	require.Equal(t, "clusterdemo: interrupted\n", stderr.String())
}

func TestFlags(t *testing.T) {
	for _, bad := range []string{
		"-duration=1s", "-servers=2", "-workers=2", "-clients=0", "-keys=0", "-skew=1", "-skew=NaN", "-load=0s", "-fresh=1ms", "-ttl=999ms",
		"-kill=all", "-debug=here", "-debug=localhost:http", "-out=/nothing/there.svg", "more",
	} {
		_, err := parse([]string{bad})
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "\n")
	}
	c, err := parse([]string{"-debug=127.0.0.1:8000"})
	require.NoError(t, err)
	address, err := c.debugAddress(2)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:8002", address)
	for line := range strings.Lines(help()) {
		require.LessOrEqual(t, len(line), 101)
	}
}

// TestDuplicates: which of the loads of a key were one too many.
func TestDuplicates(t *testing.T) {
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	for name, c := range map[string]struct {
		loads []*load
		wrong int
	}{
		"none": {},
		"one after the other": {[]*load{
			{Fence: 1, Begun: at(0), Stored: 2, Until: at(5)},
			{Fence: 10, Begun: at(5), Stored: 11, Until: at(10)},
			{Fence: 20, Begun: at(11)},
		}, 0},
		"the same fence": {[]*load{{Fence: 1, Begun: at(0)}, {Fence: 1, Begun: at(1)}}, 1},
		"while a page was valid": {[]*load{
			{Fence: 1, Begun: at(0), Stored: 2, Until: at(5)},
			{Fence: 10, Begun: at(4), Stored: 11, Until: at(9)},
		}, 1},
		"while one before the last was valid": {[]*load{
			{Fence: 1, Begun: at(0), Stored: 2, Until: at(50)},
			{Fence: 10, Begun: at(51), Stored: 11, Until: at(52)},
			{Fence: 20, Begun: at(49)},
		}, 1},
		"the lease was lost before the page was stored": {[]*load{
			{Fence: 1, Begun: at(0), Stored: 12, Until: at(9)},
			{Fence: 10, Begun: at(4), Stored: 13, Until: at(9)},
		}, 0},
		"killed before it was stored": {[]*load{{Fence: 1, Begun: at(0)}, {Fence: 10, Begun: at(1), Stored: 11, Until: at(5)}}, 0},
		"told in another order": {[]*load{
			{Fence: 10, Begun: at(4), Stored: 11, Until: at(9)},
			{Fence: 1, Begun: at(0), Stored: 2, Until: at(5)},
		}, 1},
	} {
		var l ledger
		for i, one := range c.loads {
			one.Key, one.Worker = "key", i
			l.begun(&load{Key: one.Key, Worker: one.Worker, Fence: one.Fence, Begun: one.Begun})
		}
		for _, one := range c.loads {
			l.ended(one)
		}
		require.Len(t, l.duplicates(), c.wrong, name)
		n, _ := l.count()
		require.Equal(t, len(c.loads), n, name)
	}
}

// newDemo returns a demo whose workers are no processes.
func newDemo() *demo {
	c := new(config)
	flagSet(c)
	d := &demo{c: c, start: time.Now()}
	for i := range 3 {
		d.workers = append(d.workers, &machine{number: i, process: &lab.Process{Name: fmt.Sprint("worker", i)}})
	}
	return d
}

func TestVerdict(t *testing.T) {
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, newDemo().verdict(t.Context()))
	d := newDemo()
	d.workers[1].report = report{Failed: 2, Failure: "no"}
	require.ErrorContains(t, d.verdict(t.Context()), "2 requests of worker1 failed: no")
	d = newDemo()
	d.ledger.begun(&load{Key: "key", Fence: 7, Worker: 1})
	d.ledger.begun(&load{Key: "key", Fence: 7, Worker: 2})
	require.ErrorContains(t, d.verdict(interrupted), `workers 1 and 2 have loaded "key" under the fence 7`)
	d = newDemo()
	d.failure = errors.New("gone")
	require.ErrorContains(t, d.verdict(t.Context()), "gone")
	require.NoError(t, d.verdict(interrupted))
}

// TestWhatIsShown: also if it ends before there is anything to show.
func TestWhatIsShown(t *testing.T) {
	d := newDemo()
	for range 3 {
		require.Contains(t, d.table(), "worker2")
		require.Contains(t, d.line(), "worker2")
		require.Contains(t, d.totals(), "\nduplicates     0 ")
		var svg bytes.Buffer
		require.NoError(t, plotTemplate.Execute(&svg, d.plot()))
		requireXML(t, svg.Bytes())
		require.NotContains(t, svg.String(), "NaN")
		d.setState(d.workers[1], killed)
		d.workers[0].report.Requests += 100
		d.happened("label", "text")
		d.sample()
	}
	for line := range strings.Lines(d.table()) {
		require.LessOrEqual(t, len(line), 81, line)
	}
	require.Len(t, d.news(1), 2)
}

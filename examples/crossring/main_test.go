package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// runFor runs the program with args and returns what it did.
func runFor(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = program.Run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestBadFlagsGetOneClearLineAndStatus2(t *testing.T) {
	for _, test := range []struct{ args, says string }{
		{"-nonsense", "-nonsense"},
		{"-loops", "needs an argument: -loops"},
		{"-loops=many", "-loops"},
		{"-loops=1", "-loops 1: must be from 2 to 64"},
		{"-loops=65", "-loops 65"},
		{"-goroutines=0", "-goroutines 0: must be from 1 to 1000"},
		{"-goroutines=1001", "-goroutines 1001"},
		{"-duration=99ms", "-duration 99ms: must be from 100ms to 1h"},
		{"-duration=-1s", "-duration -1s"},
		{"-duration=2h", "-duration 2h0m0s"},
		{"-doorbell=gong", `-doorbell "gong": must be eventfd, msgring, auto or all`},
		{"-doorbell=", `-doorbell ""`},
		{"-spin=2s", "-spin 2s: must be from 0 to 1s"},
		{"-spin=-1ns", "-spin -1ns"},
		{"-out=.", `-out ".": is a directory`},
		{"-out=nowhere/plot.svg", `-out "nowhere/plot.svg": no such directory`},
		{"extra", `unexpected argument "extra"`},
	} {
		t.Run(test.args, func(t *testing.T) {
			status, stdout, stderr := runFor(t.Context(), test.args)
			require.Equal(t, cli.Usage, status)
			require.Empty(t, stdout)
			require.Contains(t, stderr, test.says)
			requireOneLine(t, stderr)
		})
	}
}

func TestStrangeArgumentsStayOnOneLine(t *testing.T) {
	for _, arg := range []string{"a\nb", "-loops=1\n2", "-x\r\ny", "-out=no\nwhere/plot"} {
		status, _, stderr := runFor(t.Context(), arg)
		require.Equal(t, cli.Usage, status)
		requireOneLine(t, stderr)
	}
}

func requireOneLine(t *testing.T, stderr string) {
	t.Helper()
	require.True(t, strings.HasPrefix(stderr, "crossring: "), stderr)
	require.Equal(t, strings.Index(stderr, "\n"), len(stderr)-1, "%q is not one line", stderr)
}

func TestHelpNamesEveryFlag(t *testing.T) {
	status, stdout, stderr := runFor(t.Context(), "-h")
	require.Equal(t, cli.OK, status)
	require.Empty(t, stderr)
	for _, name := range []string{"-doorbell", "-duration", "-goroutines", "-loops", "-out", "-plain", "-spin"} {
		require.Contains(t, stdout, "\n  "+name+" ")
	}
	requireNarrow(t, stdout)
}

func requireNarrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
	}
}

// TestEveryPathIsMeasured runs the whole program. Which doorbell auto is depends on the
// kernel and on a measurement.
func TestEveryPathIsMeasured(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	for doorbell, header := range map[string]string{"all": "doorbell: eventfd\n", "auto": " (auto)\n"} {
		out := filepath.Join(t.TempDir(), "plot.svg")
		status, stdout, stderr := runFor(t.Context(),
			"-duration=100ms", "-goroutines=3", "-loops=3", "-spin=0", "-doorbell="+doorbell, "-out", out)
		require.Equal(t, cli.OK, status, stderr)
		require.Empty(t, stderr)
		require.NotContains(t, stdout, "\x1b", "this is not a terminal")
		require.NotContains(t, stdout, "Stopped early")
		require.Contains(t, stdout, header)
		for _, name := range pathNames {
			require.Contains(t, stdout, "\n"+name+" ")
		}
		require.Contains(t, stdout, "\nplot: "+out+"\n")
		drawn, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Contains(t, string(drawn), "task to task, 2 loops</text>")
	}
}

func TestWakesAreCountedForEveryResult(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	b, err := newBenchmark(newConfig(t, "-duration=100ms"))
	require.NoError(t, err)
	defer func() { require.NoError(t, b.close()) }()
	require.NoError(t, b.run(t.Context(), cli.NewScreen(&bytes.Buffer{}, true)))

	seen := 0
	eachPath(b.sections, func(s *section, p path) {
		for w, r := range s.results[p] {
			what := fmt.Sprint(s.doorbell, ", ", pathNames[p], ", ", workloadNames[w])
			require.NotZero(t, r.wakes.Count(), what)
			require.Positive(t, r.perSecond(), what)
			require.LessOrEqual(t, r.wakes.Quantile(.50), r.wakes.Quantile(.99), what)
			if p == goToGo {
				require.Zero(t, r.calls, what)
			}
			seen++
		}
	})
	require.Equal(t, 2*(1+4*(len(b.sections)-1)), seen)
	requireIdle(t, b.shared)
}

// requireIdle checks that s is as it was before the first measurement.
func requireIdle(t *testing.T, s *shared) {
	t.Helper()
	require.Zero(t, s.m.Len(), "no value is left")
	for range s.m.Waiting() {
		t.Fatal("a wait is left")
	}
	require.Zero(t, s.n.Waiters())
	require.False(t, s.n.TryWait(), "no permit is left")
	require.Zero(t, s.g.Count())
}

func newConfig(t *testing.T, args ...string) *config {
	t.Helper()
	cfg, err := parse(args)
	require.NoError(t, err)
	return cfg
}

// errRefused is what uringwake.Supported says where there is no io_uring.
var errRefused = fmt.Errorf("no rings on this moon: %w", errors.ErrUnsupported)

func TestWithoutRingsGoroutinesAreMeasuredAndItSaysWhy(t *testing.T) {
	out := filepath.Join(t.TempDir(), "plot.svg")
	cfg := newConfig(t, "-duration=100ms", "-out", out)
	cfg.supported = func() error { return errRefused }
	var stdout bytes.Buffer
	require.NoError(t, work(t.Context(), cfg, &stdout, nil))
	s := stdout.String()
	require.Contains(t, s, "There are no loops: no rings on this moon")
	require.Contains(t, s, "\ngoroutine to goroutine ")
	require.NotContains(t, s, "task to")
	require.NotContains(t, s, "\ncalls: ", "there are none")
	require.FileExists(t, out)
}

func TestInterruptShowsWhatThereIs(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg := newConfig(t, "-duration=1h", "-out", filepath.Join(t.TempDir(), "plot.svg"))
	var stdout bytes.Buffer
	done := make(chan error)
	go func() {
		done <- work(ctx, cfg, &writer{&stdout, func(line string) {
			if strings.HasPrefix(line, "[") { // it is measuring
				cancel(errors.New("that will do"))
			}
		}}, nil)
	}()
	require.NoError(t, <-done)
	require.Contains(t, stdout.String(), "Stopped early (that will do)")
	require.Contains(t, stdout.String(), "\nplot: ")
}

// A writer tells of what is written.
type writer struct {
	*bytes.Buffer
	tell func(string)
}

func (w *writer) Write(b []byte) (int, error) {
	w.tell(string(b))
	return w.Buffer.Write(b)
}

func TestInterruptBeforeAnythingDrawsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := filepath.Join(t.TempDir(), "plot.svg")
	status, stdout, stderr := runFor(ctx, "-out", out)
	require.Equal(t, cli.OK, status, stderr)
	require.Contains(t, stdout, "Stopped early")
	require.NotContains(t, stdout, "plot:")
	require.NoFileExists(t, out)
}

func TestPlotThatCannotBeWrittenGetsOneLineAndStatus1(t *testing.T) {
	dir := t.TempDir()
	cfg := newConfig(t, "-duration=100ms", "-out", filepath.Join(dir, "gone", "..", "plot.svg"))
	cfg.out = filepath.Join(dir, "gone", "plot.svg") // as if it went away meanwhile
	cfg.supported = func() error { return errRefused }
	require.ErrorContains(t, work(t.Context(), cfg, &bytes.Buffer{}, nil), "plot.svg")
}

// measured runs one measurement, with the test's own starters.
func measured(t *testing.T, s *shared, w workload, near, far []starter) (*result, error) {
	t.Helper()
	r := new(result)
	m := &measurement{workload: w, near: near, far: far, out: r, back: r}
	return r, m.run(t.Context(), s, time.Millisecond)
}

func TestMeasurementThatDoesNotEndSaysSo(t *testing.T) {
	late := starter(func(ctx context.Context, f func(context.Context)) error {
		context.AfterFunc(ctx, func() { f(ctx) })
		return nil
	})
	for w := range workloads {
		s := newShared()
		s.grace = time.Millisecond
		_, err := measured(t, s, w, goroutines(1), []starter{late})
		require.ErrorIs(t, err, errLate)
	}
}

func TestWorkerThatCannotStartEndsTheMeasurement(t *testing.T) {
	closed := starter(func(context.Context, func(context.Context)) error { return uringwake.ErrClosed })
	for w := range workloads {
		_, err := measured(t, newShared(), w, goroutines(2), []starter{onGoroutine, closed})
		require.ErrorIs(t, err, uringwake.ErrClosed)
		_, err = measured(t, newShared(), w, []starter{closed, closed}, goroutines(2))
		require.ErrorIs(t, err, uringwake.ErrClosed)
	}
}

func TestMeasurementsLeaveNothingBehind(t *testing.T) {
	s := newShared()
	for w := range workloads {
		r, err := measured(t, s, w, goroutines(5), goroutines(5))
		require.NoError(t, err)
		require.NotZero(t, r.wakes.Count())
		requireIdle(t, s)
	}
}

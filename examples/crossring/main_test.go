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
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/uringwake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// runFor runs the program with args and returns what it did.
func runFor(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(ctx, args, &out, &errs)
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
			require.Equal(t, exitUsage, status)
			require.Empty(t, stdout)
			require.Contains(t, stderr, test.says)
			requireOneLine(t, stderr)
		})
	}
}

func TestStrangeArgumentsStayOnOneLine(t *testing.T) {
	for _, arg := range []string{"a\nb", "-loops=1\n2", "-x\r\ny", "-out=no\nwhere/plot"} {
		status, _, stderr := runFor(t.Context(), arg)
		require.Equal(t, exitUsage, status)
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
	require.Equal(t, exitOK, status)
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

// TestEveryPathIsPlayed runs the whole program.
func TestEveryPathIsPlayed(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	for _, doorbell := range []string{"all", "auto"} {
		out := filepath.Join(t.TempDir(), "plot.svg")
		status, stdout, stderr := runFor(t.Context(),
			"-duration=100ms", "-goroutines=3", "-loops=3", "-spin=0", "-doorbell="+doorbell, "-out", out)
		require.Equal(t, exitOK, status, stderr)
		require.Empty(t, stderr)
		require.NotContains(t, stdout, "\x1b", "this is not a terminal")
		require.NotContains(t, stdout, "Stopped early")
		require.Contains(t, stdout, "doorbell: eventfd")
		for _, name := range pathNames {
			require.Contains(t, stdout, "\n"+name+" ")
		}
		require.Contains(t, stdout, "\nplot: "+out+"\n")
		drawn, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Contains(t, string(drawn), "task to task, 2 loops</text>")
	}
}

func TestWakesAreCountedForEveryScore(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
	cfg := newConfig(t, "-duration=100ms")
	c, err := newContest(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.close()) }()
	require.NoError(t, c.run(t.Context(), newScreen(&bytes.Buffer{}, true)))

	seen := 0
	lines(c.boards, func(b *board, p path) {
		for g, s := range b.scores[p] {
			what := fmt.Sprint(b.doorbell, ", ", pathNames[p], ", ", gameNames[g])
			require.NotZero(t, s.wakes.count, what)
			require.Positive(t, s.perSecond(), what)
			require.LessOrEqual(t, s.wakes.quantile(.50), s.wakes.quantile(.99), what)
			if p == goToGo {
				require.Zero(t, s.calls, what)
			}
			seen++
		}
	})
	require.Equal(t, 2*(1+4*(len(c.boards)-1)), seen)
	requireUntouched(t, c.court)
}

// requireUntouched checks that the court is as it was before the first match.
func requireUntouched(t *testing.T, c *court) {
	t.Helper()
	require.Zero(t, c.m.Len(), "no value is left")
	for range c.m.Waiting() {
		t.Fatal("somebody waits still")
	}
	require.Zero(t, c.n.Waiters())
	require.False(t, c.n.TryWait(), "no permit is left")
	require.Zero(t, c.g.Count())
}

func newConfig(t *testing.T, args ...string) *config {
	t.Helper()
	cfg, err := parse(args)
	require.NoError(t, err)
	return cfg
}

// errRefused is what uringwake.Supported says where there is no io_uring.
var errRefused = fmt.Errorf("no rings on this moon: %w", errors.ErrUnsupported)

func TestWithoutRingsGoroutinesPlayAndItSaysWhy(t *testing.T) {
	out := filepath.Join(t.TempDir(), "plot.svg")
	cfg := newConfig(t, "-duration=100ms", "-out", out)
	cfg.supported = func() error { return errRefused }
	var stdout bytes.Buffer
	require.NoError(t, compete(t.Context(), cfg, &stdout))
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
		done <- compete(ctx, cfg, &writer{&stdout, func(line string) {
			if strings.HasPrefix(line, "[") { // it is playing
				cancel(errors.New("that will do"))
			}
		}})
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
	require.Equal(t, exitOK, status, stderr)
	require.Contains(t, stdout, "Stopped early")
	require.NotContains(t, stdout, "plot:")
	require.NoFileExists(t, out)
}

func TestPlotThatCannotBeWrittenGetsOneLineAndStatus1(t *testing.T) {
	dir := t.TempDir()
	cfg := newConfig(t, "-duration=100ms", "-out", filepath.Join(dir, "gone", "..", "plot.svg"))
	cfg.out = filepath.Join(dir, "gone", "plot.svg") // as if it went away meanwhile
	cfg.supported = func() error { return errRefused }
	require.ErrorContains(t, compete(t.Context(), cfg, &bytes.Buffer{}), "plot.svg")
}

// seated plays one match of goroutines, on seats of the test's own.
func seated(t *testing.T, c *court, game game, near, far []seat) (*score, error) {
	t.Helper()
	s := new(score)
	m := &match{game: game, near: near, far: far, out: s, back: s}
	return s, m.play(t.Context(), c, time.Millisecond)
}

func TestMatchThatDoesNotEndSaysSo(t *testing.T) {
	late := seat(func(ctx context.Context, f func(context.Context)) error {
		context.AfterFunc(ctx, func() { f(ctx) })
		return nil
	})
	for g := range games {
		c := newCourt()
		c.patience = time.Millisecond
		_, err := seated(t, c, g, goroutines(1), []seat{late})
		require.ErrorIs(t, err, errStuck)
	}
}

func TestPlayerThatGetsNoSeatEndsTheMatch(t *testing.T) {
	full := seat(func(context.Context, func(context.Context)) error { return uringwake.ErrClosed })
	for g := range games {
		_, err := seated(t, newCourt(), g, goroutines(2), []seat{onGoroutine, full})
		require.ErrorIs(t, err, uringwake.ErrClosed)
		_, err = seated(t, newCourt(), g, []seat{full, full}, goroutines(2))
		require.ErrorIs(t, err, uringwake.ErrClosed)
	}
}

func TestMatchesLeaveTheCourtAsItWas(t *testing.T) {
	c := newCourt()
	for g := range games {
		s, err := seated(t, c, g, goroutines(5), goroutines(5))
		require.NoError(t, err)
		require.NotZero(t, s.wakes.count)
		requireUntouched(t, c)
	}
}

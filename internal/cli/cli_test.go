package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestExitStatuses(t *testing.T) {
	failure := errors.New("it is broken")
	for _, test := range []struct {
		err            error // of Parse
		fails          error // of Work
		status         int
		stdout, stderr string
	}{
		{status: OK, stdout: "worked\n"},
		{err: flag.ErrHelp, status: OK, stdout: "help\n"},
		{err: failure, status: Usage, stderr: "name: it is broken (-h for help)\n"},
		{fails: failure, status: Failed, stdout: "worked\n", stderr: "name: it is broken\n"},
	} {
		p := Program[int]{
			Name:  "name",
			Help:  func() string { return "help\n" },
			Parse: func(args []string) (int, error) { return len(args), test.err },
			Work: func(ctx context.Context, n int, stdout, stderr io.Writer) error {
				require.Equal(t, 2, n)
				io.WriteString(stdout, "worked\n")
				return test.fails
			},
		}
		var stdout, stderr bytes.Buffer
		require.Equal(t, test.status, p.Run(t.Context(), []string{"a", "b"}, &stdout, &stderr))
		require.Equal(t, test.stdout, stdout.String())
		require.Equal(t, test.stderr, stderr.String())
	}
}

func TestFlags(t *testing.T) {
	f := NewFlagSet("name")
	n := f.Int("n", 3, "how many")
	f.Bool("plain", false, "nothing fancy")
	require.NoError(t, Parse(f, []string{"-n=5"}))
	require.Equal(t, 5, *n)
	require.ErrorIs(t, Parse(f, []string{"-h"}), flag.ErrHelp)
	require.ErrorContains(t, Parse(f, []string{"extra"}), `unexpected argument "extra"`)
	err := Parse(f, []string{"-n=1\r\n2"})
	require.ErrorContains(t, err, "-n")
	require.False(t, strings.ContainsAny(err.Error(), "\r\n"), "%q", err)

	var b strings.Builder
	WriteFlags(&b, f.Lookup("n"), f.Lookup("plain"))
	require.Equal(t, "  -n           how many (default 3)\n  -plain       nothing fancy\n", b.String())
}

func TestScreenDrawsOverItself(t *testing.T) {
	var out bytes.Buffer
	s := &Screen{out: &out, Terminal: true}
	s.Draw("a\nb\n")
	s.Draw("the end\n")
	require.Equal(t, "a\nb\n\r\x1b[2A\x1b[Jthe end\n", out.String())
}

func TestScreenElsewhereDrawsNothingOver(t *testing.T) {
	var out bytes.Buffer
	s := NewScreen(&out, false)
	s.Draw("a\nb\n")
	s.Draw("the end\n")
	require.Equal(t, "a\nb\nthe end\n", out.String())
}

func TestScreenIsDueAfterAWhile(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := &Screen{Terminal: terminal, shown: time.Now()}
			require.False(t, s.Due())
			time.Sleep(s.interval())
			require.True(t, s.Due())
			require.False(t, s.Due(), "it has just shown something")
		})
	}
}

func TestDuringElsewhereIsALineASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		start := time.Now()
		NewScreen(&out, false).During(func() { time.Sleep(2500 * time.Millisecond) }, func() string { return time.Since(start).String() })
		require.Equal(t, "1s\n2s\n2.5s\n", out.String())
	})
}

func TestDuringOnATerminalStaysInItsLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		s := &Screen{out: &out, Terminal: true}
		line := "a long one"
		s.During(func() { time.Sleep(500 * time.Millisecond) }, func() string { defer func() { line = "short" }(); return line })
		const over = "\r\x1b[1A\x1b[J"
		require.Equal(t, "a long one\n"+over+"short\n"+over+"short\n", out.String())
		out.Reset()
		s.Draw("the end\n")
		require.Equal(t, "the end\n", out.String(), "the last line stays")
	})
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
	require.Equal(t, "[........................]", Bar(0, 24))
	require.Equal(t, "[############............]", Bar(.5, 24))
	require.Equal(t, "[########]", Bar(7, 8))
}

func TestCheckOut(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, CheckOut(""))
	require.NoError(t, CheckOut(dir+"/plot.svg"))
	require.ErrorContains(t, CheckOut(dir), "is a directory")
	require.ErrorContains(t, CheckOut(dir+"/nothing/plot.svg"), "no such directory")
}

func TestWritePlot(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // on Windows
	text := template.Must(template.New("").Parse("<svg>{{.}}</svg>"))
	for name, want := range map[string]string{"": "program-*.svg", dir + "/named.svg": "named.svg"} {
		var out bytes.Buffer
		require.NoError(t, WritePlot(&out, name, "program", text, 7))
		all, err := filepath.Glob(filepath.Join(dir, want))
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, "\nplot: "+all[0]+"\n", filepath.FromSlash(out.String()))
		written, err := os.ReadFile(all[0])
		require.NoError(t, err)
		require.Equal(t, "<svg>7</svg>", string(written))
	}
	require.Error(t, WritePlot(io.Discard, dir, "program", text, 7))
}

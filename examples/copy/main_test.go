package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func needRings(t *testing.T) {
	if err := uringwake.Supported(); err != nil {
		t.Skip(err)
	}
}

// source makes a file of n random bytes.
func source(t *testing.T, n int) (name string, data []byte) {
	name, data = filepath.Join(t.TempDir(), "from"), make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	require.NoError(t, os.WriteFile(name, data, 0o640))
	return name, data
}

// only requires that the directory of name has nothing but these files.
func only(t *testing.T, name string, files ...string) {
	entries, err := os.ReadDir(filepath.Dir(name))
	require.NoError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.Equal(t, files, got)
}

// TestCopies of all sizes are whole, in every way, and have the permissions of their source.
func TestCopies(t *testing.T) {
	needRings(t)
	ways := map[string]func(context.Context, *job) error{"tasks": byTasks, "kernel": byKernel, "buffer": byBuffer,
		"goroutines": func(ctx context.Context, j *job) error { return j.copy(ctx) }}
	for _, size := range []int{0, 1, 4095, 4096, 4097, 100_000} {
		from, data := source(t, size)
		to := filepath.Join(t.TempDir(), "to")
		for name, copy := range ways {
			j := newJob(&config{tasks: 3, piece: 4, sync: true}, from, to)
			require.NoError(t, copy(t.Context(), j), name)
			got, err := os.ReadFile(to)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got), name)
			info, err := os.Stat(to)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o640), info.Mode())
			require.EqualValues(t, size, j.done.Load(), name)
		}
		only(t, to, "to")
	}
}

// TestCopyThatFails leaves what was there before, and nothing else.
func TestCopyThatFails(t *testing.T) {
	needRings(t)
	from, _ := source(t, 1<<20)
	to := filepath.Join(t.TempDir(), "to")
	require.NoError(t, os.WriteFile(to, []byte("old"), 0o600))
	stopped, stop := context.WithCancelCause(t.Context())
	why := errors.New("a signal")
	stop(why)
	for _, test := range []struct {
		ctx      context.Context
		from, to string
		err      error
	}{
		{t.Context(), from + "none", to, os.ErrNotExist},
		{t.Context(), from, filepath.Join(to, "below"), nil},
		{t.Context(), filepath.Dir(from), to, nil},
		{stopped, from, to, why},
	} {
		err := byTasks(test.ctx, newJob(&config{tasks: 3, piece: 4}, test.from, test.to))
		require.Error(t, err)
		if test.err != nil {
			require.ErrorIs(t, err, test.err)
		}
		old, err := os.ReadFile(to)
		require.NoError(t, err)
		require.Equal(t, "old", string(old))
		only(t, to, "to")
	}
}

// TestSourceThatBecomesShorter is an error, and no copy with zeros at its end.
func TestSourceThatBecomesShorter(t *testing.T) {
	needRings(t)
	from, _ := source(t, 10_000)
	f, _, err := openSource(t.Context(), from)
	require.NoError(t, err)
	defer f.CloseContext(t.Context())
	require.NoError(t, os.Truncate(from, 5000))
	j := newJob(&config{tasks: 2, piece: 4}, from, "")
	j.size.Store(10_000)
	to, err := uringfs.OpenFile(t.Context(), filepath.Join(t.TempDir(), "to"), os.O_WRONLY|os.O_CREATE, 0o600)
	require.NoError(t, err)
	defer to.CloseContext(t.Context())
	require.ErrorContains(t, j.copyPieces(t.Context(), f, to), "has become shorter")
}

func TestProgram(t *testing.T) {
	needRings(t)
	from, _ := source(t, 100_000)
	to := filepath.Join(t.TempDir(), "to")
	for _, args := range [][]string{
		{from, to}, {"-plain", "-compare", "-rounds=1", from, to}, {"-size=1", "-rounds=1"},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, cli.OK, program.Run(t.Context(), args, &stdout, &stderr), stderr.String())
		for line := range strings.Lines(stdout.String()) {
			require.LessOrEqual(t, len(line), 81, line)
		}
	}
	only(t, to, "to")
}

func TestWithoutRings(t *testing.T) {
	var stdout bytes.Buffer
	cfg := &config{supported: func() error { return errors.New("no rings today") }}
	require.NoError(t, work(t.Context(), cfg, &stdout, io.Discard))
	require.Equal(t, "io_uring cannot be used here: no rings today\n", stdout.String())
	cfg.from, cfg.to = "a", "b"
	require.ErrorContains(t, work(t.Context(), cfg, &stdout, io.Discard), "no rings today")
}

func TestFlags(t *testing.T) {
	for _, bad := range []string{"-tasks=0", "-piece=1", "-rounds=0", "-size=0", "one", "one two three", "-x"} {
		_, err := parse(strings.Fields(bad))
		require.Error(t, err, bad)
	}
	c, err := parse([]string{"-sync", "a", "b"})
	require.NoError(t, err)
	require.Equal(t, "b", c.to)
	for line := range strings.Lines(help()) {
		require.LessOrEqual(t, len(line), 81, line)
	}
}

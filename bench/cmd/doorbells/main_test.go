package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rows"
)

func TestBadFlagsGetOneClearLine(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-rounds", "x"}, {"-slice", "-1s"}, {"-nonsense"}, {"extra"}} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, args)
		assert.NotContains(t, err.Error(), "\n", args)
	}
}

func TestHelpIsNoFault(t *testing.T) {
	var help bytes.Buffer
	_, err := parse([]string{"-h"}, &help)
	assert.ErrorIs(t, err, flag.ErrHelp)
	assert.Contains(t, help.String(), "-out")
}

// TestThePageIsWritten checks that every way to wake a loop is measured and is on the page.
func TestThePageIsWritten(t *testing.T) {
	out := filepath.Join(t.TempDir(), "page.md")
	var table bytes.Buffer
	err := run(&options{rounds: 1, slice: time.Millisecond, out: out}, &table, io.Discard)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	text, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Contains(t, string(text), table.String())
	for _, c := range rows.BellCases() {
		assert.Contains(t, table.String(), "| "+strings.Join([]string{c.Doorbell, c.TargetName(), c.Waker}, " | ")+" | ")
	}
	assert.NotContains(t, table.String(), "NaN")
}

func TestALineTellsTheMedianOfItsRounds(t *testing.T) {
	l := &line{names: [3]string{"eventfd", "asleep", "loop"}, samples: []rows.BellSample{
		{Call: 3, P50: 30, P99: 300, Doorbells: 1, Enters: 2},
		{Call: 1, P50: 10, P99: 100, Doorbells: 0, Enters: 0},
		{Call: 2, P50: 20, P99: 200, Doorbells: 0.5, Enters: 1},
	}}
	assert.Contains(t, markdown([]*line{l}), "| eventfd | asleep | loop | 2 | 20 | 200 | 0.50 | 1.00 |\n")
	l.names[2] = "goroutine"
	assert.Contains(t, markdown([]*line{l}), "| 0.50 |  |\n", "a goroutine has no loop")
}

func TestThePageSaysWhatIsMissing(t *testing.T) {
	assert.Contains(t, page(measure.Machine{}, nil, []string{"gcc is not installed"}), "Left out: gcc is not installed")
}

package main

import (
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadFlagsGetOneClearLine(t *testing.T) {
	for _, args := range [][]string{
		{"-procs", "0"}, {"-procs", "two"}, {"-rounds", "0"}, {"-rounds", "x"}, {"-slice", "-1s"},
		{"-rows", "("}, {"-rivals", "nobody"}, {"-nonsense"}, {"extra"},
	} {
		_, err := parse(args, io.Discard)
		require.Error(t, err, args)
		assert.NotContains(t, err.Error(), "\n", args)
	}
}

func TestQuickYieldsToWhatIsSaid(t *testing.T) {
	opt, err := parse([]string{"-quick"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 1, opt.Rounds)
	opt, err = parse([]string{"-quick", "-rounds", "7", "-slice", "3ms"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, 7, opt.Rounds)
	assert.Equal(t, 3*time.Millisecond, opt.Slice)
}

func TestHelpIsNoFault(t *testing.T) {
	_, err := parse([]string{"-h"}, io.Discard)
	assert.ErrorIs(t, err, flag.ErrHelp)
}

func TestProcs(t *testing.T) {
	got, err := parseProcs("1, 2,8")
	require.NoError(t, err)
	assert.Equal(t, []int{1, 2, 8}, got)
}

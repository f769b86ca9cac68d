package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
	assert.Contains(t, help.String(), "-measure")
}

// TestThePageIsCurrent writes docs/scale.md and its plot anew, from the same inputs.
func TestThePageIsCurrent(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("other processors may round a product and a sum at once, and so simulate something else")
	}
	docs, dir := filepath.Join("..", "..", "..", "docs"), t.TempDir()
	file := func(dir, name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(text)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "scale.json"), []byte(file(docs, "scale.json")), 0o644))
	opt, err := parse([]string{"-dir", dir}, io.Discard)
	require.NoError(t, err)
	require.NoError(t, run(opt))
	for _, name := range []string{"scale.md", "scale.svg"} {
		require.Equal(t, file(dir, name), file(docs, name), "go run -C bench ./cmd/scale writes it anew")
	}
}

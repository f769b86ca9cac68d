package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestEachJobIsDoneOnce(t *testing.T) {
	var out bytes.Buffer
	run(&out)
	require.Equal(t, "jobs: 100, done exactly once: 100\n", out.String())
}

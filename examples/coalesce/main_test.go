package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestCallersShareOneLoad(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out))
	require.Equal(t, "loads: 1, callers served: 100\nloads: 2, callers served: 200\n", out.String())
}

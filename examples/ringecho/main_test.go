package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestClientGetsItsEcho(t *testing.T) {
	var out bytes.Buffer
	run(t.Context(), &out)
	if err := uringwake.Supported(); err != nil {
		require.Equal(t, "io_uring cannot be used here: "+err.Error()+"\n", out.String())
		return
	}
	require.Equal(t, "sent hello, got back hello\n", out.String())
}

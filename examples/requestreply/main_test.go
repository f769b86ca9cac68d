package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestEachCallerGetsItsReply(t *testing.T) {
	var out bytes.Buffer
	run(&out)
	require.Equal(t, "reply to request 0, error: <nil>\nreply to request 1, error: <nil>\nreply to request 2, error: <nil>\n", out.String())
}

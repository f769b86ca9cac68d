package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestFirstErrorEndsAllStages(t *testing.T) {
	var out bytes.Buffer
	run(&out)
	require.Equal(t, "sum: 285\nerror: strconv.Atoi: parsing \"four\": invalid syntax\n", out.String())
}

func TestContextEndsAllStages(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := squares(ctx, []string{"1"})
	require.ErrorIs(t, err, context.Canceled)
}

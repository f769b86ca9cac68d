package main

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestDeadlineCutsOffWhatIsInFlight runs in a bubble, where the clock only moves
// while every goroutine sleeps: the quick requests are done before the deadline.
func TestDeadlineCutsOffWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, run(&out))
		require.Equal(t, "out of time, requests in flight: 1\nshut down, requests in flight: 0\n", out.String())
	})
}

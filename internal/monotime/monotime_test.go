package monotime_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/monotime"
)

func TestNow(t *testing.T) {
	first := monotime.Now()
	require.Positive(t, first)
	require.GreaterOrEqual(t, monotime.Now(), first)
}

// TestBubble: the clock of a bubble begins before the program's, and Time is right in it.
func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, ns := time.Now(), monotime.Now()
		require.Negative(t, ns)
		time.Sleep(time.Hour)
		require.Equal(t, int64(time.Hour), monotime.Now()-ns)
		require.True(t, start.Equal(monotime.Time(ns)))
	})
}

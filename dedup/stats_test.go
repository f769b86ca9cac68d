package dedup_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
)

// TestLoadsAreCountedBeforeOnLoad: an OnLoad that takes long does not delay the counts of
// the other keys.
func TestLoadsAreCountedBeforeOnLoad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newCache(t, loadOne(""), &options{LoadMany: loadAll(false), OnLoad: func(dedup.LoadInfo[string]) { time.Sleep(time.Hour) }})
		_, err := c.GetMany(bg, abc)
		require.NoError(t, err)
		synctest.Wait()
		require.EqualValues(t, len(abc), c.Stats().Loads)
		time.Sleep(4 * time.Hour)
	})
}

// TestACallerFindsItsLoadCounted: a caller that has the result of a load finds it in the
// counts.
func TestACallerFindsItsLoadCounted(t *testing.T) {
	c := newCache(t, loadOne(""), &options{LoadMany: loadAll(false)})
	for n := range uint64(testkit.Scale(20_000, 2000)) {
		_, err := c.Get(bg, "k")
		require.NoError(t, err)
		require.Equal(t, n+1, c.Stats().Loads)
		c.Invalidate("k")
	}
}

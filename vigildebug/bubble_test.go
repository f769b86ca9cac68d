package vigildebug_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/vigildebug"
	"github.com/vigil-go/vigil/waitmap"
)

var (
	packageLevel    vigildebug.Registry
	packageLevelMap waitmap.Map[string, int]
)

// TestPackageLevelInBubbles: a registry and what is registered are read outside
// and in bubbles, whose clock is another.
func TestPackageLevelInBubbles(t *testing.T) {
	defer vigildebug.Map("m", &packageLevelMap, vigildebug.In(&packageLevel), vigildebug.ShowKeys())()
	look := func(t *testing.T) {
		f := packageLevelMap.Register("k", nil)
		defer f.Stop()
		require.Equal(t, "k", find(t, page(t, &packageLevel), "map m").rows[0][0])
		require.Len(t, jsonOf(t, &packageLevel).Things[0].Waits, 1)
	}
	for range 2 {
		look(t)
		synctest.Test(t, func(t *testing.T) {
			look(t)
			time.Sleep(time.Hour)
			look(t)
		})
	}
}

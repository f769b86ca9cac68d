package linear_test

import (
	"runtime"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/cornelk/hashmap"
	"github.com/stretchr/testify/require"
)

// cornelk is a map with a known fault: cornelk/hashmap v1.0.8.
type cornelk struct {
	store // nil: cornelk has four of a Map's methods
	m     *hashmap.Map[int, int]
}

func (c cornelk) Load(k int) (int, bool)           { return c.m.Get(k) }
func (c cornelk) Store(k, v int)                   { c.m.Set(k, v) }
func (c cornelk) Delete(k int)                     { c.m.Del(k) }
func (c cornelk) LoadOrStore(k, v int) (int, bool) { return c.m.GetOrInsert(k, v) }

func newCornelk() store { return cornelk{m: hashmap.New[int, int]()} }

func badPlan(m store, mix string, keys int) plan {
	p := mapPlan(m, mix)
	p.keys, p.rounds, p.perRound = keys, 4, 20
	return p
}

// TestConvictsKnownBadMap checks that histories of several goroutines that write to
// cornelk/hashmap show that it lost or revived an entry. Del and GetOrInsert are
// not combined, because it may then search for ever. With the same calls a
// waitmap.Map is accepted.
func TestConvictsKnownBadMap(t *testing.T) {
	const writers = 4 // on one processor they would rarely overlap
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(writers, runtime.GOMAXPROCS(0))))
	for _, test := range []struct {
		name, mix string
		keys      int
	}{
		{"Set and Del", "Load Load Store Store Delete", 3},
		{"GetOrInsert", "Load Load LoadOrStore", 24},
	} {
		t.Run(test.name, func(t *testing.T) {
			const enough = 20000
			for i := range int64(enough) {
				seed := *seedFlag + i
				mapSpec.requireExplained(t, seed, inBubble(t, badPlan(stores[0].make(), test.mix, test.keys), seed))
				verdict, k := mapSpec.judge(inBubble(t, badPlan(newCornelk(), test.mix, test.keys), seed))
				if verdict == porcupine.Ok {
					continue
				}
				require.Equal(t, porcupine.Illegal, verdict)
				t.Logf("convicted by history %d, key %d, seed %d", i+1, k, seed)
				return
			}
			t.Errorf("acquitted after %d histories, seed %d", enough, *seedFlag)
		})
	}
}

//go:build !wasm

package diskstore

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever was saved, replaced and deleted, the file is taken for a whole one when it is opened
// again, and has that and nothing else.
func TestWholeFilesAreTakenForThat(t *testing.T) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 3))
		dir, model := t.TempDir(), map[string]int{}
		keys := []int{3, 40, 400}[seed%3]
		for range 8 {
			s := open(t, dir, 0)
			_, err := os.Stat(filepath.Join(dir, fileName+".damaged"))
			require.ErrorIs(t, err, os.ErrNotExist, "seed %d", seed)
			requireModel(t, s, model)
			for range keys / 2 {
				key := strings.Repeat(fmt.Sprint("k", random.IntN(keys)), 1+random.IntN(4))
				if random.IntN(3) == 0 {
					require.NoError(t, s.Delete(key))
					delete(model, key)
					continue
				}
				n := random.IntN([]int{100, 3000, 9000, 10, 500, 2 * chunkSize}[random.IntN(6)])
				require.NoError(t, s.Save(key, fmt.Append(nil, n), strings.NewReader(sized(n))))
				model[key] = n
			}
			if random.IntN(4) == 0 {
				for _, key := range slices.Sorted(maps.Keys(model)) {
					require.NoError(t, s.Delete(key))
				}
				clear(model)
			}
			require.NoError(t, s.Close())
		}
	}
}

func requireModel(t *testing.T, s *Store, model map[string]int) {
	require.Equal(t, len(model), s.Len())
	for key, n := range model {
		head, body, size, err := s.Load(key)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(n), string(head))
		require.EqualValues(t, n, size)
		b, err := io.ReadAll(body)
		require.NoError(t, err)
		require.True(t, sized(n) == string(b))
		require.NoError(t, body.Close())
	}
}

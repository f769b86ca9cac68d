//go:build !wasm

package diskstore

import (
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

// fill makes all changes of the file fail, as if the disk were full, until the function that
// it returns is called.
func fill(t *testing.T, s *Store) (free func()) {
	tx, err := s.db.Begin(false) // what is deleted from now on cannot be used again
	require.NoError(t, err)
	s.db.MaxSize = 1
	for err = nil; err == nil; {
		err = s.update(func(tx *bolt.Tx) error { return tx.Bucket(chunks).Put([]byte("fill"), nil) })
	}
	free = sync.OnceFunc(func() {
		s.db.MaxSize = 0
		require.NoError(t, tx.Rollback())
	})
	t.Cleanup(free)
	return free
}

// What could not be deleted or replaced is still there, and can be later.
func TestFailedChangesChangeNothing(t *testing.T) {
	for _, readers := range []bool{false, true} {
		dir := t.TempDir()
		s := open(t, dir, 10_000)
		require.NoError(t, s.Save("k", []byte("old"), strings.NewReader(sized(4000))))
		require.NoError(t, s.Save("l", []byte("old"), strings.NewReader(sized(4000))))
		var body io.ReadCloser
		if readers {
			var err error
			_, body, _, err = s.Load("k")
			require.NoError(t, err)
		}
		free := fill(t, s)
		require.Error(t, s.Delete("k"))
		require.Error(t, s.Save("k", []byte("new"), strings.NewReader("")))
		require.Error(t, s.Save("m", []byte("new"), strings.NewReader(sized(9999))))
		if readers {
			require.NoError(t, body.Close())
		}
		for _, key := range []string{"k", "l"} {
			head, got := load(t, s, key)
			require.Equal(t, "old", head)
			require.True(t, sized(4000) == got)
		}
		require.Equal(t, 2, s.Len())
		free()
		require.NoError(t, s.Delete("k"))
		require.NoError(t, s.Close())
		s = open(t, dir, 10_000)
		requireAbsent(t, s, "k")
		load(t, s, "l")
		require.Equal(t, 1, s.Len())
		require.Equal(t, 1, countChunks(t, s))
	}
}

// Who looks for what is being replaced finds one or the other.
func TestWhatIsReplacedIsNeverAbsent(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	require.NoError(t, s.Save("k", nil, strings.NewReader("x")))
	done := make(chan bool)
	go func() {
		defer close(done)
		for range 500 {
			if err := s.Save("k", nil, strings.NewReader("x")); err != nil {
				t.Error(err)
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		_, body := load(t, s, "k")
		require.Equal(t, "x", body)
	}
}

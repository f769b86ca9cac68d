//go:build !wasm

package diskstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, dir string, max int64) *Store {
	s, err := Open(dir, &Options{MaxBytes: max, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func load(t *testing.T, s *Store, key string) (head, body string) {
	h, r, size, err := s.Load(key)
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.EqualValues(t, len(b), size)
	return string(h), string(b)
}

func requireAbsent(t *testing.T, s *Store, key string) {
	head, body, size, err := s.Load(key)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Nil(t, head)
	require.Nil(t, body)
	require.Zero(t, size)
}

// sized returns a body of n bytes, which repeats nothing.
func sized(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return string(b)
}

func TestSavedIsLoadedAgain(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	requireAbsent(t, s, "k")
	for _, n := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 20*chunkSize + 7} {
		require.NoError(t, s.Save("k", []byte("head"), strings.NewReader(sized(n))))
		head, body := load(t, s, "k")
		require.Equal(t, "head", head)
		require.Equal(t, sized(n), body)
		require.EqualValues(t, n+len("k")+len("head"), s.Bytes())
		require.Equal(t, 1, s.Len())
	}
}

func TestBodyIsAnOrdinaryReader(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	content := sized(2*chunkSize + 5)
	require.NoError(t, s.Save("k", nil, strings.NewReader(content)))
	_, body, _, err := s.Load("k")
	require.NoError(t, err)
	defer body.Close()
	require.NoError(t, iotest.TestReader(body, []byte(content)))
}

func TestStoreOutlivesItsProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	require.NoError(t, s.Save("a", []byte("1"), strings.NewReader("one")))
	require.NoError(t, s.Save("b", []byte("2"), strings.NewReader(sized(3*chunkSize))))
	require.NoError(t, s.Delete("a"))
	require.NoError(t, s.Close())
	s = open(t, dir, 0)
	requireAbsent(t, s, "a")
	head, body := load(t, s, "b")
	require.Equal(t, "2", head)
	require.Equal(t, sized(3*chunkSize), body)
	require.Equal(t, map[string][]byte{"b": []byte("2")}, maps.Collect(s.Heads()))
}

func TestDeletedIsAbsentAndCanStillBeRead(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	content := sized(3 * chunkSize)
	require.NoError(t, s.Delete("never"))
	for _, end := range []func(){
		func() { require.NoError(t, s.Delete("k")) },
		func() { require.NoError(t, s.Save("k", nil, strings.NewReader("other"))) },
	} {
		require.NoError(t, s.Save("k", nil, strings.NewReader(content)))
		_, body, _, err := s.Load("k")
		require.NoError(t, err)
		end()
		got, err := io.ReadAll(body)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
		require.NoError(t, body.Close())
		require.NoError(t, body.Close(), "a second Close")
		_, err = body.Read(make([]byte, 1))
		require.ErrorIs(t, err, fs.ErrClosed)
	}
	require.Equal(t, 1, countChunks(t, s), "the chunk of what is there")
}

func TestWhatWasNotUsedMakesRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10_000)
	for _, key := range []string{"a", "b", "c"} {
		require.NoError(t, s.Save(key, nil, strings.NewReader(sized(3000))))
	}
	load(t, s, "a")
	require.NoError(t, s.Save("d", nil, strings.NewReader(sized(3000))))
	requireAbsent(t, s, "b")
	require.Equal(t, []string{"a", "c", "d"}, slices.Sorted(maps.Keys(maps.Collect(s.Heads()))))
	require.Error(t, s.Save("e", nil, strings.NewReader(sized(10_001))))
	require.Equal(t, 3, s.Len(), "nothing made room for what is too large")
	require.Equal(t, 3, countChunks(t, s))

	require.NoError(t, s.Close())
	s = open(t, dir, 4000)
	require.NoError(t, s.Save("f", nil, strings.NewReader("x")))
	require.LessOrEqual(t, s.Bytes(), int64(4000))
	load(t, s, "f")
}

// A new process takes what was saved first for what was not used for the longest time.
func TestWhatWasSavedFirstMakesRoomAfterRestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10_000)
	for _, key := range []string{"c", "a", "d", "b"} {
		require.NoError(t, s.Save(key, nil, strings.NewReader(sized(2000))))
	}
	require.NoError(t, s.Close())
	s = open(t, dir, 10_000)
	require.NoError(t, s.Save("e", nil, strings.NewReader(sized(5000))))
	require.Equal(t, []string{"b", "d", "e"}, slices.Sorted(maps.Keys(maps.Collect(s.Heads()))))
}

// Close waits for calls that are under way; later ones fail.
func TestCloseMayComeAtAnyTime(t *testing.T) {
	for round := range 20 {
		s := open(t, t.TempDir(), 1_000_000)
		var all sync.WaitGroup
		for g := range 6 {
			all.Go(func() {
				for i := 0; ; i++ {
					key := fmt.Sprint((i + g) % 9)
					err := s.Save(key, nil, strings.NewReader(sized(30_000)))
					if _, body, _, lost := s.Load(key); lost == nil {
						io.Copy(io.Discard, body)
						body.Close()
					}
					if err != nil {
						if !errors.Is(err, fs.ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		for s.Len() < round%9 {
			runtime.Gosched()
		}
		require.NoError(t, s.Close())
		all.Wait()
	}
}

func TestBodyThatFailsLeavesWhatWasThere(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	require.NoError(t, s.Save("k", nil, strings.NewReader("good")))
	broken := errors.New("broken")
	long := strings.NewReader(sized(chunksAtOnce*chunkSize + 1)) // a part of it is written
	require.ErrorIs(t, s.Save("k", nil, io.MultiReader(long, iotest.ErrReader(broken))), broken)
	require.Panics(t, func() { s.Save("k", nil, faulty(func() { panic("oh") })) })
	done := make(chan bool)
	go func() {
		defer close(done)
		s.Save("k", nil, faulty(runtime.Goexit))
	}()
	<-done
	_, body := load(t, s, "k")
	require.Equal(t, "good", body)
	require.Equal(t, 1, countChunks(t, s))
}

type faulty func()

func (f faulty) Read([]byte) (int, error) { f(); return 0, nil }

func countChunks(t *testing.T, s *Store) (n int) {
	tx, err := s.db.Begin(false)
	require.NoError(t, err)
	defer tx.Rollback()
	return tx.Bucket(chunks).Stats().KeyN
}

func TestBadKeysAreErrors(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	for _, key := range []string{"", strings.Repeat("k", 1<<20)} {
		require.Error(t, s.Save(key, nil, strings.NewReader("")))
		requireAbsent(t, s, key)
		require.NoError(t, s.Delete(key))
	}
}

func TestBadOptionsAndDirectories(t *testing.T) {
	_, err := Open(t.TempDir(), &Options{MaxBytes: -1})
	require.ErrorContains(t, err, "diskstore: MaxBytes is negative: -1")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Open(file, nil)
	require.ErrorContains(t, err, "diskstore: ")
}

func TestOneStoreAtATimeHasTheDirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, 0)
	_, err := Open(dir, nil)
	require.ErrorContains(t, err, "another process has the store open")
}

func TestClosedStoreSaysSo(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	require.NoError(t, s.Save("k", nil, strings.NewReader("body")))
	_, body, _, err := s.Load("k")
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	_, err = body.Read(make([]byte, 1))
	require.ErrorIs(t, err, fs.ErrClosed)
	require.NoError(t, body.Close())
	_, _, _, err = s.Load("k")
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, s.Save("k", nil, strings.NewReader("")), fs.ErrClosed)
	require.ErrorIs(t, s.Delete("k"), fs.ErrClosed)
	require.Empty(t, maps.Collect(s.Heads()))
}

// However the file is damaged, what is loaded is what was saved.
func TestDamageIsAMiss(t *testing.T) {
	for seed := range uint64(15) {
		random := rand.New(rand.NewPCG(seed, 0))
		dir := t.TempDir()
		s := open(t, dir, 0)
		for i := range 20 {
			require.NoError(t, s.Save(fmt.Sprint(i), []byte("head"), strings.NewReader(sized(i*10_000))))
		}
		require.NoError(t, s.Close())
		damage(t, filepath.Join(dir, fileName), random)

		s, err := Open(dir, &Options{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err, "seed %d", seed)
		for i := range 20 {
			head, body, _, err := s.Load(fmt.Sprint(i))
			if err != nil {
				require.ErrorIs(t, err, fs.ErrNotExist)
				continue
			}
			require.Equal(t, "head", string(head))
			b, err := io.ReadAll(body)
			require.NoError(t, err)
			require.True(t, sized(i*10_000) == string(b), "seed %d, key %d", seed, i)
			require.NoError(t, body.Close())
		}
		s.Close() // the damage may keep it from ending well
	}
}

// damage overwrites a few bytes, zeroes a page, or cuts the end off.
func damage(t *testing.T, path string, random *rand.Rand) {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	switch random.IntN(3) {
	case 0:
		for range 1 + random.IntN(50) {
			b[random.IntN(len(b))] ^= byte(1 + random.IntN(255))
		}
	case 1:
		at := random.IntN(len(b)-4096) &^ 4095
		clear(b[at : at+4096])
	case 2:
		b = b[:random.IntN(len(b))]
	}
	require.NoError(t, os.WriteFile(path, b, 0o600))
}

func TestCallsAtOnce(t *testing.T) {
	s := open(t, t.TempDir(), 3_000_000)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			for range 60 {
				n := random.IntN(8)
				key, content := fmt.Sprint(n), sized(n*100_000)
				switch random.IntN(4) {
				case 0:
					if err := s.Save(key, []byte(key), strings.NewReader(content)); err != nil {
						t.Error(err)
					}
				case 1:
					if err := s.Delete(key); err != nil {
						t.Error(err)
					}
				default:
					head, body, _, err := s.Load(key)
					if errors.Is(err, fs.ErrNotExist) {
						continue
					}
					got, err := io.ReadAll(body)
					if err != nil || !bytes.Equal(got, []byte(content)) || string(head) != key {
						t.Errorf("key %s: %d bytes, %v", key, len(got), err)
					}
					body.Close()
				}
			}
		})
	}
	all.Wait()
}

//go:build !wasm

package diskstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/vigil-go/vigil/internal/testkit"
)

// damages are what may become of one page of a file: at is where it begins.
var damages = []func(file []byte, at int, random *rand.Rand) []byte{
	func(file []byte, at int, random *rand.Rand) []byte { // some bytes of its header or elements
		for range 1 + random.IntN(3) {
			file[at+random.IntN(128)] ^= byte(1 << random.IntN(8))
		}
		return file
	},
	func(file []byte, at int, random *rand.Rand) []byte { // any bytes
		for range 1 + random.IntN(20) {
			file[at+random.IntN(pageSize)] ^= byte(1 + random.IntN(255))
		}
		return file
	},
	func(file []byte, at int, _ *rand.Rand) []byte { clear(file[at : at+pageSize]); return file },
	func(file []byte, at int, random *rand.Rand) []byte { // another page, torn
		n := 512 * (1 + random.IntN(pageSize/512))
		copy(file[at:at+n], file[random.IntN(len(file)/pageSize)*pageSize:])
		return file
	},
	func(file []byte, at int, random *rand.Rand) []byte { // a number that leads to any page
		binary.LittleEndian.PutUint64(file[at+8*random.IntN(32):], uint64(random.IntN(len(file)/pageSize)))
		return file
	},
	func(file []byte, at int, random *rand.Rand) []byte { return file[:at+random.IntN(pageSize)] },
}

const pageSize = 4096

// Whichever page of the file is damaged, what is loaded is what was saved; nothing panics or
// waits for ever; and there is a store again in the end.
func TestDamageOfAnyPage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	s := open(t, dir, 0)
	for i := range 150 {
		require.NoError(t, s.Save(numbered(i), headOf(i), strings.NewReader(sized(bodyOf(i)))))
	}
	for i := range 40 {
		require.NoError(t, s.Delete(numbered(i*3)))
	}
	require.NoError(t, s.Close())
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	step := pageSize * testkit.Scale(1, 4)
	for at := 0; at+pageSize <= len(good); at += step {
		how := random.IntN(len(damages))
		require.NoError(t, os.WriteFile(path, damages[how](bytes.Clone(good), at, random), 0o600))
		useDamaged(t, dir, fmt.Sprintf("page %d, damage %d", at/pageSize, how))
	}
}

func numbered(i int) string { return fmt.Sprintf("key %04d %s", i, strings.Repeat("k", i)) }
func headOf(i int) []byte   { return []byte(sized(100 + i)) }
func bodyOf(i int) int      { return i % 5 * 700 }

// useDamaged uses a damaged store in every way, and then makes sure of a good one.
func useDamaged(t *testing.T, dir, what string) {
	for turn := range 3 {
		s, err := Open(dir, &Options{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err, what)
		requireNothingWrong(t, s, what)
		var failed error
		for i := range 20 {
			err := s.Save(numbered(i*7), headOf(i*7), strings.NewReader(sized(bodyOf(i*7))))
			if err == nil {
				err = s.Delete(numbered(i * 5))
			}
			if err != nil {
				failed = err
			}
		}
		for key, head := range s.Heads() {
			require.True(t, len(head) >= 100 && strings.HasPrefix(key, "key "), what)
		}
		requireNothingWrong(t, s, what)
		if failed == nil {
			require.NoError(t, s.Close(), what)
		} else {
			s.Close()
			require.Less(t, turn, 2, "%s: %v", what, failed)
		}
	}
}

func requireNothingWrong(t *testing.T, s *Store, what string) {
	for i := range 150 {
		head, body, _, err := s.Load(numbered(i))
		if err != nil {
			continue
		}
		require.True(t, bytes.Equal(headOf(i), head), what)
		b, err := io.ReadAll(body)
		if err == nil {
			require.True(t, sized(bodyOf(i)) == string(b), what)
		}
		require.NoError(t, body.Close())
	}
	_, _, _, err := s.Load("none")
	require.Error(t, err)
}

// What is whole but under another key was not saved under that.
func TestBytesOfAnotherKeyAreAMiss(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	for _, key := range []string{"a", "b"} {
		require.NoError(t, s.Save(key, []byte("head of "+key), strings.NewReader(sized(chunkSize)+key)))
	}
	a, b := s.entries["a"], s.entries["b"]
	require.NoError(t, s.update(func(tx *bolt.Tx) error {
		chunk := bytes.Clone(tx.Bucket(chunks).Get(chunkKey(b.id, 1)))
		return tx.Bucket(chunks).Put(chunkKey(a.id, 1), chunk)
	}))
	requireAbsent(t, s, "a")
	require.NoError(t, s.update(func(tx *bolt.Tx) error {
		record := bytes.Clone(tx.Bucket(heads).Get([]byte("b")))
		return tx.Bucket(heads).Put([]byte("c"), record)
	}))
	s.add(&entry{key: "c", id: b.id})
	requireAbsent(t, s, "c")
	require.Equal(t, map[string][]byte{"b": []byte("head of b")}, maps.Collect(s.Heads()))
}

// A file that the system does not let us use is not taken for damaged.
func TestErrorsOfTheSystemLeaveTheFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, fileName, "content"), 0o700))
	_, err := Open(dir, nil)
	require.Error(t, err)
	require.DirExists(t, filepath.Join(dir, fileName, "content"))
}

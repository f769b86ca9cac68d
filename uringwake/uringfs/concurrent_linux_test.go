package uringfs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// together runs f(ctx, 0) to f(ctx, n-1) at the same time, every other one in a task of
// one loop and the rest in goroutines.
func together(t testing.TB, n int, f func(ctx context.Context, i int)) {
	l := newLoop(t)
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		run := func(ctx context.Context) {
			defer wg.Done()
			f(ctx, i)
		}
		if i%2 == 0 {
			require.NoError(t, l.Go(context.Background(), run))
		} else {
			go run(context.Background())
		}
	}
	wg.Wait()
}

// records returns n records of 8 bytes with the numbers from 0.
func records(n int) (data []byte) {
	for i := range n {
		data = binary.LittleEndian.AppendUint64(data, uint64(i))
	}
	return data
}

// TestConcurrentReadsShareAFile reads it at its position: each record is read once.
func TestConcurrentReadsShareAFile(t *testing.T) {
	skipWithoutRing(t)
	n := testkit.Scale(20000, 2000)
	f := open(t, context.Background(), tempFile(t, string(records(n))), os.O_RDONLY)
	var mu sync.Mutex
	seen := make(map[uint64]int)
	together(t, 4, func(ctx context.Context, i int) {
		p := make([]byte, 8*(1+i))
		for {
			n, err := f.ReadContext(ctx, p)
			mu.Lock()
			for q := p[:n]; len(q) > 0; q = q[8:] {
				seen[binary.LittleEndian.Uint64(q)]++
			}
			mu.Unlock()
			if err != nil {
				require.Equal(t, io.EOF, err)
				return
			}
		}
	})
	require.Len(t, seen, n)
	for record, times := range seen {
		require.Equal(t, 1, times, record)
	}
}

// TestConcurrentWritesAreWhole writes at the position, with O_APPEND, and to a pipe whose
// room is smaller than a write.
func TestConcurrentWritesAreWhole(t *testing.T) {
	skipWithoutRing(t)
	const writers, size = 4, 100_000
	rounds := testkit.Scale(20, 4)
	write := func(files ...*uringfs.File) {
		together(t, writers, func(ctx context.Context, i int) {
			p := bytes.Repeat([]byte{byte('a' + i)}, size)
			for range rounds {
				n, err := files[i%len(files)].WriteContext(ctx, p)
				require.NoError(t, err)
				require.Equal(t, size, n)
			}
		})
	}
	whole := func(r io.Reader) {
		count := make(map[byte]int)
		p := make([]byte, size)
		for range writers * rounds {
			_, err := io.ReadFull(r, p)
			require.NoError(t, err)
			require.Equal(t, p, bytes.Repeat(p[:1], size))
			count[p[0]]++
		}
		for _, n := range count {
			require.Equal(t, rounds, n)
		}
	}
	ctx := context.Background()
	for _, flag := range []int{0, os.O_APPEND} {
		name := tempFile(t, "")
		files := []*uringfs.File{open(t, ctx, name, os.O_WRONLY|flag)}
		if flag != 0 {
			files = append(files, open(t, ctx, name, os.O_WRONLY|flag))
		}
		write(files...)
		whole(open(t, ctx, name, os.O_RDONLY))
	}
	r, w := pipe(t)
	var wg sync.WaitGroup
	wg.Go(func() { whole(r) })
	write(w)
	wg.Wait()
}

// TestConcurrentReadAtAndWriteAt use parts of one file, and the position stays.
func TestConcurrentReadAtAndWriteAt(t *testing.T) {
	skipWithoutRing(t)
	const part = 10_000
	f := open(t, context.Background(), tempFile(t, ""), os.O_RDWR)
	together(t, 6, func(ctx context.Context, i int) {
		for round := range testkit.Scale(200, 30) {
			want := bytes.Repeat([]byte{byte(i), byte(round)}, part/2)
			_, err := f.WriteAtContext(ctx, want, int64(i)*part)
			require.NoError(t, err)
			got := make([]byte, part)
			_, err = f.ReadAtContext(ctx, got, int64(i)*part)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	})
	pos, err := f.Seek(0, io.SeekCurrent)
	require.NoError(t, err)
	require.Zero(t, pos)
}

// TestCachedReadsLetOtherTasksRun although none of them waits.
func TestCachedReadsLetOtherTasksRun(t *testing.T) {
	skipWithoutRing(t)
	f := open(t, context.Background(), tempFile(t, "text"), os.O_RDONLY)
	l := newLoop(t)
	other := false // one thread needs no lock
	done := make(chan error, 1)
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) {
		var err error
		for !other && err == nil {
			_, err = f.ReadAt(make([]byte, 4), 0)
		}
		done <- err
	}))
	require.NoError(t, l.Go(context.Background(), func(context.Context) { other = true }))
	require.NoError(t, <-done)
}

// TestNothingIsAllocated by transfers of regular files, nor by those of pipes in tasks.
func TestNothingIsAllocated(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector allocates")
	}
	bothWorlds(t, func(t *testing.T, ctx context.Context) {
		f := open(t, ctx, tempFile(t, strings.Repeat("x", 4096)), os.O_RDWR)
		r, w := pipe(t)
		p := make([]byte, 4096)
		for name, do := range map[string]func() (int, error){
			"ReadAt":      func() (int, error) { return f.ReadAtContext(ctx, p, 0) },
			"WriteAt":     func() (int, error) { return f.WriteAtContext(ctx, p, 0) },
			"ReadAt bare": func() (int, error) { return f.ReadAt(p, 0) },
			"Write":       func() (int, error) { return f.WriteContext(ctx, p[:10]) },
			"WriteString": func() (int, error) { return f.WriteString("text") },
			"Seek, Read": func() (int, error) {
				if _, err := f.SeekContext(ctx, 0, io.SeekStart); err != nil {
					return 0, err
				}
				return f.ReadContext(ctx, p)
			},
			"pipe": func() (int, error) {
				if _, err := w.WriteContext(ctx, p); err != nil {
					return 0, err
				}
				return r.ReadContext(ctx, p)
			},
		} {
			if name == "pipe" && uringwake.TaskFrom(ctx) == nil && !pipesKnowNowait(t) {
				continue // before Linux 6.12 a worker may transfer
			}
			n := allocsPerRun(func() {
				if n, err := do(); n == 0 || err != nil {
					t.Error(name, n, err)
				}
			})
			require.Zero(t, n, name)
		}
	})
}

func pipesKnowNowait(t *testing.T) bool {
	var fds [2]int
	require.NoError(t, unix.Pipe2(fds[:], unix.O_CLOEXEC))
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	_, err := unix.Preadv2(fds[0], [][]byte{{0}}, -1, unix.RWF_NOWAIT)
	return err == unix.EAGAIN
}

// allocsPerRun is testing.AllocsPerRun, but leaves GOMAXPROCS alone, under which the loop runs.
func allocsPerRun(f func()) uint64 {
	const runs = 200
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.Mallocs - before.Mallocs) / runs
}

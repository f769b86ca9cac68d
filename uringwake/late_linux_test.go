package uringwake_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// patience is the time after which a test fails and says what did not come. A test that
// passes never waits for it.
const patience = 10 * time.Second

// An operation that has completed returns, whatever the thread that submitted it
// does next.
func TestCompletionsOutrunTheirThread(t *testing.T) {
	newLoop(t, nil)
	for _, c := range interrupted(t) {
		t.Run(c.name, func(t *testing.T) {
			err, onTime := whileThreadSleeps(t, c.op, func(context.CancelFunc) { c.end() })
			require.True(t, onTime, "it waited for the thread")
			require.NoError(t, err)
		})
	}
	t.Run("cold read", func(t *testing.T) {
		f := newColdFile(t, 64)
		for page := range f.pages {
			err, onTime := whileThreadSleeps(t, func(ctx context.Context) error {
				_, err := uringwake.Read(ctx, f.fd, make([]byte, 8), f.offset(page))
				return err
			}, func(context.CancelFunc) {})
			require.True(t, onTime, "it waited for the thread")
			require.NoError(t, err)
		}
	})
}

// So does one whose context ends.
func TestCancelsOutrunTheirThread(t *testing.T) {
	newLoop(t, nil)
	for _, c := range interrupted(t) {
		if c.name == "sleep" {
			c.op = func(ctx context.Context) error { return uringwake.Sleep(ctx, time.Hour) }
		}
		t.Run(c.name+", canceled", func(t *testing.T) {
			err, onTime := whileThreadSleeps(t, c.op, func(cancel context.CancelFunc) { cancel() })
			require.True(t, onTime, "it waited for the thread")
			require.ErrorIs(t, err, context.Canceled)
		})
		t.Run(c.name+", deadline", func(t *testing.T) {
			err, onTime := whileThreadSleeps(t, func(ctx context.Context) error {
				ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
				return c.op(ctx)
			}, func(context.CancelFunc) {})
			require.True(t, onTime, "it waited for the thread")
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

// needPopulate skips the test where madvise does not know MADV_POPULATE_WRITE. It asks
// for no page at address 0, since [unix.Madvise] of an empty slice passes an address
// that is refused in any case.
func needPopulate(t *testing.T) {
	t.Helper()
	if _, _, e := unix.Syscall(unix.SYS_MADVISE, 0, 0, unix.MADV_POPULATE_WRITE); e == unix.EINVAL {
		t.Skip("before Linux 5.14's madvise no call sleeps that nothing interrupts")
	}
}

// whileThreadSleeps runs op. The thread that it started on then sleeps, and nothing
// interrupts it; meanwhile end is called. It returns op's error, and whether op
// returned before the thread was woken.
func whileThreadSleeps(t *testing.T, op func(context.Context) error, end func(context.CancelFunc)) (err error, onTime bool) {
	t.Helper()
	needPopulate(t)
	m := newMissingPage(t)
	require.NoError(t, uringwake.Nop(context.Background())) // op will not have to make a ring first
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the last one started runs next, on the thread that is left
	result, slept := make(chan error, 1), make(chan error, 1)
	go func() {
		go func() { slept <- unix.Madvise(m.page, unix.MADV_POPULATE_WRITE) }()
		result <- op(ctx)
	}()
	require.NoError(t, m.awaitTouch())
	end(cancel)
	select {
	case err = <-result:
		onTime = true
		require.NoError(t, m.fill())
	case <-time.After(patience):
		require.NoError(t, m.fill())
		err = <-result
	}
	require.NoError(t, <-slept)
	return err, onTime
}

// A cold read succeeds though the thread that submitted it has exited.
func TestColdReadsOutliveTheirThread(t *testing.T) {
	newLoop(t, nil)
	f := newColdFile(t, 512)
	ctx, cancel := context.WithCancel(context.Background()) // without an end, the goroutine would wait in its own thread
	defer cancel()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the last one started runs next, on the thread that is left
	over := make(chan struct{})
	defer close(over)
	for i, page := range rand.Perm(f.pages) {
		go endThread(over)
		p := make([]byte, 8)
		n, err := uringwake.Read(ctx, f.fd, p, f.offset(page))
		require.NoError(t, err, "read %d", i)
		require.Equal(t, f.content(page), string(p[:n]))
	}
}

// endThread ends the thread that it runs on; or keeps it, if that is the main
// one, which never ends.
func endThread(over <-chan struct{}) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		defer runtime.UnlockOSThread()
		<-over
	}
}

// A coldFile has pages that are not in memory.
type coldFile struct{ fd, pages int }

func (coldFile) offset(page int) int64 { return int64(page * os.Getpagesize()) }

func (coldFile) content(page int) string { return fmt.Sprintf("%8d", page) }

// newColdFile skips where files are always in memory.
func newColdFile(t testing.TB, pages int) coldFile {
	t.Helper()
	file, err := os.Create(t.TempDir() + "/cold")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	f := coldFile{int(file.Fd()), pages}
	err = unix.Fallocate(f.fd, 0, 0, f.offset(pages))
	if err == unix.EOPNOTSUPP { // then the writes do
		err = file.Truncate(f.offset(pages))
	}
	require.NoError(t, err)
	for i := range pages {
		_, err := file.WriteAt([]byte(f.content(i)), f.offset(i))
		require.NoError(t, err)
	}
	require.NoError(t, file.Sync())
	require.NoError(t, unix.Fadvise(f.fd, 0, 0, unix.FADV_RANDOM)) // no readahead
	for i := range 300 {
		time.Sleep(time.Duration(i) * 10 * time.Microsecond) // a page that is in use is not dropped
		require.NoError(t, unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED))
		if _, err = unix.Preadv2(f.fd, [][]byte{make([]byte, 1)}, f.offset(i%pages), unix.RWF_NOWAIT); err == unix.EAGAIN {
			return f
		}
	}
	t.Skip("this file system reads nothing anew:", err)
	return f
}

package uringwake_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
	"github.com/vigil-go/vigil/wake"
)

// A read of a file of which some is in memory returns the rest, too.
func TestReadOfAFileThatIsPartlyInMemory(t *testing.T) {
	newLoop(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t.Run("on the ring", func(t *testing.T) { readPartly(t, ctx) })
	t.Run("in the goroutine", func(t *testing.T) { readPartly(t, context.Background()) })
}

func readPartly(t *testing.T, ctx context.Context) {
	f := newColdFile(t, 64)
	_, err := unix.Pread(f.fd, make([]byte, 8), f.offset(0))
	require.NoError(t, err)
	p := make([]byte, f.offset(f.pages)+100)
	n, err := uringwake.Read(ctx, f.fd, p, 0)
	require.NoError(t, err)
	require.EqualValues(t, f.offset(f.pages), n)
	for page := range f.pages {
		require.Equal(t, f.content(page), string(p[f.offset(page):][:8]))
	}
	n, err = uringwake.Read(ctx, f.fd, p, f.offset(f.pages))
	require.NoError(t, err)
	require.Zero(t, n)
}

// The same at the file's own position, which is behind what was read.
func TestReadAtTheFilesPosition(t *testing.T) {
	newLoop(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t.Run("on the ring", func(t *testing.T) { readAtThePosition(t, ctx) })
	t.Run("in the goroutine", func(t *testing.T) { readAtThePosition(t, context.Background()) })
}

func readAtThePosition(t *testing.T, ctx context.Context) {
	f := newColdFile(t, 8)
	_, err := unix.Seek(f.fd, f.offset(2), 0)
	require.NoError(t, err)
	for _, want := range []int64{f.offset(3), f.offset(6), f.offset(8), f.offset(8)} {
		at, err := unix.Seek(f.fd, 0, 1)
		require.NoError(t, err)
		n, err := uringwake.Read(ctx, f.fd, make([]byte, max(want-at, 10)), -1)
		require.NoError(t, err)
		require.Equal(t, want-at, int64(n))
	}
}

// What bypasses the page cache waits on the ring, whatever its alignment.
func TestReadPastThePageCache(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	path := t.TempDir() + "/direct"
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<16), 0o600))
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no O_DIRECT here:", err)
	}
	defer unix.Close(fd)
	p, err := unix.Mmap(-1, 0, 1<<13, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(p)) }()
	for _, off := range []int64{0, 1 << 12, -1} {
		before := d.Submitted()
		n, err := uringwake.Read(context.Background(), fd, p, off)
		require.NoError(t, err)
		require.Equal(t, len(p), n)
		require.Greater(t, d.Submitted(), before, "by a system call that waited")
	}
}

// Nothing tells whether a read of a terminal would wait: the terminal is polled before
// one of the kernel's workers reads it, which might sleep there.
func TestReadOfATerminal(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	master, slave := terminal(t)
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, 1)
	go func() {
		_, err := uringwake.Read(ctx, slave, make([]byte, 8), -1)
		errs <- err
	}()
	d.AwaitSubmission(1)
	require.Equal(t, []uint8{ring.OpPollAdd}, d.Opcodes())
	cancel()
	require.ErrorIs(t, <-errs, context.Canceled)
	go func() {
		p := make([]byte, 8)
		n, err := uringwake.Read(context.Background(), slave, p, -1)
		assert.Equal(t, "word\n", string(p[:n]))
		errs <- err
	}()
	d.AwaitSubmission(1)
	n, err := uringwake.Write(context.Background(), master, []byte("word\n"), -1)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	require.NoError(t, <-errs)
}

// terminal is both ends of a pseudo-terminal.
func terminal(t *testing.T) (master, slave int) {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no terminals here:", err)
	}
	t.Cleanup(func() { unix.Close(master) })
	require.NoError(t, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = unix.Open(fmt.Sprintf("/dev/pts/%d", number), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(slave) })
	return master, slave
}

// An error that the kernel tells only once reaches the caller.
func TestErrorThatIsToldOnce(t *testing.T) {
	newLoop(t, nil)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fds[0])
	_, err = unix.Write(fds[0], []byte("unread: so its end is a reset"))
	require.NoError(t, err)
	require.NoError(t, unix.Close(fds[1]))
	_, err = uringwake.Read(context.Background(), fds[0], make([]byte, 8), -1)
	require.ErrorIs(t, err, unix.ECONNRESET)
	n, err := uringwake.Read(context.Background(), fds[0], make([]byte, 8), -1)
	require.NoError(t, err)
	require.Zero(t, n)
}

// What has no position ignores the offset, on either driver.
func TestStreamIgnoresTheOffset(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := openPipe(t, 0)
		n, err := uringwake.Write(ctx, fds[1], []byte("word"), 7)
		require.NoError(t, err)
		require.Equal(t, 4, n)
		p := make([]byte, 8)
		n, err = uringwake.Read(ctx, fds[0], p, 9)
		require.NoError(t, err)
		require.Equal(t, "word", string(p[:n]))
	})
}

// Of several waiters for the same bytes one gets them, and the others wait on.
func TestReadersOfOnePipe(t *testing.T) {
	eachStart(t, func(t *testing.T, start func(f func(context.Context))) {
		fds := openPipe(t, 0)
		testReaders(t, start, fds[0], writeTo(t, fds[1]))
	})
}

// The same for a terminal, of which nothing tells whether a read would wait.
func TestReadersOfOneTerminal(t *testing.T) {
	eachStart(t, func(t *testing.T, start func(f func(context.Context))) {
		master, slave := terminal(t)
		testReaders(t, start, slave, writeTo(t, master))
	})
}

// The same for files that the kernel never tries without waiting.
func TestReadersOfOneWatch(t *testing.T) {
	eachStart(t, func(t *testing.T, start func(f func(context.Context))) {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		require.NoError(t, err)
		closing(t, fd)
		dir := t.TempDir()
		_, err = unix.InotifyAddWatch(fd, dir, unix.IN_CREATE)
		require.NoError(t, err)
		testReaders(t, start, fd, func(i int) {
			require.NoError(t, os.Mkdir(fmt.Sprint(dir, "/", i), 0o700))
		})
	})
}

func writeTo(t *testing.T, fd int) func(int) {
	return func(i int) {
		_, err := unix.Write(fd, []byte(fmt.Sprintln(i)))
		require.NoError(t, err)
	}
}

// eachStart has f start tasks, and then goroutines.
func eachStart(t *testing.T, f func(t *testing.T, start func(f func(context.Context)))) {
	t.Run("task", func(t *testing.T) {
		l := newLoop(t, nil)
		f(t, func(f func(context.Context)) { require.NoError(t, l.Go(context.Background(), f)) })
	})
	t.Run("goroutine", func(t *testing.T) {
		newLoop(t, nil) // or skip
		f(t, func(f func(context.Context)) { go f(context.Background()) })
	})
}

// testReaders has several wait, and writes again and again what one of them gets.
func testReaders(t *testing.T, start func(f func(context.Context)), from int, write func(i int)) {
	const readers, rounds = 8, 50
	over, end := context.WithCancel(context.Background())
	var ends sync.WaitGroup
	ends.Add(readers)
	got := make(chan int, rounds)
	for range readers {
		start(func(ctx context.Context) {
			defer ends.Done()
			ctx, cancel := context.WithCancel(ctx)
			defer context.AfterFunc(over, cancel)()
			for {
				n, err := uringwake.Read(ctx, from, make([]byte, 64), -1)
				if err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					return
				}
				got <- n
			}
		})
	}
	for i := range rounds {
		write(i)
		require.Positive(t, <-got)
	}
	end()
	ends.Wait()
	require.Empty(t, got)
}

// A file that does not support RWF_NOWAIT, but has another way not to wait, does not go
// to the ring when it is ready. A transfer that has to wait waits all the same.
func TestWithoutNowait(t *testing.T) {
	if !refuse.Child(t, refuse.NoNowait(unix.EOPNOTSUPP)) {
		return
	}
	newLoop(t, nil)
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closing(t, sockets[0], sockets[1])
	nonblocking := openPipe(t, unix.O_NONBLOCK)
	blocking := openPipe(t, 0)
	for _, test := range []struct {
		name     string
		from, to int
		ring     bool
	}{
		{"socket", sockets[0], sockets[1], false},
		{"O_NONBLOCK", nonblocking[0], nonblocking[1], false},
		{"pipe", blocking[0], blocking[1], true},
	} {
		t.Run(test.name, func(t *testing.T) {
			testTransfers(t, test.from, test.to, test.ring)
			testReaders(t, func(f func(context.Context)) { go f(context.Background()) }, test.from, writeTo(t, test.to))
		})
	}
}

// testTransfers writes and reads, which goes by the ring or does not, and has a
// context end a read that waits.
func testTransfers(t *testing.T, from, to int, byRing bool) {
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	n, err := uringwake.Write(context.Background(), to, []byte("word"), 9)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	p := make([]byte, 8)
	n, err = uringwake.Read(context.Background(), from, p, -1)
	require.NoError(t, err)
	require.Equal(t, "word", string(p[:n]))
	require.Equal(t, byRing, d.Submitted() > 0)
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, 1)
	go func() {
		_, err := uringwake.Read(ctx, from, p, -1)
		errs <- err
	}()
	d.AwaitSubmission(1)
	cancel()
	require.ErrorIs(t, <-errs, context.Canceled)
}

// Sleep lasts, whatever wakes its parker.
func TestSleepUnderAParkerThatIsWoken(t *testing.T) {
	newLoop(t, nil)
	p := &misbehave.First{Parker: wake.NewParker(), First: func() {}}
	p.Wake()
	start := time.Now()
	require.NoError(t, uringwake.Sleep(wake.WithParker(context.Background(), p), 20*time.Millisecond))
	require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
	require.Equal(t, 2, p.Wakes)
}

// FutexWake in a goroutine reaches waiters of every kind.
func TestFutexWakeCountsWaiters(t *testing.T) {
	if err := uringwake.HaveFutex(); err != nil {
		t.Skip(err)
	}
	l := newLoop(t, nil)
	word := new(atomic.Uint32)
	errs := make(chan error, 2)
	go func() { errs <- uringwake.FutexWait(context.Background(), word, 0) }()
	require.NoError(t, l.Go(context.Background(), func(ctx context.Context) { errs <- uringwake.FutexWait(ctx, word, 0) }))
	for woken := 0; woken < 2; {
		n, err := uringwake.FutexWake(context.Background(), word, 1)
		require.NoError(t, err)
		woken += n
	}
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
}

// No waiter is woken where none is asked for, by either driver.
func TestFutexWakeOfNobody(t *testing.T) {
	if err := uringwake.HaveFutex(); err != nil {
		t.Skip(err)
	}
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		word := new(atomic.Uint32)
		errs := make(chan error, 1)
		go func() { errs <- uringwake.FutexWait(context.Background(), word, 0) }()
		for woken := 0; woken == 0; {
			n, err := uringwake.FutexWake(ctx, word, 0)
			require.NoError(t, err)
			require.Zero(t, n)
			woken, err = uringwake.FutexWake(ctx, word, 1)
			require.NoError(t, err)
		}
		uringwake.Blocking(ctx, func() { require.NoError(t, <-errs) })
	})
}

// A write of nothing to a socket that keeps messages apart sends an empty one, on
// either driver.
func TestWriteOfAnEmptyDatagram(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		for _, kind := range []int{unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
			fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			closing(t, fds[:]...)
			for _, message := range []string{"", "word"} {
				n, err := uringwake.Write(ctx, fds[0], []byte(message), -1)
				require.NoError(t, err)
				require.Equal(t, len(message), n)
			}
			p := make([]byte, 8)
			for _, message := range []string{"", "word"} {
				n, err := uringwake.Read(ctx, fds[1], p, -1)
				require.NoError(t, err)
				require.Equal(t, message, string(p[:n]))
			}
		}
	})
}

// A transfer that waits goes on with its file, whatever has its number by then.
func TestHazardDescriptorIsReusedMeanwhile(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	fds, other := openPipe(t, 0), eventFD(t, 7)
	lengths := make(chan int, 1)
	go func() {
		n, err := uringwake.Read(context.Background(), fds[0], make([]byte, 64), -1)
		assert.NoError(t, err)
		lengths <- n
	}()
	d.AwaitSubmission(1)
	require.NoError(t, unix.Dup3(other, fds[0], unix.O_CLOEXEC))
	_, err := unix.Write(fds[1], []byte("own"))
	require.NoError(t, err)
	require.Equal(t, 3, <-lengths)
}

// A write goes on with its file, too, and leaves no descriptor behind.
func TestWriteGoesOnAfterAClose(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	own, other := openPipe(t, unix.O_NONBLOCK), openPipe(t, unix.O_NONBLOCK)
	room, err := unix.FcntlInt(uintptr(own[1]), unix.F_GETPIPE_SZ, 0) // of pages
	require.NoError(t, err)
	full := make([]byte, room)
	_, err = unix.Write(own[1], full)
	require.NoError(t, err)
	before := entries(t, "/proc/self/fd")
	errs := make(chan error, 1)
	go func() {
		_, err := uringwake.Write(context.Background(), own[1], []byte("own"), -1)
		errs <- err
	}()
	d.AwaitSubmission(1)
	require.NoError(t, unix.Dup3(other[1], own[1], unix.O_CLOEXEC))
	_, err = unix.Read(own[0], full)
	require.NoError(t, err)
	require.NoError(t, <-errs)
	n, err := unix.Read(own[0], full)
	require.NoError(t, err)
	require.Equal(t, "own", string(full[:n]))
	require.Equal(t, before, entries(t, "/proc/self/fd"))
}

// A wait for a file needs another descriptor or, if there is none, a worker.
func TestReadWithoutADescriptorToSpare(t *testing.T) {
	if !refuse.Child(t, refuse.Rlimit(unix.RLIMIT_NOFILE, 64)) {
		return
	}
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	fds := openPipe(t, 0)
	for fd, err := unix.Dup(0); err == nil; fd, err = unix.Dup(0) {
		defer unix.Close(fd)
	}
	errs := make(chan error, 1)
	go func() {
		_, err := uringwake.Read(context.Background(), fds[0], make([]byte, 8), -1)
		errs <- err
	}()
	d.AwaitSubmission(1)
	_, err := unix.Write(fds[1], []byte("word"))
	require.NoError(t, err)
	require.NoError(t, <-errs)
}

// The reaper looks seldom while the same operations are in flight for long, and yet
// leaves soon after they have completed.
func TestReaperLeavesSoonAfterALongWait(t *testing.T) {
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	fds := openPipe(t, 0)
	errs := make(chan error, 1)
	go func() {
		_, err := uringwake.Read(context.Background(), fds[0], make([]byte, 8), -1)
		errs <- err
	}()
	for !d.RestsLong() {
		time.Sleep(time.Millisecond)
	}
	_, err := unix.Write(fds[1], []byte("x"))
	require.NoError(t, err)
	require.NoError(t, <-errs)
	require.False(t, d.RestsLong())
}

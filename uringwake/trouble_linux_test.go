package uringwake

import (
	"context"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/refuse"
)

// The end of the program says what has happened: only a filter that is there is
// blamed, and for what it may have done.
func TestTroubleIsCalledByItsName(t *testing.T) {
	words := map[unix.Errno]string{
		unix.EBADR:      "lost",
		unix.EBADF:      "closed",
		unix.EOPNOTSUPP: "closed",
		unix.ENXIO:      "closed",
		unix.EEXIST:     "thread",
		unix.EPERM:      "refuses to serve",
		unix.EBADFD:     "refuses to serve",
	}
	for name, rules := range map[string][]refuse.Rule{"no filter": nil, "filter": {refuse.NoEnter(marked, unix.EPERM)}} {
		t.Run(name, func(t *testing.T) {
			if !refuse.Child(t, rules...) {
				return
			}
			for errno, word := range words {
				said := trouble(errno)
				require.Contains(t, said, word)
				if word != "refuses to serve" || !filtered() {
					require.NotContains(t, said, "seccomp", errno)
				} else {
					require.Contains(t, said, "seccomp", errno)
				}
			}
		})
	}
}

// A ring that has lost completions ends the program, whether the kernel says so or
// only counts: operations that never complete have memory that cannot be freed.
func TestLostCompletionsEndTheProgram(t *testing.T) {
	says := func(f *ringQueue) { refuseEnters(f, true) }
	for name, c := range map[string]struct {
		begin func(t *testing.T) (use func(func(*ringQueue)))
		lose  func(*ringQueue)
	}{
		"loop, said":          {loseOnALoop, says},
		"loop, counted":       {loseOnALoop, loseCompletion},
		"goroutines, said":    {loseOnGoroutines, says},
		"goroutines, counted": {loseOnGoroutines, loseCompletion},
	} {
		t.Run(name, func(t *testing.T) {
			dies(t, "lost", func() {
				if refuse.Child(t, refuse.NoEnter(marked, unix.EBADR)) {
					c.begin(t)(c.lose)
				}
			})
		})
	}
}

func loseOnALoop(t *testing.T) func(lose func(*ringQueue)) {
	l, err := NewLoop(nil)
	require.NoError(t, err)
	return func(lose func(*ringQueue)) {
		require.NoError(t, l.Post(func() { lose(&l.ringQueue) }))
		for range 100_000 { // and no more: each takes memory if the program goes on
			l.Go(context.Background(), func(ctx context.Context) { Nop(ctx) })
			runtime.Gosched()
		}
	}
}

func loseOnGoroutines(t *testing.T) func(lose func(*ringQueue)) {
	d := UseGoroutineDriver(t, 4, 8).d
	return func(lose func(*ringQueue)) {
		d.mu.Lock()
		lose(&d.ringQueue)
		d.mu.Unlock()
		Nop(context.Background())
	}
}

// loseCompletion counts one as the kernel does.
func loseCompletion(f *ringQueue) {
	word := reflect.ValueOf(f.cq).Elem().FieldByName("koverflow").UnsafePointer()
	atomic.AddUint32((*uint32)(word), 1)
}

// dies runs f in another process, which must die with these words.
func dies(t *testing.T, words string, f func()) {
	t.Helper()
	const variable = "VIGIL_TEST_DIES"
	if os.Getenv(variable) == t.Name() {
		f()
		return
	}
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	parts := strings.Split(regexp.QuoteMeta(t.Name()), "/")
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+strings.Join(parts, "$/^")+"$")
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if err == nil && strings.Contains(string(out), "--- SKIP") {
		t.Skip(string(out))
	}
	require.Error(t, err)
	require.Contains(t, string(out), "panic: uringwake: ")
	require.Contains(t, string(out), words)
	require.NotContains(t, string(out), "seccomp filter that came late")
}

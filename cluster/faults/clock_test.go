package faults_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

// jumpingClock is added to package time: wall clocks are wrong by the seconds that a file
// has. A goroutine reads it, because Now is also called where the scheduler must not wait.
const jumpingClock = `
package time

import (
	"sync/atomic"
	"syscall"
)

var jumped atomic.Int64

func init() {
	if name, ok := syscall.Getenv("VIGIL_LAB_CLOCK"); ok {
		go func() {
			for ; ; Sleep(50 * Millisecond) {
				readJump(name)
			}
		}()
	}
}

func readJump(name string) {
	fd, err := open(name)
	if err != nil {
		return
	}
	defer closefd(fd)
	var text [20]byte
	n, _ := read(fd, text[:])
	sec, sign := int64(0), int64(1)
	for _, c := range text[:n] {
		if c == '-' {
			sign = -1
		} else {
			sec = 10*sec + int64(c-'0')
		}
	}
	jumped.Store(sign * sec)
}
`

// jumpEnv tells a test's program that it has that package time.
const jumpEnv = "VIGIL_FAULTS_CLOCKS"

// TestClocksJump runs TestClock in a program of its own, in which the wall clock of each
// process can be set. No clock of this machine is touched.
func TestClocksJump(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	program := filepath.Join(t.TempDir(), "faults.test")
	build := exec.Command("go", "test", "-c", "-o", program, "-overlay", overlay(t), ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	test := exec.Command(program, "-test.v", "-test.run=^TestClock$", "-long")
	test.Env = append(os.Environ(), jumpEnv+"=1")
	out, err = test.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	require.Contains(t, string(out), "--- PASS: TestClock")
}

// overlay returns the name of the file that tells the go command to build with another package
// time.
func overlay(t *testing.T) string {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("the go command is missing:", err)
	}
	name := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Skip("the source of package time is missing:", err)
	}
	const asks = "sec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), asks) != 1 {
		t.Skip("this package time does not ask for the time as others do")
	}
	dir := t.TempDir()
	files := map[string]string{name: filepath.Join(dir, "time.go"), filepath.Join(filepath.Dir(name), "vigil_jump.go"): filepath.Join(dir, "jump.go")}
	index, err := json.Marshal(map[string]any{"Replace": files})
	require.NoError(t, err)
	for file, content := range map[string]string{
		"time.go": strings.Replace(string(text), asks, asks+"\tsec += jumped.Load()\n", 1), "jump.go": jumpingClock, "overlay.json": string(index),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
	}
	return filepath.Join(dir, "overlay.json")
}

// setClock sets the wall clock of a process, by the seconds by which it is wrong.
func setClock(t *testing.T, p *lab.Process, wrong int) {
	t.Helper()
	next := p.ClockFile() + ".next"
	require.NoError(t, os.WriteFile(next, fmt.Append(nil, wrong), 0o600))
	require.NoError(t, os.Rename(next, p.ClockFile()))
}

// TestClock: the wall clocks of a holder, and then of the servers, jump forward and back by a day.
// Leases of holders whose clock jumps stay. A server whose clock jumps may end a lease; then its
// holder learns that.
func TestClock(t *testing.T) {
	if os.Getenv(jumpEnv) == "" {
		t.Skip("run by TestClocksJump")
	}
	const day = 24 * 60 * 60
	s := newSite(t, 2, nil, &openOptions{TTL: ttl, ResultTTL: time.Hour, MarkerTTL: time.Minute})
	a, b := s.workers[0], s.workers[1]
	a.do(request{Op: "lock"})
	held := a.start(request{Op: "held"})
	lock := b.start(request{Op: "lock"})
	for _, wrong := range []int{day, -day, 0} {
		setClock(t, a.Process, wrong)
		time.Sleep(ttl)
		now, err := time.Parse(time.RFC3339Nano, a.do(request{Op: "clock"}).Value)
		require.NoError(t, err)
		require.InDelta(t, wrong, time.Until(now).Seconds(), 60, "the clock did not jump")
		lock.quiet("a lock was lost because the clock of its holder has jumped")
		held.quiet("a lock was lost because the clock of its holder has jumped")
		s.agree(a, b, fmt.Sprint("worker ", wrong))
	}
	for _, wrong := range []int{day, -day, 0} {
		for _, server := range s.Servers() {
			setClock(t, server.Process, wrong)
		}
		time.Sleep(ttl)
		s.agree(a, b, fmt.Sprint("server ", wrong))
		select {
		case r := <-held.returned:
			t.Logf("%d s: the holder knows that it has lost the lock: %s", wrong, r.Err)
		case r := <-lock.returned:
			t.Logf("%d s: another one has the lock: %+v", wrong, r)
		default:
			t.Logf("%d s: the lock is held on", wrong)
		}
	}
}

// agree lets one worker store, delete and load, and compares what both see.
func (s *site) agree(a, b *client, value string) {
	s.t.Helper()
	a.do(request{Op: "store", Key: "x", Value: value})
	require.Equal(s.t, value, b.do(request{Op: "load", Key: "x"}).Value)
	a.do(request{Op: "store", Key: "gone", Value: value})
	a.do(request{Op: "delete", Key: "gone"})
	require.Equal(s.t, a.do(request{Op: "all"}).Values, b.do(request{Op: "all"}).Values)
	load := b.start(request{Op: "do", Key: value})
	load.event("loading")
	load.finish(value)
	require.Equal(s.t, value, load.result().Value)
}

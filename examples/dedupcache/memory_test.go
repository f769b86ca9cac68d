package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// A server is the program as a process of its own.
type server struct {
	url string
	pid int
}

// startServer builds the program and runs it before an origin.
func startServer(t *testing.T, origin string, args ...string) server {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc/PID/status")
	}
	command, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command: ", err)
	}
	path := filepath.Join(t.TempDir(), "dedupcache")
	output, err := exec.CommandContext(t.Context(), command, "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(output))
	c := exec.CommandContext(t.Context(), path, append([]string{"-listen", "127.0.0.1:0", "-origin", origin}, args...)...)
	c.Stderr = io.Discard // clients that leave
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "on      "); ok {
			go io.Copy(io.Discard, stdout)
			return server{url, c.Process.Pid}
		}
	}
	t.Fatal("the program did not start: ", lines.Err())
	return server{}
}

// most returns the most memory that the process had, in MiB.
func (s server) most(t *testing.T) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")))
			require.NoError(t, err)
			return n >> 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// A pageful is an origin whose pages have about a number of bytes, which can be
// kept, and come in two parts with a pause.
type pageful struct {
	size  int
	pause time.Duration
	n     atomic.Int64
}

var noise = make([]byte, 32<<10)

func (p *pageful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	size := p.size - p.size/8 + int(p.n.Add(1)*7919)%(p.size/4)
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Content-Length", strconv.Itoa(size))
	for sent := 0; sent < size; sent += len(noise) {
		if sent/len(noise) == size/len(noise)/2 {
			time.Sleep(p.pause)
		}
		if _, err := w.Write(noise[:min(len(noise), size-sent)]); err != nil {
			return
		}
	}
}

// fetch reads up to a number of bytes of a page, and returns how many there were.
func fetch(client *http.Client, url string, limit int64) int64 {
	res, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	n, _ := io.Copy(io.Discard, io.LimitReader(res.Body, limit))
	return n
}

// allowance is how many MiB the program may take beside the bodies.
const allowance = 64

func TestMemoryLimitFollowsTheRequests(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	requireLimit := func(want int64) { require.Equal(t, want, debug.SetMemoryLimit(-1)) }
	var running atomic.Int64
	t.Setenv("GOMEMLIMIT", "")
	synctest.Test(t, func(t *testing.T) {
		end := boundMemory(1<<20, running.Load)
		requireLimit(1<<20 + spare)
		running.Store(3)
		time.Sleep(time.Second)
		synctest.Wait()
		requireLimit(1<<20 + spare + 3*perRequest)
		end()
		requireLimit(before)
	})
	t.Setenv("GOMEMLIMIT", "1GiB")
	defer boundMemory(1<<20, running.Load)()
	requireLimit(before)
}

func TestMemoryIsBoundedThoughManyClientsLeave(t *testing.T) {
	if testing.Short() || testkit.Race {
		t.Skip("it takes some seconds, and the race detector has memory of its own")
	}
	origin := httptest.NewServer(&pageful{size: 7 << 20})
	defer origin.Close()
	s := startServer(t, origin.URL, "-max-bytes=8MiB", "-max-object=8MiB")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var begun atomic.Int64
	for round := range 2 {
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() { begun.Add(fetch(client, fmt.Sprint(s.url, "/", round, "/", i), 64<<10)) })
		}
		all.Wait()
		time.Sleep(time.Second) // for what goes on without them
	}
	require.EqualValues(t, 2*60*64<<10, begun.Load())
	require.EqualValues(t, 1<<20, fetch(client, s.url+"/last", 1<<20))
	t.Log(s.most(t), "MiB")
	require.LessOrEqual(t, s.most(t), 8+allowance)
}

func TestMemoryIsBoundedUnderManyMisses(t *testing.T) {
	if testing.Short() || testkit.Race {
		t.Skip("it takes some seconds, and the race detector has memory of its own")
	}
	origin := httptest.NewServer(&pageful{size: 1 << 20, pause: 50 * time.Millisecond})
	defer origin.Close()
	s := startServer(t, origin.URL, "-max-bytes=64MiB", "-max-object=8MiB")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	var short atomic.Int64
	places := make(chan struct{}, 256) // more would be connections that wait, not misses
	ticker := time.NewTicker(time.Second / 400)
	defer ticker.Stop()
	for i := range 2400 {
		<-ticker.C
		places <- struct{}{}
		all.Go(func() {
			if fetch(client, fmt.Sprint(s.url, "/", i), 2<<20) < 7<<17 {
				short.Add(1)
			}
			<-places
		})
	}
	all.Wait()
	t.Log(s.most(t), "MiB")
	require.Zero(t, short.Load())
	require.LessOrEqual(t, s.most(t), 64+allowance)
}

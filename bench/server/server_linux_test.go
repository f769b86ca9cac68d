package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/bench/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started skips the test, with the reason, if the server cannot run here.
func started(t *testing.T, start func() (*Proc, error)) *Proc {
	t.Helper()
	p, err := start()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return p
}

func clients(t *testing.T, p *Proc, n, size int) *load.Clients {
	t.Helper()
	c, err := load.Dial(p.Ready, n, load.Echo(size))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func echoServers() map[string]func() (*Proc, error) {
	servers := map[string]func() (*Proc, error){"C": func() (*Proc, error) { return StartC(256) }}
	for kind := range kinds {
		if !strings.HasPrefix(string(kind), "echo ") {
			continue
		}
		servers[string(kind)] = func() (*Proc, error) { return Start(kind, 256, 2) }
	}
	return servers
}

// TestEchoServersEcho has messages that are shorter and longer than the buffers, and
// more buffers in use than the C server has.
func TestEchoServersEcho(t *testing.T) {
	for name, start := range echoServers() {
		t.Run(name, func(t *testing.T) {
			p := started(t, start)
			for _, size := range []int{1, 64, 10_000, 400_000} {
				r, err := clients(t, p, 3, size).Run(time.Millisecond)
				require.NoError(t, err)
				require.GreaterOrEqual(t, r.Batches, 3)
			}
		})
	}
}

func TestAServerOutlivesItsClients(t *testing.T) {
	for name, start := range echoServers() {
		t.Run(name, func(t *testing.T) {
			p := started(t, start)
			for range 3 {
				c, err := load.Dial(p.Ready, 10, load.Echo(64))
				require.NoError(t, err)
				_, err = c.Run(0)
				require.NoError(t, err)
				require.NoError(t, c.Close())
			}
		})
	}
}

func TestWhatAServerTakesIsCounted(t *testing.T) {
	p := started(t, func() (*Proc, error) { return Start(EchoNet, 64, 1) })
	c := clients(t, p, 1, 64)
	cpu, err := p.CPU()
	require.NoError(t, err)
	allocs, err := p.Allocs()
	require.NoError(t, err)
	_, err = c.Run(0)
	require.NoError(t, err)
	later, err := p.CPU()
	require.NoError(t, err)
	more, err := p.Allocs()
	require.NoError(t, err)
	assert.Greater(t, later, cpu)
	assert.Greater(t, more, allocs, "a connection")
}

func TestSystemCallsAreCounted(t *testing.T) {
	if err := CanCountCalls(); err != nil {
		t.Skip(err)
	}
	p := started(t, func() (*Proc, error) { return Start(EchoNet, 64, 1) })
	c := clients(t, p, 1, 64)
	end, err := p.CountCalls()
	require.NoError(t, err)
	r, err := c.Run(5 * time.Millisecond)
	require.NoError(t, err)
	calls, err := end()
	require.NoError(t, err)
	assert.GreaterOrEqual(t, calls, float64(2*r.Batches), "a read and a write each")
}

func TestAServerWritesAProfile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(profiles, dir)
	p, err := Start(EchoNet, 64, 1)
	require.NoError(t, err)
	require.NoError(t, p.Close())
	files, err := filepath.Glob(filepath.Join(dir, "echo-net-*.pprof"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := os.Stat(files[0])
	require.NoError(t, err)
	assert.Positive(t, info.Size())
}

func TestAnUnknownServerIsExplained(t *testing.T) {
	_, err := Start("nobody", 64, 1)
	require.ErrorContains(t, err, "no server is")
}

func TestHelloServersSayHello(t *testing.T) {
	for kind := range kinds {
		if !strings.HasPrefix(string(kind), "hello ") {
			continue
		}
		t.Run(string(kind), func(t *testing.T) {
			p := started(t, func() (*Proc, error) { return Start(kind, 0, 2) })
			request := []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			answer, err := load.Ask(p.Ready, request, "hello")
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n"))
			c, err := load.Dial(p.Ready, 10, load.Same(request, answer))
			require.NoError(t, err)
			_, err = c.Run(time.Millisecond)
			require.NoError(t, err)
			require.NoError(t, c.Close())
		})
	}
}

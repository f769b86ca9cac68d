package httpcaches

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// start returns a cache in front of o. It skips the test if the cache is not installed.
func start(t *testing.T, name string, o *Origin) *Cache {
	c, err := Start(name, o.Address, 2)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoDirExists(t, c.dir)
	})
	return c
}

func TestEachCacheAnswersAHit(t *testing.T) {
	for _, name := range []string{Vigil, Nginx, Varnish} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t)
			c := start(t, name, o)
			requireHit(t, c, o)
			cpu, err := c.CPU()
			require.NoError(t, err)
			require.Positive(t, cpu)
		})
	}
}

// requireHit checks that o is not asked for a page which was asked for before. A cache may
// send the end of a page a moment before it keeps it.
func requireHit(t *testing.T, c *Cache, o *Origin) {
	for range 100 {
		before := o.Asked.Load()
		res, body := get(t, c.Address, "/1024/page")
		require.Equal(t, 200, res.StatusCode)
		require.Len(t, body, 1024)
		if before > 0 && o.Asked.Load() == before {
			return
		}
	}
	require.Fail(t, "the origin was asked each time")
}

func TestConfigOfNginx(t *testing.T) {
	o := newOrigin(t)
	c := start(t, Nginx, o)
	conf, err := os.ReadFile(filepath.Join(c.dir, "nginx.conf"))
	require.NoError(t, err)
	for _, part := range []string{
		"worker_processes 2;", "listen " + c.Address + " ", "server " + o.Address + ";", "proxy_cache_lock on;",
		"proxy_cache_path " + c.dir + "/cache ",
	} {
		require.Contains(t, string(conf), part)
	}
}

func TestCachesThatDoNotStart(t *testing.T) {
	_, err := Start("unknown", "127.0.0.1:1", 1)
	require.ErrorContains(t, err, `there is no cache "unknown"`)

	var dir string
	commands["broken"] = func(c *Cache, _ string, _ int) (*exec.Cmd, error) {
		dir = c.dir
		return exec.Command("false"), nil
	}
	commands["missing"] = func(c *Cache, _ string, _ int) (*exec.Cmd, error) {
		dir = c.dir
		_, err := installed("a program that is not there")
		return nil, err
	}
	defer func() { delete(commands, "broken"); delete(commands, "missing") }()
	_, err = Start("broken", "127.0.0.1:1", 1)
	require.ErrorContains(t, err, "broken ended: exit status 1")
	require.NoDirExists(t, dir)
	_, err = Start("missing", "127.0.0.1:1", 1)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.NoDirExists(t, dir)
}

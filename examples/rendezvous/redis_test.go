package main

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tool is a program of Debian's redis-tools.
func tool(t *testing.T, name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed (Debian: redis-tools)", name)
	}
	return path
}

// TestRedisCLI: Redis' own client understands the answers, in both versions.
func TestRedisCLI(t *testing.T) {
	cli := tool(t, "redis-cli")
	eachKind(t, func(t *testing.T, s *server, address string) {
		host, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		for _, version := range []string{"-2", "-3"} {
			run := func(words string) string {
				out, err := exec.Command(cli, append([]string{version, "-h", host, "-p", port}, strings.Fields(words)...)...).CombinedOutput()
				require.NoError(t, err, "%s", out)
				return string(out)
			}
			require.Equal(t, "PONG\n", run("PING"))
			require.Equal(t, "OK\n", run("SET key value EX 100"))
			require.Equal(t, "value\n", run("GET key"))
			require.Equal(t, "\n", run("GET none"))
			require.Equal(t, "3\n", run("RPUSH list a b c"))
			require.Equal(t, "list\na\n", run("BLPOP none list 1"))
			require.Equal(t, "b\nc\n", run("LPOP list 5"))
			require.Equal(t, "\n", run("BLPOP list 0.01"))
			require.Equal(t, "ERR unknown command 'FLY', with args beginning with: \n\n", run("FLY"))
			require.Contains(t, run("INFO"), "redis_version:")
			require.Contains(t, run("COMMAND"), "blpop")
		}
	})
}

// TestRedisBenchmark runs a few of its requests, pipelined too.
func TestRedisBenchmark(t *testing.T) {
	benchmark := tool(t, "redis-benchmark")
	eachKind(t, func(t *testing.T, s *server, address string) {
		_, port, err := net.SplitHostPort(address)
		require.NoError(t, err)
		for _, pipeline := range []string{"1", "16"} {
			out, err := exec.Command(benchmark, "-p", port, "-n", "200", "-c", "10", "-P", pipeline, "-t", "ping,set,get,incr,lpush,rpush,lpop,rpop", "--csv").CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), `"LPOP","`)
			require.NotContains(t, string(out), "rror")
		}
	})
}

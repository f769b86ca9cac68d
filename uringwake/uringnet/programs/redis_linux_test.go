package programs_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startRedis starts a server, and returns its addresses by network.
func startRedis(t *testing.T) map[string]string {
	t.Helper()
	server := program(t, "redis-server")
	port, dir := freePort(t), socketDir(t)
	socket := dir + "/redis"
	daemon(t, exec.Command(server, "--bind", "127.0.0.1", "--port", port, "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "no"))
	answers(t, "unix", socket)
	return map[string]string{"tcp": "127.0.0.1:" + port, "unix": socket}
}

// inRedis runs f in each world, on connections of each network. All of a client's
// connections and keys have its name.
func inRedis(t *testing.T, f func(t *testing.T, o redis.Options)) {
	addresses := startRedis(t)
	inWorlds(t, func(t *testing.T, w world) {
		for network, address := range addresses {
			t.Run(network, func(t *testing.T) {
				f(t, redis.Options{
					Network: network, Addr: address, Dialer: w.dial, ClientName: strings.ReplaceAll(t.Name(), "/", "-"),
					ContextTimeoutEnabled: true, MaxRetries: -1, PoolSize: 4, ReadTimeout: time.Minute, PoolTimeout: time.Minute,
				})
			})
		}
	})
}

func newRedis(t *testing.T, o redis.Options) *redis.Client {
	c := redis.NewClient(&o)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestRedis(t *testing.T) {
	inRedis(t, func(t *testing.T, o redis.Options) {
		c := newRedis(t, o)
		var all sync.WaitGroup
		for client := range 8 {
			all.Go(func() {
				key, value := fmt.Sprint(o.ClientName, client), strings.Repeat(fmt.Sprint(client), 200_000)
				assert.NoError(t, c.Set(t.Context(), key, value, 0).Err())
				for range 10 {
					got, err := c.Get(t.Context(), key).Result()
					assert.NoError(t, err)
					assert.True(t, value == got, "another value")
				}
				results, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
					for range 100 {
						p.Incr(t.Context(), key+"count")
					}
					return nil
				})
				assert.NoError(t, err)
				assert.Len(t, results, 100)
				assert.EqualValues(t, 100, results[99].(*redis.IntCmd).Val())
			})
		}
		all.Wait()
	})
}

// TestRedisLiveness closes the server's end of all idle connections. The driver looks at
// a connection by a system call before it uses it: it finds those that are closed, and
// keeps those that are not.
func TestRedisLiveness(t *testing.T) {
	inRedis(t, func(t *testing.T, o redis.Options) {
		const connections = 4
		c := newRedis(t, o)
		ask := func() {
			held := make([]*redis.Conn, connections)
			for i := range held {
				held[i] = c.Conn()
				require.NoError(t, held[i].Ping(t.Context()).Err())
			}
			for _, conn := range held {
				require.NoError(t, conn.Close())
			}
		}
		ask()
		ask()
		require.EqualValues(t, 0, c.PoolStats().StaleConns)
		require.EqualValues(t, connections, c.PoolStats().IdleConns)

		killRedis(t, o, connections)
		ask()
		require.EqualValues(t, connections, c.PoolStats().StaleConns)
		ask()
		require.EqualValues(t, connections, c.PoolStats().StaleConns)
	})
}

// killRedis has the server close all n connections of a client.
func killRedis(t *testing.T, o redis.Options, n int) {
	t.Helper()
	killer := redis.NewClient(&redis.Options{Network: o.Network, Addr: o.Addr})
	defer killer.Close()
	list, err := killer.ClientList(t.Context()).Result()
	require.NoError(t, err)
	killed := 0
	for line := range strings.Lines(list) {
		if id, ok := strings.CutPrefix(strings.Fields(line)[0], "id="); ok && strings.Contains(line, " name="+o.ClientName+" ") {
			require.NoError(t, killer.ClientKillByFilter(t.Context(), "ID", id).Err())
			killed++
		}
	}
	require.Equal(t, n, killed)
}

// TestRedisDeadline ends commands while the server does not answer.
func TestRedisDeadline(t *testing.T) {
	inRedis(t, func(t *testing.T, o redis.Options) {
		c := newRedis(t, o)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), short)
			_, err := c.BLPop(ctx, time.Minute, o.ClientName+"empty").Result()
			cancel()
			timeout, ok := errors.AsType[net.Error](err)
			require.True(t, ok && timeout.Timeout(), "%v", err)
			require.NoError(t, c.Ping(t.Context()).Err())
		}
	})
}

// TestRedisPubSub has a connection on which a read times out, then gets a message, and
// then is closed while a goroutine reads.
func TestRedisPubSub(t *testing.T) {
	inRedis(t, func(t *testing.T, o redis.Options) {
		c := newRedis(t, o)
		sub := c.Subscribe(t.Context(), o.ClientName)
		defer sub.Close()
		_, err := sub.Receive(t.Context())
		require.NoError(t, err)
		for range 3 {
			_, err = sub.ReceiveTimeout(t.Context(), short)
			timeout, ok := errors.AsType[net.Error](err)
			require.True(t, ok && timeout.Timeout(), "%v", err)
			require.NoError(t, c.Publish(t.Context(), o.ClientName, "hello").Err())
			message, err := sub.ReceiveMessage(t.Context())
			require.NoError(t, err)
			require.Equal(t, "hello", message.Payload)
		}
		ended := make(chan error)
		go func() {
			_, err := sub.Receive(t.Context())
			ended <- err
		}()
		require.NoError(t, sub.Close())
		require.Error(t, <-ended)
	})
}

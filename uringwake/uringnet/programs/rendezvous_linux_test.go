package programs_test

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// TestRendezvous has go-redis, over the Conns of each world, use examples/rendezvous as
// its server.
func TestRendezvous(t *testing.T) {
	address := startRendezvous(t)
	inWorlds(t, func(t *testing.T, w world) {
		for _, protocol := range []int{2, 3} {
			o := redis.Options{Addr: address, Dialer: w.dial, Protocol: protocol, MaxRetries: -1, ReadTimeout: time.Minute}
			c, name := newRedis(t, o), fmt.Sprint(w.name, protocol)
			values(t, c, name)
			lists(t, c, newRedis(t, o), name)
			messages(t, c, name)
		}
	})
}

func startRendezvous(t *testing.T) (address string) {
	t.Helper()
	server := t.TempDir() + "/rendezvous"
	build := exec.Command(program(t, "go"), "build", "-o", server, "./examples/rendezvous")
	build.Dir = "../../.." // its module
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	address = "127.0.0.1:" + freePort(t)
	daemon(t, exec.Command(server, "-addr", address))
	answers(t, "tcp", address)
	return address
}

func values(t *testing.T, c *redis.Client, name string) {
	ctx := t.Context()
	set, err := c.SetNX(ctx, name, "first", time.Minute).Result()
	require.NoError(t, err)
	require.True(t, set)
	set, err = c.SetNX(ctx, name, "second", 0).Result()
	require.NoError(t, err)
	require.False(t, set)
	got, err := c.Get(ctx, name).Result()
	require.NoError(t, err)
	require.Equal(t, "first", got)
	results, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for range 100 {
			p.Incr(ctx, name+"count")
		}
		return nil
	})
	require.NoError(t, err)
	require.EqualValues(t, 100, results[99].(*redis.IntCmd).Val())
	n, err := c.Del(ctx, name, name+"count", name+"absent").Result()
	require.NoError(t, err)
	require.EqualValues(t, 2, n)
	require.ErrorIs(t, c.Get(ctx, name).Err(), redis.Nil)
}

// lists has one client wait for what the other pushes.
func lists(t *testing.T, c, other *redis.Client, name string) {
	ctx := t.Context()
	require.ErrorIs(t, c.BLPop(ctx, 10*time.Millisecond, name+"list").Err(), redis.Nil)
	popped := make(chan []string, 1)
	go func() {
		got, _ := other.BLPop(ctx, time.Minute, name+"absent", name+"list").Result()
		popped <- got
	}()
	require.NoError(t, c.RPush(ctx, name+"list", "a").Err())
	require.Equal(t, []string{name + "list", "a"}, <-popped)
	require.NoError(t, c.RPush(ctx, name+"list", "b", "c").Err())
	last, err := c.BRPop(ctx, time.Minute, name+"list").Result()
	require.NoError(t, err)
	require.Equal(t, "c", last[1])
	n, err := c.LLen(ctx, name+"list").Result()
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
}

func messages(t *testing.T, c *redis.Client, name string) {
	ctx := t.Context()
	s := c.Subscribe(ctx, name)
	defer s.Close()
	_, err := s.Receive(ctx) // the confirmation
	require.NoError(t, err)
	n, err := c.Publish(ctx, name, "hello").Result()
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	m, err := s.ReceiveMessage(ctx)
	require.NoError(t, err)
	require.Equal(t, "hello", m.Payload)
}

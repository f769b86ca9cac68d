package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/waitgroup"
)

// redisVersion is the version of Redis whose answers are given.
const redisVersion = "7.0.0"

// A server has the data and the clients.
type server struct {
	database
	hub
	started  time.Time
	clients  waitgroup.Group
	accepted atomic.Uint64
	commands atomic.Uint64
	blocked  atomic.Int64
	logger   *log.Logger
}

func newServer(logger *log.Logger) *server {
	return &server{started: time.Now(), logger: logger}
}

// accept serves the clients that come until ctx ends. It gives each a task or goroutine.
func (s *server) accept(ctx context.Context, l listener, start starter) {
	for {
		conn, err := l.accept(ctx)
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // as when there are too many connections
			s.logger.Print(err)
			_ = await.Sleep(ctx, 100*time.Millisecond)
			continue
		}
		s.clients.Add(1)
		if err := start(func(ctx context.Context) { defer s.clients.Done(); s.newClient(conn).serve(ctx) }); err != nil {
			s.clients.Done()
			conn.Close()
		}
	}
}

func (s *server) newClient(conn stream) *client {
	return &client{server: s, conn: conn, id: s.accepted.Add(1), out: reply{protocol: 2}}
}

// info is the answer to INFO.
func (s *server) info() string {
	return fmt.Sprintf("# Server\r\nredis_version:%s\r\nredis_mode:standalone\r\nserver_name:rendezvous, an example of vigil\r\nuptime_in_seconds:%d\r\n\r\n"+
		"# Clients\r\nconnected_clients:%d\r\nblocked_clients:%d\r\n\r\n"+
		"# Stats\r\ntotal_connections_received:%d\r\ntotal_commands_processed:%d\r\n\r\n"+
		"# Replication\r\nrole:master\r\n\r\n"+
		"# Keyspace\r\ndb0:keys=%d\r\n",
		redisVersion, int(time.Since(s.started).Seconds()), s.clients.Count(), s.blocked.Load(),
		s.accepted.Load(), s.commands.Load(), s.values.Len())
}

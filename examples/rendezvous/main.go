// Command rendezvous is a server that speaks Redis' protocol: strings, lists that can be
// waited for, and messages to subscribers.
//
//	go run ./examples/rendezvous
//
// serves on 127.0.0.1:6380 until SIGINT or SIGTERM, and says how to talk to it. Any client
// library for Redis can, with version 2 or 3 of the protocol.
//
//	go run ./examples/rendezvous -bench
//
// compares it with Debian's redis-server, by Debian's redis-benchmark.
//
// # How it is built
//
// There is a loop for each processor, and each client is a task of one of them. So a task
// that waits in BLPOP costs its loop nothing, and the commands are straight-line code. All
// loops share the data. With -net, and where io_uring cannot be used, each client is a
// goroutine, and its connection one of package net; all other code is the same.
//
// # Where to look
//
// block.go is what this example is about: how BLPOP waits for several lists, with a
// timeout, for a push that happens on any loop. database.go has the keys, deque.go a list.
// subscribe.go passes messages on. client.go serves a connection, protocol.go splits what
// it sends into commands, reply.go writes answers, and commands.go, strings.go, lists.go
// and messages.go have the commands. transport.go and tasks.go are the two kinds of
// connections. contest.go and plot.go are the
// comparison.
//
// # What is not there
//
// Data on disk, users, transactions, scripts, databases other than 0, and most commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

func main() { program.Main() }

var program = cli.Program[*config]{Name: "rendezvous", Help: help, Parse: parse, Work: work}

// work does what the flags ask for.
func work(ctx context.Context, cfg *config, stdout, stderr io.Writer) error {
	if cfg.bench {
		return hold(ctx, cfg, stdout)
	}
	s := newServer(log.New(stderr, "rendezvous: ", 0))
	return s.listenAndServe(ctx, cfg, func(address net.Addr, how string) { introduce(stdout, address, how) })
}

// listenAndServe serves until ctx ends. It calls ready when clients can connect.
func (s *server) listenAndServe(ctx context.Context, cfg *config, ready func(address net.Addr, how string)) error {
	err := cfg.supported()
	if cfg.net || err != nil {
		how := "goroutines, on package net"
		if err != nil {
			how += ", because io_uring cannot be used here: " + err.Error()
		}
		return s.serveGoroutines(ctx, cfg.addr, func(address net.Addr) { ready(address, how) })
	}
	return s.serveTasks(ctx, cfg, ready)
}

// serveGoroutines gives each client a goroutine.
func (s *server) serveGoroutines(ctx context.Context, address string, ready func(net.Addr)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	ready(l.Addr())
	s.accept(ctx, netListener{l}, func(f func(ctx context.Context)) error { go f(ctx); return nil })
	return s.clients.Wait(context.WithoutCancel(ctx))
}

// serveTasks gives each client a task, in turns on the loops.
func (s *server) serveTasks(ctx context.Context, cfg *config, ready func(net.Addr, string)) (err error) {
	loops, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: cfg.loops})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loops.Close(context.WithoutCancel(ctx))) }()
	l, err := uringnet.Listen(ctx, "tcp", cfg.addr)
	if err != nil {
		return err
	}
	defer l.Close()
	ready(l.Addr(), fmt.Sprintf("tasks of io_uring loops, of which there are %d", len(loops.Loops())))
	s.accept(ctx, taskListener{l}, func(f func(ctx context.Context)) error { return loops.Go(ctx, f) })
	return s.clients.Wait(context.WithoutCancel(ctx))
}

// introduce says how to talk to the server.
func introduce(w io.Writer, address net.Addr, how string) {
	host, port, _ := net.SplitHostPort(address.String())
	fmt.Fprintf(w, `%s speaks Redis' protocol, until SIGINT or SIGTERM.
Clients are %s.

To talk to it, with redis-cli (Debian: redis-tools) in two terminals:
  redis-cli -h %s -p %s BLPOP jobs 0
  redis-cli -h %s -p %s RPUSH jobs hello
or with anything that connects:
  printf 'SET greeting hello\r\nGET greeting\r\nQUIT\r\n' | nc %s %s
`, address, how, host, port, host, port, host, port)
}

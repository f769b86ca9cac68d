// Command echo is a TCP server that sends back what it is sent. Each connection is a task
// of an io_uring loop.
//
//	go run ./examples/echo
//
// serves on 127.0.0.1:7007 until SIGINT or SIGTERM.
//
//	go run ./examples/echo -peer
//
// compares it with the same server of goroutines on package net, for some seconds, and
// prints a table. Each server is a process of its own, this program with other flags, so
// that its processor time is known. Both are loaded in turns by the same clients, so that
// other programs of the machine affect both alike.
//
// server.go has the servers, load.go the clients, and peer.go the comparison.
package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"github.com/vigil-go/vigil/internal/cli"
)

func main() { program.Main() }

var program = cli.Program[*config]{Name: "echo", Help: help, Parse: parse, Work: work}

// work does what the flags ask for.
func work(ctx context.Context, cfg *config, stdout, _ io.Writer) error {
	err := cfg.supported()
	switch {
	case cfg.peer:
		return compare(ctx, cfg, stdout)
	case cfg.net:
		return serveGoroutines(ctx, cfg, introduce(stdout, "goroutines, on package net"))
	case err != nil:
		fmt.Fprintf(stdout, "io_uring cannot be used here: %v\n-net serves by goroutines.\n", err)
		return nil
	}
	return serveTasks(ctx, cfg, introduce(stdout, "tasks of io_uring loops"))
}

// introduce returns a function that says where clients can connect.
func introduce(w io.Writer, how string) func(net.Addr) {
	return func(address net.Addr) {
		host, port, _ := net.SplitHostPort(address.String())
		fmt.Fprintf(w, "%s\nis the address; connections are %s, until SIGINT or SIGTERM.\nTo try it: echo hello | nc -q 1 %s %s\n", address, how, host, port)
	}
}

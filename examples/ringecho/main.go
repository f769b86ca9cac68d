// Command ringecho runs an echo server and its client as two tasks of one io_uring
// loop, over loopback. Where io_uring cannot be used, the program says why.
//
//	go run ./examples/ringecho
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

func main() { run(context.Background(), os.Stdout) }

func run(ctx context.Context, w io.Writer) {
	if err := uringwake.Supported(); err != nil {
		fmt.Fprintln(w, "io_uring cannot be used here:", err)
		return
	}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	defer listener.Close()
	client, server := must(net.Dial("tcp", listener.Addr().String())), must(listener.Accept())
	defer client.Close()
	defer server.Close()
	loop := must(uringwake.NewLoop(nil))
	defer loop.Close(ctx) // cancels the server's Read

	var echoes waitmap.Map[string, string]
	loop.Go(ctx, func(ctx context.Context) { // the client
		must(0, wake.Go(ctx, func(ctx context.Context) { // the server: another task, as its starter is one
			buf := make([]byte, 64)
			for n, err := uringwake.Read(ctx, fd(server), buf, -1); n > 0 && err == nil; n, err = uringwake.Read(ctx, fd(server), buf, -1) {
				must(uringwake.Write(ctx, fd(server), buf[:n], -1))
			}
		}))
		must(uringwake.Write(ctx, fd(client), []byte("hello"), -1))
		buf := make([]byte, 64)
		echoes.Store("hello", string(buf[:must(uringwake.Read(ctx, fd(client), buf, -1))]))
	})
	fmt.Fprintf(w, "sent hello, got back %s\n", must(echoes.Wait(ctx, "hello")))
}

func fd(conn net.Conn) (number int) {
	must(conn.(*net.TCPConn).SyscallConn()).Control(func(fd uintptr) { number = int(fd) })
	return number
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

package uringwake_test

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
)

// A task answers a connection, and a goroutine is its client. Both use the same calls.
func ExampleAccept_answerAConnection() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer l.Close(ctx)
	listener, err := uringwake.Socket(ctx, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, listener)
	at := uringwake.UnixSockAddr(fmt.Sprint("@vigil-example-", os.Getpid()))
	fmt.Println(uringwake.Bind(ctx, listener, at))
	fmt.Println(uringwake.Listen(ctx, listener, 16))

	var done waitgroup.Group
	done.Add(1)
	l.Go(ctx, func(ctx context.Context) {
		defer done.Done()
		fd, _, err := uringwake.Accept(ctx, listener, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer uringwake.Close(ctx, fd)
		p := make([]byte, 100)
		n, err := uringwake.Recv(ctx, fd, p, unix.MSG_WAITALL) // until the client shuts down
		fmt.Println(string(p[:n]), err)
		uringwake.Send(ctx, fd, []byte("pong"), unix.MSG_WAITALL)
	})

	fd, err := uringwake.Socket(ctx, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, fd)
	fmt.Println(uringwake.Connect(ctx, fd, at))
	uringwake.Send(ctx, fd, []byte("ping"), unix.MSG_WAITALL)
	uringwake.Shutdown(ctx, fd, unix.SHUT_WR)
	done.Wait(ctx)
	p := make([]byte, 10)
	n, err := uringwake.Recv(ctx, fd, p, 0)
	fmt.Println(string(p[:n]), err)
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// ping <nil>
	// pong <nil>
}

// Send a datagram that consists of two parts, and see where it comes from.
func ExampleSendmsg() {
	ctx := context.Background()
	var fds [2]int
	var at [2]uringwake.SockAddr
	for i := range fds {
		at[i] = uringwake.UnixSockAddr(fmt.Sprint("@vigil-example-", os.Getpid(), "-", i))
		fd, err := uringwake.Socket(ctx, unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err == nil {
			defer uringwake.Close(ctx, fd)
			err = uringwake.Bind(ctx, fd, at[i])
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fds[i] = fd
	}
	out := uringwake.Message{
		Buffers: [][]byte{[]byte("head "), []byte("body")},
		Addr:    at[1],
	}
	fmt.Println(uringwake.Sendmsg(ctx, fds[0], &out, 0))
	p := make([]byte, 100)
	in := uringwake.Message{Buffers: [][]byte{p}}
	n, err := uringwake.Recvmsg(ctx, fds[1], &in, 0)
	fmt.Println(string(p[:n]), in.Addr == at[0], err)
	// Output:
	// 9 <nil>
	// head body true <nil>
}

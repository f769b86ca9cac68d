package uringwake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// listening returns a socket that listens, and its address.
func listening() (fd int, at uringwake.SockAddr) {
	at = uringwake.UnixSockAddr(fmt.Sprintf("@vigil-example-%d", os.Getpid()))
	ctx := context.Background()
	fd, err := uringwake.Socket(ctx, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = uringwake.Bind(ctx, fd, at)
	}
	if err == nil {
		err = uringwake.Listen(ctx, fd, 8)
	}
	if err != nil {
		panic(err)
	}
	return fd, at
}

// call connects to at and closes the connection.
func call(at uringwake.SockAddr) {
	ctx := context.Background()
	fd, err := uringwake.Socket(ctx, unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		panic(err)
	}
	defer unix.Close(fd)
	if err := uringwake.Connect(ctx, fd, at); err != nil {
		panic(err)
	}
}

// Serve connections until there were two.
func ExampleAcceptAll() {
	fd, at := listening()
	defer unix.Close(fd)
	for range 2 {
		call(at)
	}
	served := 0
	for conn, err := range uringwake.AcceptAll(context.Background(), fd) {
		if err != nil {
			fmt.Println(err)
			return
		}
		unix.Close(conn)
		if served++; served == 2 {
			break // the ring stops accepting
		}
	}
	fmt.Println("served", served)
	// Output: served 2
}

// Accept one connection without waiting for it at once.
func ExampleAcceptOp() {
	ctx := context.Background()
	fd, at := listening()
	defer unix.Close(fd)
	s := uringwake.Start(ctx, uringwake.AcceptOp(fd))
	call(at)
	r, err := s.Wait(ctx)
	fmt.Println(r.N > 0, err)
	unix.Close(r.N)
	// Output: true <nil>
}

// Read a connection to its end.
func ExampleRecvAll() {
	a, b := connected()
	defer unix.Close(a)
	unix.Write(b, []byte("hello, "))
	unix.Write(b, []byte("world"))
	unix.Close(b)
	for p, err := range uringwake.RecvAll(context.Background(), a) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(string(p)) // p is valid until the next turn
	}
	fmt.Println()
	// Output: hello, world
}

// Hear of each time that a socket becomes ready.
func ExamplePollAll() {
	a, b := connected()
	defer unix.Close(a)
	defer unix.Close(b)
	unix.Write(b, []byte("x"))
	n := 0
	for events, err := range uringwake.PollAll(context.Background(), a, unix.POLLIN) {
		fmt.Println(events&unix.POLLIN != 0, err)
		if n++; n == 2 {
			break
		}
		unix.Read(a, make([]byte, 16)) // all that there is
		unix.Write(b, []byte("y"))
	}
	// Output:
	// true <nil>
	// true <nil>
}

// Do something every millisecond, until the context ends.
func ExampleTicks() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	passed := 0
	for n, err := range uringwake.Ticks(ctx, time.Millisecond) {
		if err != nil {
			fmt.Println(err)
			break
		}
		if passed += n; passed >= 3 {
			cancel()
		}
	}
	// Output: context canceled
}

// Send without a copy, where the kernel can.
func ExampleSendZCOp() {
	ctx := context.Background()
	a, b := connected()
	defer unix.Close(a)
	defer unix.Close(b)
	p := []byte("hello")
	r, err := uringwake.Start(ctx, uringwake.SendZCOp(a, p, 0)).Wait(ctx)
	if err != nil { // the kernel is too old, or the socket has no such send
		r, err = uringwake.Start(ctx, uringwake.SendOp(a, p, 0)).Wait(ctx)
	}
	fmt.Println(r.N, err) // p is the caller's again
	// Output: 5 <nil>
}

// Keep a file and a buffer registered, for operations that are repeated.
func ExampleRegisterFile() {
	ctx := context.Background()
	f, err := os.CreateTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	io.WriteString(f, "hello, world")
	fixed, err := uringwake.RegisterFile(ctx, int(f.Fd()))
	if err != nil {
		panic(err)
	}
	defer fixed.Close()
	p := make([]byte, 5)
	for _, off := range []int64{0, 7} {
		r, err := uringwake.Start(ctx, uringwake.ReadOp(-1, p, off).On(fixed)).Wait(ctx)
		fmt.Println(string(r.Buf), err)
	}
	// Output:
	// hello <nil>
	// world <nil>
}

// Keep a buffer registered, so that the kernel need not look up its pages each time.
func ExampleRegisterBuffer() {
	ctx := context.Background()
	a, b := connected()
	defer unix.Close(a)
	defer unix.Close(b)
	p := []byte("hello")
	op := uringwake.WriteOp(a, p, -1)
	fixed, err := uringwake.RegisterBuffer(ctx, p)
	if err == nil {
		defer fixed.Close()
		op = op.In(fixed)
	} else if !errors.Is(err, errors.ErrUnsupported) { // before Linux 5.19
		panic(err)
	}
	r, err := uringwake.Start(ctx, op).Wait(ctx)
	fmt.Println(r.N, err)
	// Output: 5 <nil>
}

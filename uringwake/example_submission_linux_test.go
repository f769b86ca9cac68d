package uringwake_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// A pair of connected sockets, whose ends are a and b.
func connected() (a, b int) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return p[0], p[1]
}

// Start a read, do something else, and take the buffer back with the result.
func ExampleStart() {
	ctx := context.Background()
	a, b := connected()
	defer unix.Close(a)
	defer unix.Close(b)
	s := uringwake.Start(ctx, uringwake.RecvOp(a, make([]byte, 16), 0))
	_, done := s.Result()
	fmt.Println("done:", done)
	sent, err := uringwake.Start(ctx, uringwake.SendOp(b, []byte("hello"), 0)).Wait(ctx)
	fmt.Println("sent", sent.N, err)
	r, err := s.Wait(ctx)
	fmt.Println(string(r.Buf[:r.N]), err)
	// Output:
	// done: false
	// sent 5 <nil>
	// hello <nil>
}

// Give up a wait. The buffer comes back when the kernel no longer uses it.
func ExampleSubmission_Cancel() {
	ctx := context.Background()
	a, b := connected()
	defer unix.Close(a)
	defer unix.Close(b)
	for _, op := range []uringwake.Op{
		uringwake.RecvOp(a, make([]byte, 16), 0),
		uringwake.PollOp(a, unix.POLLIN),
		uringwake.TimeoutOp(time.Hour),
	} {
		s := uringwake.Start(ctx, op)
		s.Cancel()
		r, err := s.Wait(ctx)
		fmt.Println(len(r.Buf), err)
	}
	// Output:
	// 16 recv: operation canceled
	// 0 poll: operation canceled
	// 0 timeout: operation canceled
}

// Write and read a file at several places at once.
func ExampleWriteOp() {
	ctx := context.Background()
	f, err := os.CreateTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	fd := int(f.Fd())
	var writes []*uringwake.Submission
	for i := range 3 {
		p := bytes.Repeat([]byte{byte('a' + i)}, 4)
		writes = append(writes, uringwake.Start(ctx, uringwake.WriteOp(fd, p, int64(4*i))))
	}
	for _, w := range writes {
		w.Wait(ctx)
	}
	r, err := uringwake.Start(ctx, uringwake.ReadOp(fd, make([]byte, 12), 0)).Wait(ctx)
	fmt.Println(string(r.Buf), err)
	// Output: aaaabbbbcccc <nil>
}

// Wake up when all operations of a ring have had their turn.
func ExampleNopOp() {
	ctx := context.Background()
	_, err := uringwake.Start(ctx, uringwake.NopOp()).Wait(ctx)
	fmt.Println(err)
	// Output: <nil>
}

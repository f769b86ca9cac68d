package uringwake_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitgroup"
)

// Replace a file as a whole, so that after a crash it is either the old one or the new one:
// write a new file, have it stored, and rename it.
func ExampleRenameat_replaceAFile() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	at, err := uringwake.Openat(ctx, unix.AT_FDCWD, dir, unix.O_DIRECTORY, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, at)

	replace := func(ctx context.Context, name string, lines ...[]byte) error {
		fd, err := uringwake.Openat(ctx, at, name+".new", unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer uringwake.Close(ctx, fd)
		if _, err := uringwake.Writev(ctx, fd, lines, 0); err != nil { // few bytes, so that all are written
			return err
		}
		if err := uringwake.Fsync(ctx, fd); err != nil {
			return err
		}
		return uringwake.Renameat(ctx, at, name+".new", at, name, 0)
	}
	fmt.Println(replace(ctx, "config", []byte("a=1\n"), []byte("b=2\n")))
	text, _ := os.ReadFile(dir + "/config")
	fmt.Print(string(text))
	// Output:
	// <nil>
	// a=1
	// b=2
}

// Ask how large a file is, and when it was changed.
func ExampleStatx() {
	var st uringwake.FileStat
	err := uringwake.Statx(context.Background(), unix.AT_FDCWD, "/", 0, unix.STATX_BASIC_STATS, &st)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(st.Mode&unix.S_IFMT == unix.S_IFDIR, st.Mtime.Time().Year() >= 1970)
	// Output: true true
}

// Copy a file into a pipe without bringing it into the program.
func ExampleSplice() {
	ctx := context.Background()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, fds[0])
	defer uringwake.Close(ctx, fds[1])
	file, err := unix.MemfdCreate("greeting", unix.MFD_CLOEXEC)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, file)
	uringwake.Write(ctx, file, []byte("hello, world"), 0)

	n, err := uringwake.Splice(ctx, file, 7, fds[1], -1, 5, 0)
	fmt.Println(n, err)
	p := make([]byte, 10)
	n, err = uringwake.Read(ctx, fds[0], p, -1)
	fmt.Println(string(p[:n]), err)
	// Output:
	// 5 <nil>
	// world <nil>
}

// A task answers a connection, and a goroutine is its client. Both use the same calls.
func ExampleAccept_answerAConnection() {
	l, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer l.Close(ctx)
	listener, at, err := listenAnywhere(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, listener)

	var done waitgroup.Group
	done.Add(1)
	l.Go(ctx, func(ctx context.Context) {
		defer done.Done()
		fd, from, err := uringwake.Accept(ctx, listener, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer uringwake.Close(ctx, fd)
		p := make([]byte, 4)
		n, err := uringwake.Recv(ctx, fd, p, unix.MSG_WAITALL)
		fmt.Println(string(p[:n]), err, from.AddrPort().Addr())
		uringwake.Send(ctx, fd, []byte("pong"), unix.MSG_WAITALL)
	})

	fd, err := uringwake.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, fd)
	fmt.Println(uringwake.Connect(ctx, fd, at))
	uringwake.Send(ctx, fd, []byte("ping"), unix.MSG_WAITALL)
	done.Wait(ctx)
	p := make([]byte, 10)
	n, err := uringwake.Recv(ctx, fd, p, 0)
	fmt.Println(string(p[:n]), err)
	// Output:
	// <nil>
	// ping <nil> 127.0.0.1
	// pong <nil>
}

// listenAnywhere listens on a port that the kernel chooses.
func listenAnywhere(ctx context.Context) (fd int, at uringwake.SockAddr, err error) {
	fd, err = uringwake.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return 0, at, err
	}
	if err = uringwake.Bind(ctx, fd, uringwake.IPSockAddr(netip.MustParseAddrPort("127.0.0.1:0"))); err == nil {
		err = uringwake.Listen(ctx, fd, 16)
	}
	name, _ := unix.Getsockname(fd)
	if in, ok := name.(*unix.SockaddrInet4); ok {
		at = uringwake.IPSockAddr(netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)))
	}
	return fd, at, err
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

package uringwake_test

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
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

// Make a directory with a file that has three names, and remove them again.
func ExampleMkdirat() {
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

	fmt.Println(uringwake.Mkdirat(ctx, at, "sub", 0o700))
	fd, err := uringwake.Openat(ctx, at, "sub/file", unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(uringwake.Close(ctx, fd))
	fmt.Println(uringwake.Linkat(ctx, at, "sub/file", at, "hard", 0))
	fmt.Println(uringwake.Symlinkat(ctx, "sub/file", at, "soft"))
	for _, name := range []string{"soft", "hard", "sub/file"} {
		fmt.Println(uringwake.Unlinkat(ctx, at, name, 0))
	}
	fmt.Println(uringwake.Unlinkat(ctx, at, "sub", unix.AT_REMOVEDIR))
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// <nil>
	// <nil>
	// <nil>
	// <nil>
	// <nil>
}

// Reserve space for a file, fill a part of it, and cut off the rest.
func ExampleFallocate() {
	ctx := context.Background()
	fd, err := unix.MemfdCreate("file", unix.MFD_CLOEXEC)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer uringwake.Close(ctx, fd)
	fmt.Println(uringwake.Fallocate(ctx, fd, 0, 0, 1<<20))
	n, err := uringwake.Write(ctx, fd, []byte("key=value"), 0)
	fmt.Println(n, err)
	fmt.Println(uringwake.Ftruncate(ctx, fd, int64(n)))
	fmt.Println(uringwake.Fdatasync(ctx, fd))
	key, value := make([]byte, 4), make([]byte, 100)
	n, err = uringwake.Readv(ctx, fd, [][]byte{key, value}, 0)
	fmt.Println(string(key), string(value[:n-4]), err)
	// Output:
	// <nil>
	// 9 <nil>
	// <nil>
	// <nil>
	// key= value <nil>
}

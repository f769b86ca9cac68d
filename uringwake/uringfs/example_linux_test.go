package uringfs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringfs"
)

// tempDir returns a directory, and a function that removes it.
func tempDir() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "uringfs")
	if err != nil {
		panic(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// Read the lines of a file. A File has the methods of os.File, so that other packages
// can use it, in a goroutine or a task.
func ExampleOpen() {
	ctx := context.Background()
	dir, remove := tempDir()
	defer remove()
	name := filepath.Join(dir, "lines")
	if err := uringfs.WriteFile(ctx, name, []byte("one\ntwo\n"), 0o644); err != nil {
		fmt.Println(err)
		return
	}

	f, err := uringfs.Open(ctx, name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fmt.Println(lines.Text())
	}
	// Output:
	// one
	// two
}

// Tasks of one loop, which is one thread, read the parts of a file at the same time.
func ExampleFile_ReadAtContext() {
	ctx := context.Background()
	dir, remove := tempDir()
	defer remove()
	name := filepath.Join(dir, "parts")
	loop, err := uringwake.NewLoop(nil)
	if err == nil {
		defer loop.Close(ctx)
		err = uringfs.WriteFile(ctx, name, []byte("abcdefgh"), 0o644)
	}
	if err != nil {
		fmt.Println(err)
		return
	}

	parts := make([]string, 4)
	done := make(chan error)
	read := func(ctx context.Context) error {
		f, err := uringfs.Open(ctx, name)
		if err != nil {
			return err
		}
		defer f.CloseContext(ctx)
		tasks, ctx := await.NewTasks(ctx)
		for i := range parts {
			tasks.Go(func(ctx context.Context) error {
				p := make([]byte, 2)
				_, err := f.ReadAtContext(ctx, p, int64(2*i))
				parts[i] = string(p)
				return err
			})
		}
		return tasks.Wait(ctx)
	}
	loop.Go(ctx, func(ctx context.Context) { done <- read(ctx) })
	fmt.Println(<-done, parts)
	// Output: <nil> [ab cd ef gh]
}

// Stop waiting for a pipe when the time is over. Nothing that is written later is lost.
func ExampleFile_ReadContext() {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		fmt.Println(err)
		return
	}
	r, w := uringfs.NewFile(fds[0], "r"), uringfs.NewFile(fds[1], "w")
	defer r.Close()
	defer w.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	p := make([]byte, 100)
	_, err := r.ReadContext(ctx, p)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	w.WriteString("late")
	n, err := r.Read(p)
	fmt.Println(string(p[:n]), err)
	// Output:
	// true
	// late <nil>
}

// Close a file while a task waits for it.
func ExampleFile_CloseContext() {
	ctx := context.Background()
	loop, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close(ctx)
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		fmt.Println(err)
		return
	}
	r, w := uringfs.NewFile(fds[0], "r"), uringfs.NewFile(fds[1], "w")
	defer w.Close()

	result := make(chan error)
	loop.Go(ctx, func(ctx context.Context) {
		_, err := r.ReadContext(ctx, make([]byte, 100))
		result <- err
	})
	fmt.Println(r.CloseContext(ctx))
	fmt.Println(errors.Is(<-result, os.ErrClosed))
	// Output:
	// <nil>
	// true
}

// Replace a file so that there always is the old or the new one, also after a power cut.
func ExampleRename() {
	ctx := context.Background()
	dir, remove := tempDir()
	defer remove()
	replace := func(name string, data []byte) error {
		f, err := uringfs.Create(ctx, name+".new")
		if err != nil {
			return err
		}
		_, err = f.WriteContext(ctx, data)
		err = errors.Join(err, f.SyncContext(ctx), f.CloseContext(ctx))
		if err != nil {
			return err
		}
		return uringfs.Rename(ctx, name+".new", name)
	}
	name := filepath.Join(dir, "settings")
	fmt.Println(replace(name, []byte("first")), replace(name, []byte("second")))
	data, err := uringfs.ReadFile(ctx, name)
	fmt.Println(string(data), err)
	// Output:
	// <nil> <nil>
	// second <nil>
}

// Copy a part of a file. The kernel moves the data.
func ExampleFile_ReadFromContext() {
	ctx := context.Background()
	dir, remove := tempDir()
	defer remove()
	if err := uringfs.WriteFile(ctx, dir+"/from", []byte("0123456789"), 0o644); err != nil {
		fmt.Println(err)
		return
	}
	from, err := uringfs.Open(ctx, dir+"/from")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer from.Close()
	to, err := uringfs.Create(ctx, dir+"/to")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer to.Close()

	fmt.Println(to.ReadFromContext(ctx, io.LimitReader(from, 4)))
	data, err := uringfs.ReadFile(ctx, dir+"/to")
	fmt.Println(string(data), err)
	// Output:
	// 4 <nil>
	// 0123 <nil>
}

// Walk a directory in a task, by package io/fs, which knows no contexts.
func ExampleDirFS() {
	ctx := context.Background()
	dir, remove := tempDir()
	defer remove()
	loop, err := uringwake.NewLoop(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer loop.Close(ctx)

	done := make(chan error)
	loop.Go(ctx, func(ctx context.Context) {
		done <- errors.Join(
			uringfs.Mkdir(ctx, dir+"/sub", 0o755),
			uringfs.WriteFile(ctx, dir+"/sub/file", []byte("text"), 0o644),
			fs.WalkDir(uringfs.DirFS(dir), ".", func(name string, _ fs.DirEntry, err error) error {
				fmt.Println(name)
				return err
			}))
	})
	fmt.Println(<-done)
	// Output:
	// .
	// sub
	// sub/file
	// <nil>
}

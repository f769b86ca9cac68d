package main

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// fileCalls has the functions of uringwake's api_files.go. Paths are absolute.
var fileCalls = map[string]trial{
	"Readv": func(ctx context.Context, l *lab) error {
		_, err := uringwake.Readv(ctx, l.file(), [][]byte{l.bytes(1), l.bytes(1)}, 0)
		return err
	},
	"Writev": func(ctx context.Context, l *lab) error {
		_, err := uringwake.Writev(ctx, l.file(), [][]byte{l.bytes(1), l.bytes(1)}, 0)
		return err
	},
	"Fsync":     func(ctx context.Context, l *lab) error { return uringwake.Fsync(ctx, l.file()) },
	"Fdatasync": func(ctx context.Context, l *lab) error { return uringwake.Fdatasync(ctx, l.file()) },
	"Fallocate": func(ctx context.Context, l *lab) error { return uringwake.Fallocate(ctx, l.file(), 0, 0, 100) },
	"Ftruncate": func(ctx context.Context, l *lab) error { return uringwake.Ftruncate(ctx, l.file(), 1) },
	"Openat": func(ctx context.Context, l *lab) error {
		fd, err := uringwake.Openat(ctx, unix.AT_FDCWD, l.path("new"), unix.O_CREAT|unix.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	},
	"Statx": func(ctx context.Context, l *lab) error {
		return uringwake.Statx(ctx, l.file(), "", unix.AT_EMPTY_PATH, unix.STATX_SIZE, new(uringwake.FileStat))
	},
	"Renameat": func(ctx context.Context, l *lab) error {
		l.file()
		return uringwake.Renameat(ctx, unix.AT_FDCWD, l.path("file"), unix.AT_FDCWD, l.path("new"), 0)
	},
	"Unlinkat": func(ctx context.Context, l *lab) error {
		l.file()
		return uringwake.Unlinkat(ctx, unix.AT_FDCWD, l.path("file"), 0)
	},
	"Mkdirat": func(ctx context.Context, l *lab) error {
		return uringwake.Mkdirat(ctx, unix.AT_FDCWD, l.path("new"), 0o700)
	},
	"Linkat": func(ctx context.Context, l *lab) error {
		l.file()
		return uringwake.Linkat(ctx, unix.AT_FDCWD, l.path("file"), unix.AT_FDCWD, l.path("new"), 0)
	},
	"Symlinkat": func(ctx context.Context, l *lab) error {
		return uringwake.Symlinkat(ctx, "file", unix.AT_FDCWD, l.path("new"))
	},
	"Splice": func(ctx context.Context, l *lab) error {
		r, w := l.pipe()
		l.fill(w, "x")
		_, err := uringwake.Splice(ctx, r, -1, l.file(), 0, 1, 0)
		return err
	},
}

package main

import (
	"context"
	"io"
	"os"

	"github.com/vigil-go/vigil/uringwake"
)

type file interface {
	ReadAtContext(ctx context.Context, p []byte, off int64) (int, error)
	WriteAtContext(ctx context.Context, p []byte, off int64) (int, error)
	StatContext(ctx context.Context) (os.FileInfo, error)
	SyncContext(ctx context.Context) error
	CloseContext(ctx context.Context) error
}

type shim struct{ *os.File }

func openFile(_ context.Context, name string, flag int, perm os.FileMode) (file, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return shim{f}, nil
}

func rename(_ context.Context, from, to string) error { return os.Rename(from, to) }
func remove(_ context.Context, name string) error     { return os.Remove(name) }

func (s shim) StatContext(context.Context) (os.FileInfo, error) { return s.Stat() }
func (s shim) SyncContext(context.Context) error                { return s.Sync() }
func (s shim) CloseContext(context.Context) error               { return s.Close() }

func (s shim) ReadAtContext(ctx context.Context, p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = uringwake.Read(ctx, int(s.Fd()), p[n:], off+int64(n))
		if n += m; m == 0 && err == nil {
			err = io.EOF
		}
	}
	return n, err
}

func (s shim) WriteAtContext(ctx context.Context, p []byte, off int64) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = uringwake.Write(ctx, int(s.Fd()), p[n:], off+int64(n))
		n += m
	}
	return n, err
}

//go:build !linux

package uringfs

import (
	"context"
	"io/fs"

	"github.com/vigil-go/vigil/uringwake"
)

// No file is ever open here: each function returns the error that says so.

const onlyDirectory = 0

func plain(err error) error { return err }

func waitsForOthers(int) bool           { return false }
func flagsOf(int) (append, direct bool) { return false, false }

func closeFD(context.Context, int) error { return uringwake.Supported() }

func seek(int, int64, int) (int64, error) { return 0, uringwake.Supported() }

func seekFrom(context.Context, int, int64, int) (int64, error) { return 0, uringwake.Supported() }

type interrupters struct{}

func (*interrupters) interrupt() {}

func (*File) read(context.Context, []byte, int64) (int, error)  { return 0, uringwake.Supported() }
func (*File) write(context.Context, []byte, int64) (int, error) { return 0, uringwake.Supported() }
func (*File) awaitReadable(context.Context) error               { return uringwake.Supported() }
func (*File) awaitWritable(context.Context) error               { return uringwake.Supported() }

func openFile(context.Context, string, int, fs.FileMode) (int, error) {
	return -1, uringwake.Supported()
}

func syncFile(context.Context, int) error               { return uringwake.Supported() }
func truncate(context.Context, int, int64) error        { return uringwake.Supported() }
func allocate(context.Context, int, int64, int64) error { return uringwake.Supported() }

func rename(context.Context, string, string) error     { return uringwake.Supported() }
func mkdir(context.Context, string, fs.FileMode) error { return uringwake.Supported() }
func remove(context.Context, string) error             { return uringwake.Supported() }

func readLink(context.Context, string) (string, error) { return "", uringwake.Supported() }

func statName(context.Context, string, bool) (fs.FileInfo, error) {
	return nil, uringwake.Supported()
}

func statFile(context.Context, int, string) (fs.FileInfo, error) {
	return nil, uringwake.Supported()
}

func readEntries(context.Context, int, []byte) (int, error) { return 0, uringwake.Supported() }

func parseEntries([]byte) []rawEntry { return nil }

func (f *File) copyRange(context.Context, *File, int64) (int64, error) {
	return 0, uringwake.Supported()
}

func isFallback(error) bool { return false }

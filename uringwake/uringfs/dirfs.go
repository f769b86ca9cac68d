package uringfs

import (
	"context"
	"io/fs"
	"os"
)

// DirFS returns a file system for the files below the directory dir, as os.DirFS does. It
// implements fs.StatFS, fs.ReadFileFS, fs.ReadDirFS and fs.ReadLinkFS. Its files are of
// type [*File]. A symbolic link may lead out of dir.
func DirFS(dir string) fs.FS { return dirFS(dir) }

type dirFS string

var (
	_ fs.StatFS     = dirFS("")
	_ fs.ReadFileFS = dirFS("")
	_ fs.ReadDirFS  = dirFS("")
	_ fs.ReadLinkFS = dirFS("")
)

func (d dirFS) Open(name string) (fs.File, error) {
	f, err := in(d, "open", name, Open)
	if err != nil {
		return nil, err // not a File that is nil
	}
	return f, nil
}

func (d dirFS) Stat(name string) (fs.FileInfo, error) { return in(d, "stat", name, Stat) }

func (d dirFS) Lstat(name string) (fs.FileInfo, error) { return in(d, "lstat", name, Lstat) }

func (d dirFS) ReadFile(name string) ([]byte, error) { return in(d, "readfile", name, ReadFile) }

func (d dirFS) ReadDir(name string) ([]fs.DirEntry, error) { return in(d, "readdir", name, ReadDir) }

func (d dirFS) ReadLink(name string) (string, error) { return in(d, "readlink", name, Readlink) }

// in calls f with the name of a file in d. Errors have the name without d.
func in[T any](d dirFS, op, name string, f func(context.Context, string) (T, error)) (T, error) {
	if d == "" || !fs.ValidPath(name) {
		var none T
		return none, pathError(op, name, os.ErrInvalid)
	}
	v, err := f(current(), string(d)+"/"+name)
	if e, ok := err.(*fs.PathError); ok {
		e.Path = name
	}
	return v, err
}
